"""Discord's part of the object graph; with `bot/bootstrap.py` the only namer of concrete classes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

from bot.bootstrap import Frontdesk
from bot.bootstrap_control import control_of, run_control_of
from bot.bootstrap_corrections import corrections_of
from bot.bootstrap_handoffs import handoff_desk
from bot.desk import Desk
from bot.door import Door
from bot.secrets import vault_keys
from bot.staff_threads import StaffThreads
from core.errors import SettingsError
from core.ports import Delivery
from core.presence import Mode
from core.staff.actions import Actions
from core.staff.commands import Commands
from core.staff.rights import Rule
from core.storage.channels import SqlChannels
from core.storage.drafts import SqlDrafts
from core.storage.feedback import SqlFeedbackLog
from core.storage.handoff_book import SqlHandoffBook
from core.storage.learning_runs import SqlRunBook
from core.storage.positions import SqlPositions
from core.storage.previews import SqlPreviews
from core.storage.slots import SqlSlots
from core.storage.turn_book import SqlTurnBook
from core.storage.vault import SqlVault
from core.vault import Vault
from retrieval.retriever import Reader

if TYPE_CHECKING:
    from bot.discord.parts import DiscordParts


@asynccontextmanager
async def discord_of(
    graph: Frontdesk, reader: Reader, ready_seconds: float = 2.0, seconds_apart: float = 5.0
) -> AsyncIterator[DiscordParts]:
    """Give everything of Discord that a process may need, on one pool of connections.

    The times are those of `FrontdeskClient` and `Sessions`. Raises `SettingsError` when the packages are not there, or the shards.
    """
    if find_spec("discord") is None:
        raise SettingsError("Discord needs packages that are not installed: pip install 'frontdesk[discord]'")
    from bot.discord.adapter import Stores
    from bot.discord.client import FrontdeskClient, shards_of
    from bot.discord.parts import assemble
    from bot.discord.private import answer_privately

    async def texts(passage_ids: tuple[str, ...]) -> tuple[str, ...]:
        found = [await reader.passage(passage_id) for passage_id in passage_ids]
        return tuple(passage.text for passage in found if passage)

    asked, database = graph.settings.discord, graph.database
    stores = Stores(SqlTurnBook(database), SqlPreviews(database), SqlHandoffBook(database), SqlRunBook(database), texts)
    threads = StaffThreads(handoff_desk(graph.settings, database, graph.audit_log), asked.staff_channel)
    door = Door(graph.dispatch, SqlChannels(database), graph.conversation_log, Mode(asked.mode), threads)
    vault = SqlVault(database, vault_keys(graph.settings))
    async with FrontdeskClient(asked.message_content, shards_of(asked.shards), ready_seconds) as client:

        async def privately(delivery: Delivery, cited: tuple[str, ...]) -> str:
            return await answer_privately(client, vault, delivery, cited)

        kept = SqlPositions(database), SqlSlots(database)
        parts = assemble(client, asked, stores, graph.dispatch, door, *kept, privately, seconds_apart)
        _offer(graph, parts, vault, reader)
        try:
            yield parts
        finally:
            await parts.live.aclose()
            await parts.tags.aclose()


def _offer(graph: Frontdesk, parts: DiscordParts, vault: Vault, reader: Reader) -> None:
    """Put buttons, windows and commands on the client of `parts`; Discord is told of the commands where the gateway is listened to."""
    from bot.discord.buttons import Buttons
    from bot.discord.interactions import PLATFORM
    from bot.discord.interactions import Desk as DiscordDesk
    from bot.discord.slash import Slash, add_commands, sync
    from bot.discord.windows import Windows

    asked, database, client = graph.settings.discord, graph.database, parts.client
    audit, channels, turns = graph.audit_log, SqlChannels(database), SqlTurnBook(database)
    feedback, drafts, corrections = SqlFeedbackLog(database), SqlDrafts(database), corrections_of(graph)
    handoffs = handoff_desk(graph.settings, database, audit)
    actions = Actions(graph.dispatch.accept, turns, feedback, drafts, graph.conversation_log, audit, corrections, handoffs.unhappy)
    desk: DiscordDesk = Desk(graph.dispatch, actions, turns, parts.people, vault, reader.passage, handoffs)

    def commands(rules: Mapping[str, Rule]) -> Commands:
        places = {PLATFORM} if asked.staff_channel else set()
        control, runs = control_of(graph), run_control_of(graph)
        return Commands(rules, audit, channels, graph.knowledge_store, graph.inbox.backlog, control, places, runs)

    windows, home = Windows(desk), int(asked.home_guild) if asked.home_guild else None
    slash = Slash(desk, graph.privacy_desk, commands, graph.settings.retention_days)
    client.add_dynamic_items(*Buttons(desk, parts.tags).items(), slash.button(), slash.run_button())
    add_commands(client.tree, slash, windows, home)
    client.submitted = windows.submitted

    async def announce() -> None:
        for guild in dict.fromkeys((None, home)):
            await sync(client.tree, vault, guild)

    parts.gateway.announce = announce
