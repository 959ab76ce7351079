"""Discord in one process: what goes out, and what comes in."""

from __future__ import annotations

from dataclasses import dataclass

from bot.discord.adapter import DiscordAdapter, Privately, Stores
from bot.discord.backfill import Backfill
from bot.discord.client import FrontdeskClient, Gateway
from bot.discord.lanes import Lanes
from bot.discord.live import LivePreviews
from bot.discord.people import People, rule_of
from bot.discord.places import Places
from bot.discord.receiver import Receiver
from bot.discord.rest import Rest
from bot.discord.rooms import Rooms
from bot.discord.sessions import SECONDS_APART, Sessions
from bot.discord.tags import Tags
from bot.dispatch import Dispatch
from bot.door import Door
from bot.setting_groups import Discord
from core.positions import Positions
from core.slots import Slots


@dataclass(frozen=True, slots=True)
class DiscordParts:
    """The adapter for every process; the way in for those that serve Discord."""

    client: FrontdeskClient
    adapter: DiscordAdapter
    gateway: Gateway
    people: People
    live: LivePreviews
    tags: Tags
    lanes: Lanes


def assemble(
    client: FrontdeskClient,
    asked: Discord,
    stores: Stores,
    dispatch: Dispatch,
    door: Door,
    positions: Positions,
    slots: Slots,
    privately: Privately | None = None,
    seconds_apart: float = SECONDS_APART,
) -> DiscordParts:
    """Put everything of Discord together around one client; `seconds_apart` lie between two sessions of the gateway."""
    rest, lanes = Rest(client, asked.bot_token), Lanes()
    client.sessions = Sessions(rest, slots, seconds_apart)
    rooms, people = Rooms(rest), People(rest, rule_of(asked))
    live = LivePreviews(rest, rooms, stores.previews)
    tags = Tags(rest, asked)
    adapter = DiscordAdapter(rest, rooms, stores, live, tags, asked.staff_channel, privately)
    backfill = Backfill(client, positions)
    receiver = Receiver(dispatch, door, people, Places(client, rest), rooms, adapter, backfill, lanes)
    return DiscordParts(client, adapter, Gateway(client, rest, receiver, backfill, lanes), people, live, tags, lanes)
