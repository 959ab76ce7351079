"""Admins of the whole installation change who may sign in; nobody else, and not so that nobody is left."""

from __future__ import annotations

import pytest

from core.members import EVERYWHERE, Member, Role, Scope
from core.staff.actions import NotAllowedError
from core.staff.membership import Membership, scope_of
from core.storage.memory_members import MemoryMembers
from core.storage.memory_records import MemoryAuditLog

SHOP = Scope(frozenset({("slack", "T1")}))
ADMIN = Member("a", "Ann", Role.ADMIN, EVERYWHERE)
BOB = Member("b", "Bob", Role.EDITOR, SHOP)


@pytest.fixture
async def membership() -> Membership:
    members = MemoryMembers()
    await members.add(ADMIN)
    await members.add(BOB)
    return Membership(members, MemoryAuditLog(), "cli:root")


async def last(membership: Membership) -> tuple[str, str, str]:
    (entry,) = await membership.audit.entries(1)
    return entry.actor, entry.action, entry.result


async def test_an_admin_adds_changes_and_removes(membership: Membership) -> None:
    zoe = await membership.add(ADMIN, "Zoe", Role.AGENT, SHOP)
    assert await membership.members.member(zoe.member_id) == zoe
    changed = await membership.change(ADMIN, zoe.member_id, Role.EDITOR, EVERYWHERE)
    assert await membership.members.member(zoe.member_id) == changed
    await membership.remove(ADMIN, zoe.member_id)
    assert await membership.members.member(zoe.member_id) is None
    assert await last(membership) == ("console:a", "members.remove", "done")


@pytest.mark.parametrize("by", [BOB, Member("c", "Cid", Role.ADMIN, SHOP), Member("d", "Dan", Role.ADMIN, Scope())], ids=lambda by: by.name)
async def test_nobody_else_does_not_even_admins_of_some_workspaces(membership: Membership, by: Member) -> None:
    for attempt in (
        membership.add(by, "Eve", Role.ADMIN, EVERYWHERE),
        membership.change(by, by.member_id, Role.ADMIN, EVERYWHERE),
        membership.remove(by, ADMIN.member_id),
        membership.invite(by, ADMIN.member_id),
    ):
        with pytest.raises(NotAllowedError, match="Only admins"):
            await attempt
        assert (await last(membership))[::2] == (by.actor, "denied")
    assert await membership.members.all() == (ADMIN, BOB)


async def test_the_last_admin_stays_one_unless_somebody_with_a_shell_says_otherwise(membership: Membership) -> None:
    with pytest.raises(NotAllowedError, match="last admin"):
        await membership.remove(ADMIN, ADMIN.member_id)
    with pytest.raises(NotAllowedError, match="last admin"):
        await membership.change(ADMIN, ADMIN.member_id, Role.ADMIN, SHOP)
    assert await last(membership) == ("console:a", "members.change", "denied")
    await membership.change(ADMIN, BOB.member_id, Role.ADMIN, EVERYWHERE)
    await membership.change(ADMIN, ADMIN.member_id, Role.VIEWER, EVERYWHERE)
    await membership.remove(None, BOB.member_id)
    assert await last(membership) == ("cli:root", "members.remove", "done")


async def test_somebody_of_that_name_is_not_added_twice(membership: Membership) -> None:
    assert await membership.add(ADMIN, "BOB", Role.ADMIN, EVERYWHERE) == BOB


def test_workspaces_are_read_as_people_write_them() -> None:
    assert scope_of(" ") == EVERYWHERE
    assert scope_of("slack:T1, discord:2\nweb:local") == Scope(frozenset({("slack", "T1"), ("discord", "2"), ("web", "local")}))
    with pytest.raises(NotAllowedError, match="PLATFORM:ID"):
        scope_of("slack")
