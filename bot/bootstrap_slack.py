"""Slack's part of the object graph; with `bot/bootstrap.py` the only namer of concrete classes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from bot.bootstrap import Frontdesk
from bot.bootstrap_control import control_of, run_control_of
from bot.bootstrap_corrections import corrections_of
from bot.bootstrap_handoffs import handoff_desk
from bot.door import Door
from bot.secrets import vault_keys
from bot.slack.adapter import SlackAdapter, Stores
from bot.slack.buttons import Buttons, Desk
from bot.slack.client import open_session
from bot.slack.events import PLATFORM
from bot.slack.home import Home
from bot.slack.install_pages import InstallPages
from bot.slack.install_states import InstallStates
from bot.slack.installations import VaultWorkspaces
from bot.slack.live import LivePreviews
from bot.slack.oauth import OAuth
from bot.slack.parts import SlackParts
from bot.slack.people import People, rule_of
from bot.slack.receiver import Receiver
from bot.slack.service import SlackService
from bot.slack.slash import Slash
from bot.slack.staff_messages import StaffMessages
from bot.slack.windows import Windows
from bot.slack.workspaces import OneWorkspace, Workspaces
from bot.staff_threads import StaffThreads
from core.presence import Mode
from core.staff.actions import Actions
from core.staff.commands import Commands
from core.staff.rights import Rule
from core.storage.channels import SqlChannels
from core.storage.drafts import SqlDrafts
from core.storage.feedback import SqlFeedbackLog
from core.storage.handoff_book import SqlHandoffBook
from core.storage.learning_runs import SqlRunBook
from core.storage.previews import SqlPreviews
from core.storage.turn_book import SqlTurnBook
from core.storage.vault import SqlVault
from core.vault import Vault
from retrieval.retriever import Reader


@asynccontextmanager
async def slack_of(graph: Frontdesk, reader: Reader) -> AsyncIterator[SlackParts]:
    """Give everything of Slack that a process may need, on one pool of connections."""

    async def texts(passage_ids: tuple[str, ...]) -> tuple[str, ...]:
        found = [await reader.passage(passage_id) for passage_id in passage_ids]
        return tuple(passage.text for passage in found if passage)

    asked, database = graph.settings.slack, graph.database
    vault, previews, turns = SqlVault(database, vault_keys(graph.settings)), SqlPreviews(database), SqlTurnBook(database)
    live = LivePreviews(previews)
    async with open_session() as session:
        oauth = OAuth(asked.client_id, asked.client_secret, asked.api_url, session)
        many = VaultWorkspaces(vault, oauth) if asked.client_id else None
        pages = InstallPages(oauth, many, InstallStates(vault), asked.public_url) if many else None
        workspaces = many or OneWorkspace(asked.bot_token, asked.api_url, session)
        await workspaces.check()
        run_book = SqlRunBook(database)
        told = StaffMessages(workspaces, turns, SqlHandoffBook(database), asked.oncall_group)
        adapter = SlackAdapter(
            workspaces, Stores(turns, previews, vault, run_book, texts), live, told, asked.staff_channel, asked.home_workspace
        )
        service = _service(graph, workspaces, adapter, turns, vault, reader)
        try:
            yield SlackParts(asked, adapter, service, pages)
        finally:
            await live.aclose()
            await workspaces.aclose()


def _service(
    graph: Frontdesk, workspaces: Workspaces, adapter: SlackAdapter, turns: SqlTurnBook, vault: Vault, reader: Reader
) -> SlackService:
    database, audit, privacy = graph.database, graph.audit_log, graph.privacy_desk
    asked = graph.settings.slack
    people, channels = People(rule_of(asked), many=bool(asked.client_id)), SqlChannels(database)
    log, corrections = graph.conversation_log, corrections_of(graph)
    feedback, drafts = SqlFeedbackLog(database), SqlDrafts(database)
    handoffs = handoff_desk(graph.settings, database, audit)
    actions = Actions(graph.dispatch.accept, turns, feedback, drafts, log, audit, corrections, handoffs.unhappy)

    def commands(rules: Mapping[str, Rule]) -> Commands:
        drafts = {PLATFORM} if asked.staff_channel else set()
        control, runs = control_of(graph), run_control_of(graph)
        return Commands(rules, audit, channels, graph.knowledge_store, graph.inbox.backlog, control, drafts, runs)

    desk = Desk(graph.dispatch, actions, turns, people, vault, reader.passage, handoffs)
    door = Door(graph.dispatch, channels, log, Mode(asked.mode), StaffThreads(handoffs, asked.staff_channel))
    return SlackService(
        workspaces,
        adapter,
        Receiver(workspaces, graph.dispatch, graph.outbox, door, people),
        Buttons(desk),
        Windows(desk),
        Slash(desk, vault, privacy, commands),
        Home(graph.dispatch.accept, turns, privacy, reader.titles, graph.settings.retention_days),
    )
