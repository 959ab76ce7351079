"""Slash commands: a private answer for customers, and what admins can have done."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from bot.replies import ERASED
from bot.slack.adapter import route_of
from bot.slack.buttons import Desk
from bot.slack.events import PLATFORM, PRIVATE
from bot.slack.interactions import CONFIRM, Command, Pressed, Who
from bot.slack.kit import Block, actions, button, section
from bot.slack.mrkdwn import escape
from bot.slack.workspaces import Workspace
from core.domain import Actor, Address, InboundMessage, utc_now
from core.presence import EVERYWHERE
from core.privacy import PrivacyDesk
from core.staff.actions import NotAllowedError
from core.staff.commands import Caller, Commands, Order, Outcome
from core.staff.confirmations import Confirmations
from core.staff.rights import Rule
from core.vault import Vault

_ROUTE_LASTS = timedelta(minutes=29)  # Slack takes answers for half an hour
_MOST_SHOWN = 30_000
USAGE = "`/support QUESTION` answers you alone. `/support privacy export` and `/support privacy delete` are about your own data."
ADMIN_USAGE = (
    "`/support-admin status`\n`/support-admin channel off|mention|thread|confident|draft` sets where I speak in this channel\n"
    "`/support-admin mute [everywhere]` and `/support-admin unmute [everywhere]`\n"
    "`/support-admin knowledge [NAME [VERSION]]` lists, or serves that version again\n"
    "`/support-admin reload`, `/support-admin promote ID`, `/support-admin rollback [KIND]`, `/support-admin canary 10% [ID]` and "
    "`/support-admin canary off` for models"
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
        self._confirmations = Confirmations(vault)

    async def run(self, workspace: Workspace, command: Command) -> dict[str, Any]:
        """Return what the one who typed it sees."""
        if command.name.endswith("-admin"):
            return await self._administer(workspace, command)
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

    async def confirm(self, workspace: Workspace, pressed: Pressed) -> None:
        """Carry out what somebody confirms, and tell them what came of it."""
        caller, commands = await self._caller(workspace, pressed.who, pressed.channel_id)
        try:
            order = await self._confirmations.take(caller, pressed.value)
            said = (await commands.carry_out(caller, order)).text
        except NotAllowedError as error:
            said = str(error)
        await self._desk.tell(workspace, pressed, said)

    async def decide(self, workspace: Workspace, pressed: Pressed) -> None:
        """Do what an admin presses under the news of a run of the learning loop, and tell them what came of it."""
        caller, commands = await self._caller(workspace, pressed.who, pressed.channel_id)
        await self._desk.tell(workspace, pressed, (await commands.carry_out(caller, Order(pressed.action_id, pressed.value))).text)

    async def _caller(self, workspace: Workspace, who: Who, channel_id: str) -> tuple[Caller, Commands]:
        person, rule = await self._desk.people.person_and_rule(workspace, who.user_id)
        return Caller(person, PLATFORM, workspace.workspace_id, channel_id), self._commands({PLATFORM: rule})

    async def _administer(self, workspace: Workspace, command: Command) -> dict[str, Any]:
        caller, commands = await self._caller(workspace, command.who, command.channel_id)
        match _words(command.text):
            case [("reload" | "promote" | "rollback" | "canary") as name, *rest]:
                return await self._ask_back(caller, commands, Order(name, " ".join(rest)))
            case words:
                return _said((await _administered(caller, commands, command.channel_id, words)).text)

    async def _ask_back(self, caller: Caller, commands: Commands, order: Order) -> dict[str, Any]:
        """Ask whoever may give an order whether they mean it; models change for every customer."""
        asked = await commands.propose(caller, order)
        if not asked.ok:
            return _said(asked.text)
        return _said(asked.text) | {"blocks": confirmation(asked.text, await self._confirmations.ask(caller, order))}


async def _administered(caller: Caller, commands: Commands, channel_id: str, words: list[str]) -> Outcome:
    match words:
        case ["status"]:
            return await commands.status(caller)
        case ["mute", "everywhere"]:
            return await commands.mute(caller, EVERYWHERE)
        case ["unmute", "everywhere"]:
            return await commands.unmute(caller, EVERYWHERE)
        case ["channel", mode]:
            return await commands.set_mode(caller, channel_id, mode)
        case ["mute"]:
            return await commands.mute(caller, channel_id)
        case ["unmute"]:
            return await commands.unmute(caller, channel_id)
        case ["knowledge", *rest] if len(rest) <= 2:
            return await commands.knowledge(caller, *rest)
        case _:
            return Outcome(False, ADMIN_USAGE)


def confirmation(question: str, token: str) -> list[Block]:
    """Return a question and the button that confirms the order of `token`."""
    return [section(escape(question)), actions([button(CONFIRM, "Yes", token, says=question, style="primary")])]


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
