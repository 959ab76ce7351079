"""What the bot may do in a channel: as discord.py reckons it, and what is told of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import discord
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.discord.invite import CREATE_THREADS, MANAGE_THREADS, PERMISSIONS, READ_HISTORY, SEND, SEND_IN_THREADS, VIEW
from bot.discord.permissions import MOST_NAMED, Server, Survey, granted, needed, survey

Json = dict[str, Any]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
GUILD, ROLE, OTHER, BOT, OWNER = "10", "11", "12", "13", "14"
TAGS = ("answered",)

ALL = tuple(one.bit for one in PERMISSIONS)
bits = st.lists(st.booleans(), min_size=len(ALL), max_size=len(ALL)).map(
    lambda chosen: sum(bit for bit, is_in in zip(ALL, chosen, strict=True) if is_in)
)
mostly = st.one_of(*[bits] * 7, bits.map(lambda some: some | 1 << 3))
overwrites = st.fixed_dictionaries(dict.fromkeys((GUILD, ROLE, OTHER, BOT), bits))


def role(id_: str, permissions: int, **more: Any) -> Json:
    colors = {"primary_color": 0, "secondary_color": None, "tertiary_color": None}
    return {
        "id": id_, "name": f"role-{id_}", "permissions": str(permissions), "position": 0, "color": 0, "colors": colors, "hoist": False,
        "managed": False, "mentionable": False, "flags": 0, **more,
    }  # fmt: skip


def server(*channels: Json, everyone: int = 0, own: int = sum(ALL), **me: Any) -> Server:
    guild = {
        "id": GUILD, "name": "Shop", "owner_id": OWNER,
        "roles": [role(GUILD, everyone), role(ROLE, own, tags={"bot_id": BOT}, name="Desk"), role(OTHER, 0)],
    }  # fmt: skip
    return Server(guild, channels, {"user": {"id": BOT, "username": "frontdesk"}, "roles": [ROLE], **me})


def channel(name: str, kind: int = 0, deny: dict[str, int] | None = None, allow: dict[str, int] | None = None, **more: Any) -> Json:
    deny, allow = deny or {}, allow or {}
    overwrites = [
        {"id": id_, "type": int(id_ == BOT), "allow": str(allow.get(id_, 0)), "deny": str(deny.get(id_, 0))}
        for id_ in dict.fromkeys((*deny, *allow))
    ]
    return {"id": name, "name": name, "type": kind, "permission_overwrites": overwrites, **more}


@settings(max_examples=400, deadline=None)
@given(
    everyone=mostly, own=mostly, other=bits, deny=overwrites, allow=overwrites,
    roles=st.lists(st.sampled_from([ROLE, OTHER]), unique=True), owner=st.sampled_from([OWNER] * 7 + [BOT]), silent=st.booleans(),
)  # fmt: skip
def test_permissions_are_those_that_discords_own_rules_give(
    everyone: int, own: int, other: int, deny: dict[str, int], allow: dict[str, int], roles: list[str], owner: str, silent: bool
) -> None:
    place = channel("help", deny=deny, allow=allow)
    until = discord.utils.utcnow() + timedelta(hours=1) if silent else None
    guild = {"id": GUILD, "owner_id": owner, "roles": [role(GUILD, everyone), role(ROLE, own), role(OTHER, other)]}
    member = {"user": {"id": BOT}, "roles": roles, "communication_disabled_until": until and until.isoformat()}
    ours = granted(guild, place, member, discord.utils.utcnow())
    theirs = _of_the_library(guild, place, roles, until)
    assert [one.label for one in PERMISSIONS if ours & one.bit] == [one.label for one in PERMISSIONS if theirs & one.bit]


def _of_the_library(guild: Json, place: Json, roles: list[str], until: datetime | None) -> int:
    """What discord.py reckons, of objects of its own."""
    state: Any = discord.Client(intents=discord.Intents.none())._connection
    state.user = SimpleNamespace(id=int(BOT))
    there = discord.Guild(data={"name": "Shop", **guild}, state=state)  # type: ignore[typeddict-item]
    more = {"position": 0, "guild_id": GUILD, "parent_id": None}
    at = discord.TextChannel(state=state, guild=there, data={**place, **more, "id": "20"})  # type: ignore[typeddict-item]
    user: Any = {"id": BOT, "username": "frontdesk", "discriminator": "0", "avatar": None, "global_name": None, "bot": True}
    about: Any = {"user": user, "roles": roles, "joined_at": None, "flags": 0, "communication_disabled_until": until and until.isoformat()}
    return at.permissions_for(discord.Member(data=about, guild=there, state=state)).value


@pytest.mark.parametrize(
    ("place", "wanted"),
    [
        (channel("help"), {VIEW, SEND, SEND_IN_THREADS, READ_HISTORY, CREATE_THREADS}),
        (channel("news", 5), {VIEW, SEND, SEND_IN_THREADS, READ_HISTORY, CREATE_THREADS}),
        (channel("voice", 2), {VIEW, SEND, READ_HISTORY}),
        (channel("questions", 15, available_tags=[{"name": "Answered"}]), {VIEW, SEND_IN_THREADS, READ_HISTORY, MANAGE_THREADS}),
        (channel("media", 16, available_tags=[{"name": "else"}]), {VIEW, SEND_IN_THREADS, READ_HISTORY}),
        (channel("category", 4), set()),
        (channel("of the future", 99), set()),
    ],
)
def test_a_channel_needs_what_is_done_in_its_kind(place: Json, wanted: set[Any]) -> None:
    assert set(needed(place, TAGS)) == wanted


def test_what_is_lost_is_told_with_where_and_the_click() -> None:
    shop = server(channel("help", deny={ROLE: SEND.bit}), channel("chat", deny={BOT: SEND.bit}), channel("good"))
    found = survey(shop, TAGS, NOW)
    where = "The channel > Edit Channel > Permissions > + > Desk > Send Messages: ✓"
    assert found.broken == (f"Shop: without Send Messages nothing is answered: #help, #chat. {where}",)
    assert (found.weak, found.notes) == ((), ("Shop: 3 of 3 channels are seen",))


def test_what_the_role_lacks_everywhere_is_a_matter_of_the_role() -> None:
    (told,) = survey(server(channel("help"), own=sum(ALL) & ~READ_HISTORY.bit), TAGS, NOW).broken
    assert told.endswith("Server Settings > Roles > Desk > Permissions > Read Message History")


def test_threads_and_tags_are_only_missed() -> None:
    forum = channel("questions", 15, deny={BOT: MANAGE_THREADS.bit}, available_tags=[{"name": "answered"}])
    found = survey(server(channel("help", deny={BOT: CREATE_THREADS.bit}), forum), TAGS, NOW)
    assert found.broken == ()
    assert ["#help" in found.weak[0], "#questions" in found.weak[1], len(found.weak)] == [True, True, 2]


def test_a_channel_that_is_closed_to_everybody_is_no_fault() -> None:
    found = survey(server(channel("news", deny={GUILD: SEND.bit}), everyone=SEND.bit), TAGS, NOW)
    assert (found.broken, found.weak) == ((), ())
    assert "closed to @everyone and the bot alike: #news" in found.notes[0]


def test_channels_that_the_bot_does_not_see_are_counted_and_one_is_enough() -> None:
    hidden = [channel(f"private-{number}", deny={GUILD: VIEW.bit, ROLE: VIEW.bit}) for number in range(2)]
    assert survey(server(*hidden, channel("help")), TAGS, NOW).notes == ("Shop: 1 of 3 channels are seen",)
    (told,) = survey(server(*hidden), TAGS, NOW).broken
    assert "View Channels" in told
    staff = channel("staff", deny={BOT: SEND.bit})
    assert survey(server(staff, channel("help")), TAGS, NOW, apart="staff") == Survey(notes=("Shop: 2 of 2 channels are seen",))
    assert survey(server(staff, *hidden), TAGS, NOW, apart="staff").broken == (told,)
    assert survey(server(), TAGS, NOW).broken == ()


def test_many_channels_are_named_in_part_and_without_control_characters() -> None:
    (told,) = survey(server(*(channel(f"a\x1b[31m{number}", deny={BOT: SEND.bit}) for number in range(8))), TAGS, NOW).broken
    assert told.count("#") == MOST_NAMED
    assert "and 3 more" in told
    assert told.isprintable()


def test_a_bot_that_was_told_to_be_silent_is_told() -> None:
    shop = server(channel("help"), communication_disabled_until=(NOW + timedelta(hours=1)).isoformat())
    assert ["Remove Timeout" in told for told in survey(shop, TAGS, NOW).broken] == [True]
    assert survey(shop, TAGS, NOW + timedelta(hours=2)).broken == ()
