"""Slash commands: a private answer for customers, and what admins can have done."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from bot.replies import ERASED
from bot.slack.adapter import PLATFORM, PRIVATE, route_of
from bot.slack.buttons import Desk
from bot.slack.interactions import Command
from bot.slack.workspaces import Workspace
from core.domain import Actor, Address, InboundMessage, utc_now
from core.privacy import PrivacyDesk
from core.staff.commands import Caller, Commands, Outcome
from core.staff.rights import Rule
from core.vault import Vault

_ROUTE_LASTS = timedelta(minutes=29)  # Slack takes answers for half an hour
_MOST_SHOWN = 30_000
USAGE = "`/support QUESTION` answers you alone. `/support privacy export` and `/support privacy delete` are about your own data."
ADMIN_USAGE = (
    "`/support-admin status`\n`/support-admin channel off|mention|thread|confident|draft` sets where I speak in this channel\n"
    "`/support-admin mute` and `/support-admin unmute`\n`/support-admin knowledge [NAME [VERSION]]` lists, or serves that version again\n"
    "`/support-admin reload` and `/support-admin rollback [KIND]` for models"
)
_LOOKING = "Looking through the help articles…"


class Slash:
    """`/support` and `/support-admin`, under whatever names the manifest gives them."""

    def __init__(self, desk: Desk, vault: Vault, privacy: PrivacyDesk, commands: Callable[[Mapping[str, Rule]], Commands]) -> None:
        """`commands` makes the commands for the rules of a workspace."""
        self._desk = desk
        self._vault = vault
        self._privacy = privacy
        self._commands = commands

    async def run(self, workspace: Workspace, command: Command) -> dict[str, Any]:
        """Return what the one who typed it sees."""
        if command.name.endswith("-admin"):
            return _said((await self._administer(workspace, command)).text)
        words = command.text.split()
        if not words or words == ["help"]:
            return _said(USAGE)
        if words[0] == "privacy":
            return _said(await self._privacy_of(workspace, command, words[1:]))
        return _said(await self._ask(workspace, command))

    async def _ask(self, workspace: Workspace, command: Command) -> str:
        """Accept the question; its conversation is one that only this person sees."""
        now = utc_now()
        address = Address(PLATFORM, workspace.workspace_id, command.channel_id, PRIVATE + command.trigger_id[:80])
        await self._vault.put(route_of(address), command.response_url.encode(), now + _ROUTE_LASTS)
        message = InboundMessage(f"command-{command.trigger_id}"[:100], address, Actor(command.who.user_id), command.text, now)
        await self._desk.dispatch.accept(message)
        return _LOOKING

    async def _privacy_of(self, workspace: Workspace, command: Command, words: list[str]) -> str:
        mine = (PLATFORM, workspace.workspace_id, command.who.user_id)
        match words:
            case ["export"]:
                return export_text(await self._privacy.export(*mine))
            case ["delete"]:
                await self._privacy.erase(*mine)
                return ERASED
            case _:
                return USAGE

    async def _administer(self, workspace: Workspace, command: Command) -> Outcome:
        person, rule = await self._desk.people.person_and_rule(workspace, command.who.user_id)
        commands = self._commands({PLATFORM: rule})
        caller = Caller(person, PLATFORM, workspace.workspace_id, command.channel_id)
        match _words(command.text):
            case ["status"]:
                return await commands.status(caller)
            case ["reload"]:
                return await commands.reload(caller)
            case ["rollback", *kind]:
                return await commands.rollback(caller, kind[0] if kind else "generator")
            case ["channel", mode]:
                return await commands.set_mode(caller, command.channel_id, mode)
            case ["mute"]:
                return await commands.mute(caller, command.channel_id)
            case ["unmute"]:
                return await commands.unmute(caller, command.channel_id)
            case ["knowledge", *rest] if len(rest) <= 2:
                return await commands.knowledge(caller, *rest)
            case _:
                return Outcome(False, ADMIN_USAGE)


def export_text(document: Mapping[str, Any]) -> str:
    """Return somebody's data as text for one message; a long one says how to get all of it."""
    text = json.dumps(document, indent=1, ensure_ascii=False, default=str).replace("```", "'''")
    cut = "\nThis is only the beginning: ask the team for the whole file." if len(text) > _MOST_SHOWN else ""
    return f"```{text[:_MOST_SHOWN]}```{cut}".replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # a quote that is not closed
        return text.split()


def _said(text: str) -> dict[str, Any]:
    return {"response_type": "ephemeral", "text": text}
