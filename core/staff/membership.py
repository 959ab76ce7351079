"""Who may sign in, and what they may do: added, changed and removed by admins of the whole installation, all of it audited."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace

from core.audit import AuditLog
from core.members import EVERYWHERE, Member, Members, Role, Scope
from core.staff.actions import NotAllowedError
from core.text import clean, says_something

MOST_NAME = 200
NO_NAME = f"A name has letters, and at most {MOST_NAME} characters."
NO_MEMBER = "There is no such member any more."
NOT_ADMIN = "Only admins of the whole installation may do this."
LAST_ADMIN = "This is the last admin of the whole installation: make somebody else one first."


@dataclass(frozen=True)
class Membership:
    """Changes of members; `by` is the admin who makes them, None: whoever has a shell on the server."""

    members: Members
    audit: AuditLog
    operator: str = ""  # how the audit log names whoever has a shell

    async def add(self, by: Member | None, name: str, role: Role, scope: Scope) -> Member:
        """Add somebody, or return who has that name already. Raises `NotAllowedError`."""
        name = clean(name)
        await self._require(by, "members.add", name)
        if not says_something(name) or len(name) > MOST_NAME or "\n" in name:
            raise NotAllowedError(NO_NAME)
        new = Member(uuid.uuid4().hex, name, role, scope)
        if await self.members.add(new):
            await self._note(by, "members.add", new, "done")
            return new
        known = await self.members.named(name)
        if known is None:  # removed at this very moment
            raise NotAllowedError(NO_MEMBER)
        return known

    async def change(self, by: Member | None, member_id: str, role: Role, scope: Scope) -> Member:
        """Give somebody another role and other workspaces, from their next request on. Raises `NotAllowedError`."""
        known = await self._known(by, "members.change", member_id)
        changed = replace(known, role=role, scope=scope)
        if _administers(known) and not _administers(changed):
            await self._keep_an_admin(by, "members.change", known)
        await self.members.change(member_id, role, scope)
        await self._note(by, "members.change", changed, "done", before=known.role.name)
        return changed

    async def remove(self, by: Member | None, member_id: str) -> Member:
        """Take somebody out, from their next request on. Raises `NotAllowedError`."""
        known = await self._known(by, "members.remove", member_id)
        if _administers(known):
            await self._keep_an_admin(by, "members.remove", known)
        await self.members.remove(member_id)
        await self._note(by, "members.remove", known, "done")
        return known

    async def invite(self, by: Member | None, member_id: str) -> Member:
        """Return whom a sign-in link is made for. Raises `NotAllowedError`."""
        known = await self._known(by, "members.invite", member_id)
        await self._note(by, "members.invite", known, "done")
        return known

    async def _known(self, by: Member | None, action: str, member_id: str) -> Member:
        await self._require(by, action, member_id)
        known = await self.members.member(member_id)
        if known is None:
            raise NotAllowedError(NO_MEMBER)
        return known

    async def _require(self, by: Member | None, action: str, target: str) -> None:
        if by is not None and not _administers(by):
            await self.audit.record(by.actor, action, target, "denied", reason=by.role.name)
            raise NotAllowedError(NOT_ADMIN)

    async def _keep_an_admin(self, by: Member | None, action: str, member: Member) -> None:
        """Whoever has a shell may take out even the last one: they can add another."""
        others = [one for one in await self.members.all() if one.member_id != member.member_id]
        if by is not None and not any(map(_administers, others)):
            await self._note(by, action, member, "denied", reason="last admin")
            raise NotAllowedError(LAST_ADMIN)

    async def _note(self, by: Member | None, action: str, member: Member, result: str, **detail: str) -> None:
        actor = by.actor if by else self.operator
        where = "everywhere" if member.scope == EVERYWHERE else sorted(map(":".join, member.scope.workspaces or ()))
        await self.audit.record(actor, action, member.actor, result, name=member.name, role=member.role.name, where=where, **detail)


def _administers(member: Member) -> bool:
    return member.role is Role.ADMIN and member.scope == EVERYWHERE


def scope_of(workspaces: str) -> Scope:
    """Return the scope of workspaces written as `PLATFORM:ID`, by commas or spaces; empty: every one. Raises `NotAllowedError`."""
    named = workspaces.replace(",", " ").split()
    pairs = [tuple(clean(one).split(":", 1)) for one in named]
    if any(len(pair) != 2 or not all(pair) for pair in pairs):
        raise NotAllowedError("A workspace is written as PLATFORM:ID, such as slack:T0123456789, discord:2345678901 or web:local.")
    return Scope(frozenset((platform, workspace_id) for platform, workspace_id in pairs)) if named else EVERYWHERE
