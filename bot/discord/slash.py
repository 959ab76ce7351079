"""Slash commands: a private answer for customers, and what admins can have done in the operator's own guild."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, Literal, Self

import discord
from discord import app_commands, ui

from bot.discord.interactions import DIRECT, LATE, PLATFORM, Desk, Interaction, by_of, channel_id_of, deferred, guarded, say
from bot.discord.markdown import escape
from bot.discord.messages import MAX_PART
from bot.discord.private import in_direct, remember
from bot.discord.windows import CORRECT_ANSWER, TEACH, Windows
from bot.parting import fitted
from bot.replies import ABOUT, ERASED, kept
from core.domain import utc_now
from core.presence import EVERYWHERE, Mode
from core.privacy import PrivacyDesk
from core.staff.actions import Act
from core.staff.commands import Caller, Commands, Order, Outcome
from core.staff.confirmations import Confirmations
from core.staff.rights import Rule
from core.vault import Vault

logger = logging.getLogger(__name__)

_HOW = "Mention me, write to me in private, or use `/ask`: then only you see the answer. `/support privacy` shows or erases what I keep."
_GONE = "I no longer know this command like that. Please reload Discord and try again."
_CLAIMED = timedelta(minutes=2)  # so long a process that told Discord of its commands, and died, keeps others from it


class Slash:
    """`/ask`, `/support` and `/support-admin`."""

    def __init__(self, desk: Desk, privacy: PrivacyDesk, commands: Callable[[Mapping[str, Rule]], Commands], kept_days: int) -> None:
        """`commands` makes the commands for the rules of a guild; after `kept_days` texts are deleted, 0: never."""
        self._desk = desk
        self._privacy = privacy
        self._commands = commands
        self._kept_days = kept_days
        self._confirmations = Confirmations(desk.vault)

    async def status(self, interaction: Interaction) -> None:
        """Tell what the bot does, and what it keeps."""
        await say(interaction, f"{ABOUT} {_HOW}\n{kept(self._kept_days)}")

    async def ask(self, interaction: Interaction, question: str) -> None:
        """Accept a question; its answer comes to this person alone, by a direct message where Discord waits no longer."""
        is_late = await deferred(interaction, ephemeral=True, thinking=True) == LATE
        asked = await (in_direct(interaction, question) if is_late else remember(self._desk.vault, interaction, question))
        await self._desk.dispatch.accept(asked)

    async def privacy(self, interaction: Interaction, what: str) -> None:
        """Show somebody what is kept of them, here and in private, or erase it."""
        await deferred(interaction, ephemeral=True, thinking=True)
        by = by_of(interaction)
        places = tuple(dict.fromkeys((by.workspace_id, DIRECT)))
        if what == "delete":
            for place in places:
                await self._privacy.erase(PLATFORM, place, by.user_id)
            await say(interaction, ERASED)
            return
        kept = [await self._privacy.export(PLATFORM, place, by.user_id) for place in places]
        text = json.dumps(kept, indent=1, ensure_ascii=False, default=str)
        await say(interaction, "This is what I keep of you.", file=discord.File(io.BytesIO(text.encode()), "my-data.json"))

    async def administer(self, interaction: Interaction, work: Callable[[Commands, Caller, str], Awaitable[Outcome]]) -> None:
        """Have something done by the commands of admins, which judge whoever asks and keep a record."""
        await deferred(interaction, ephemeral=True, thinking=True)
        caller, commands = await self._caller(interaction)
        outcome = await work(commands, caller, channel_id_of(interaction))
        await say(interaction, fitted(outcome.text, MAX_PART, escape))

    async def ask_back(self, interaction: Interaction, order: Order) -> None:
        """Ask whoever may give an order whether they mean it; models change for every customer."""
        await deferred(interaction, ephemeral=True, thinking=True)
        caller, commands = await self._caller(interaction)
        asked = await commands.propose(caller, order)
        more: dict[str, Any] = {}
        if asked.ok:
            more["view"] = confirmation(await self._confirmations.ask(caller, order))
        await say(interaction, fitted(asked.text, MAX_PART, escape), **more)

    async def confirm(self, interaction: Interaction, token: str) -> None:
        """Carry out what somebody confirms, and tell them what came of it. Raises `NotAllowedError`."""
        await deferred(interaction, ephemeral=True, thinking=True)
        caller, commands = await self._caller(interaction)
        outcome = await commands.carry_out(caller, await self._confirmations.take(caller, token))
        await say(interaction, fitted(outcome.text, MAX_PART, escape))

    async def _caller(self, interaction: Interaction) -> tuple[Caller, Commands]:
        by = by_of(interaction)
        person, rule = await self._desk.people.person_and_rule(by.workspace_id, interaction.user)
        return Caller(person, PLATFORM, by.workspace_id, by.channel_id), self._commands({PLATFORM: rule})

    def button(self) -> type[ui.DynamicItem[Any]]:
        """Return the button that confirms an order, to register with `Client.add_dynamic_items`."""
        slash = self

        class Confirm(ui.DynamicItem[ui.Button[Any]], template=r"fd:confirm:(?P<token>[\w-]{1,64})"):
            def __init__(self, item: ui.Item[Any], token: str) -> None:
                super().__init__(item)  # type: ignore[arg-type]  # a menu under such an id would do as well
                self.token = token

            @classmethod
            async def from_custom_id(cls, _: Interaction, item: ui.Item[Any], found: re.Match[str], /) -> Self:
                return cls(item, found["token"])

            async def callback(self, interaction: Interaction) -> None:
                await guarded(interaction, slash.confirm(interaction, self.token))

        return Confirm

    async def decide(self, interaction: Interaction, act: Act, run_id: str) -> None:
        """Do what an admin presses under the news of a run of the learning loop, and tell them what came of it."""
        await deferred(interaction, ephemeral=True, thinking=True)
        caller, commands = await self._caller(interaction)
        outcome = await commands.carry_out(caller, Order(act, run_id))
        await say(interaction, fitted(outcome.text, MAX_PART, escape))

    def run_button(self) -> type[ui.DynamicItem[Any]]:
        """Return the buttons under the news of a run, to register with `Client.add_dynamic_items`."""
        slash, names = self, "|".join(act for act in Act if act.is_about_run)

        class Decide(ui.DynamicItem[ui.Button[Any]], template=rf"fd:(?P<act>{names}):(?P<run>[\w-]{{1,64}})"):
            def __init__(self, item: ui.Item[Any], act: Act, run_id: str) -> None:
                super().__init__(item)  # type: ignore[arg-type]  # a menu under such an id would do as well
                self.act, self.run_id = act, run_id

            @classmethod
            async def from_custom_id(cls, _: Interaction, item: ui.Item[Any], found: re.Match[str], /) -> Self:
                return cls(item, Act(found["act"]), found["run"])

            async def callback(self, interaction: Interaction) -> None:
                await guarded(interaction, slash.decide(interaction, self.act, self.run_id))

        return Decide


def confirmation(token: str) -> ui.View:
    """Return the button that confirms the order of `token`. Needs a running loop."""
    view = ui.View(timeout=None)
    view.add_item(ui.Button(label="Yes", style=discord.ButtonStyle.primary, custom_id=f"fd:confirm:{token}"))
    view.stop()  # the press comes by the pattern of its id
    return view


def add_commands(tree: app_commands.CommandTree[Any], slash: Slash, windows: Windows, home_guild: int | None) -> None:
    """Register everything that can be typed or chosen; what admins can have done only in the guild of the operator."""

    @tree.command(name="ask", description="Ask a question; only you see the answer.")
    async def ask(interaction: Interaction, question: app_commands.Range[str, 1, 4000]) -> None:
        await guarded(interaction, slash.ask(interaction, question))

    support = app_commands.Group(name="support", description="About this bot and your data.")

    @support.command(name="status", description="What I do and what I keep.")
    async def status(interaction: Interaction) -> None:
        await guarded(interaction, slash.status(interaction))

    @support.command(name="privacy", description="Show or erase what I keep of you.")
    async def privacy(interaction: Interaction, what: Literal["export", "delete"]) -> None:
        await guarded(interaction, slash.privacy(interaction, what))

    tree.add_command(support)
    tree.error(_failed)
    for name, opened in ((CORRECT_ANSWER, windows.correct), (TEACH, windows.teach)):
        menu = app_commands.ContextMenu(name=name, callback=_of_message(opened))
        menu.guild_only = True
        menu.default_permissions = discord.Permissions(manage_messages=True)
        tree.add_command(menu)
    if home_guild is not None:
        tree.add_command(_admin_group(slash), guild=discord.Object(home_guild))


async def _failed(interaction: Interaction, error: app_commands.AppCommandError) -> None:
    """What comes before a command of ours runs: it belongs to another version, or its options are not as they should be."""
    logger.info("a command in Discord was not understood: %s", error)
    await guarded(interaction, say(interaction, _GONE))


def _of_message(opened: Callable[[Interaction, discord.Message], Awaitable[None]]) -> Any:
    # The library reads the annotations of a plain function, and a bound method has one parameter too few.
    async def chosen(interaction: Interaction, message: discord.Message) -> None:
        await opened(interaction, message)

    return chosen


def _admin_group(slash: Slash) -> app_commands.Group:
    group = app_commands.Group(
        name="support-admin", description="For admins of the bot.", guild_only=True, default_permissions=discord.Permissions(0)
    )

    async def run(interaction: Interaction, work: Callable[[Commands, Caller, str], Awaitable[Outcome]]) -> None:
        await guarded(interaction, slash.administer(interaction, work))

    @group.command(name="status", description="What is served and what waits.")
    async def status(interaction: Interaction) -> None:
        await run(interaction, lambda commands, caller, _: commands.status(caller))

    @group.command(name="channel", description="Where I speak in this channel.")
    @app_commands.choices(mode=[app_commands.Choice(name=mode, value=mode) for mode in Mode])
    async def channel(interaction: Interaction, mode: str) -> None:
        await run(interaction, lambda commands, caller, channel_id: commands.set_mode(caller, channel_id, mode))

    @group.command(name="mute", description="Silence me in this channel, or everywhere.")
    async def mute(interaction: Interaction, everywhere: bool = False) -> None:
        await run(interaction, lambda commands, caller, channel_id: commands.mute(caller, EVERYWHERE if everywhere else channel_id))

    @group.command(name="unmute", description="Let me speak in this channel again, or everywhere.")
    async def unmute(interaction: Interaction, everywhere: bool = False) -> None:
        await run(interaction, lambda commands, caller, channel_id: commands.unmute(caller, EVERYWHERE if everywhere else channel_id))

    @group.command(name="knowledge", description="List what was published; with a version, serve that one again.")
    async def knowledge(interaction: Interaction, name: str = "", version: str = "") -> None:
        await run(interaction, lambda commands, caller, _: commands.knowledge(caller, name, version))

    _add_orders(group, slash)
    return group


def _add_orders(group: app_commands.Group, slash: Slash) -> None:
    """What changes models; each is confirmed by a button."""

    async def ask(interaction: Interaction, name: str, argument: str = "") -> None:
        await guarded(interaction, slash.ask_back(interaction, Order(name, argument)))

    @group.command(name="reload", description="Open the model that serves anew.")
    async def reload(interaction: Interaction) -> None:
        await ask(interaction, "reload")

    @group.command(name="promote", description="Serve another version of the model.")
    async def promote(interaction: Interaction, version: str) -> None:
        await ask(interaction, "promote", version)

    @group.command(name="rollback", description="Serve the model that served before.")
    async def rollback(interaction: Interaction, kind: str = "generator") -> None:
        await ask(interaction, "rollback", kind)

    @group.command(name="canary", description="Let a version answer a part of the conversations: 10%, 0% silently, or off.")
    async def canary(interaction: Interaction, share: str, version: str = "") -> None:
        await ask(interaction, "canary", f"{share} {version}".strip())


async def sync(tree: app_commands.CommandTree[Any], vault: Vault, guild: int | None = None) -> bool:
    """Tell Discord of the commands, global or of a guild, if they are others than it was last told of; return whether it was told.

    One process does so, for Discord counts. Raises what discord.py raises; then the next start tries again.
    """
    place = discord.Object(guild) if guild is not None else None
    told = json.dumps([command.to_dict(tree) for command in tree.get_commands(guild=place)], sort_keys=True)
    digest, name = hashlib.sha256(told.encode()).hexdigest(), f"discord-commands:{tree.client.application_id}:{guild or 'global'}"
    async with vault.locked(name) as known:
        if known.value in (digest.encode(), b"claimed " + digest.encode()):
            return False
        await known.replace(b"claimed " + digest.encode(), utc_now() + _CLAIMED)
    try:
        await tree.sync(guild=place)
    except BaseException:
        await vault.delete(name)
        raise
    await vault.put(name, digest.encode())
    logger.info("Discord was told of %s commands", f"the {guild}'s" if guild else "the global")
    return True
