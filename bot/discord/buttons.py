"""Buttons under replies, drafts and alerts: what they are about stands in their ids, so that any process serves them at any time."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Sequence
from functools import partial
from typing import Any, Self

import discord
from discord import ui

from bot import forms, replies
from bot.discord import messages
from bot.discord.interactions import PLATFORM, QUIET, Desk, Interaction, by_of, deferred, guarded, helper_of, order_key_of, say
from bot.discord.modals import open_form
from bot.discord.tags import Mark, Tags
from bot.replies import Choice
from core.domain import Action
from core.ports import Delivery
from core.review import TurnRecord
from core.staff.actions import EXPIRED, NOT_YOURS, SHARED_BEFORE, Act, NotAllowedError

logger = logging.getLogger(__name__)

SOLVED = Choice(Act.SOLVED, "Solved", style="primary")
WINDOW_SECONDS = 2.0  # Discord gives three to open a window, and a deferred one cannot be opened any more
_LATE = "That took too long for Discord to open a window. Please press again."
_CLOSED = "This question is marked as solved. Write here if it is not."
_MAY_NOT = "I may not change this post: please ask the team to give me the permission Manage Threads."
_STYLES = {"primary": discord.ButtonStyle.primary, "danger": discord.ButtonStyle.danger, "": discord.ButtonStyle.secondary}
_NAMES = "|".join(act for act in Act if not act.is_about_run)  # those are for `Slash`, as all that only admins may
_OURS = rf"fd:(?:{'|'.join(Act)}|confirm):[\w-]{{1,64}}"


def view_for(delivery: Delivery, *, in_forum: bool = False) -> ui.View | None:
    """Return what can be pressed under a delivery, None for nothing; `in_forum`: it answers a post. Needs a running loop."""
    match delivery.action:
        case Action.DRAFT:
            return _view(delivery.turn_id, replies.OF_DRAFT)
    offered = replies.choices(delivery)
    return _view(delivery.turn_id, [*offered, SOLVED] if in_forum and delivery.reply.decision.answers else offered)


def private_view_for(delivery: Delivery) -> ui.View | None:
    """Return what can be pressed under an answer that one person sees."""
    return _view(delivery.turn_id, [*replies.choices(delivery), replies.SHARE])


def hand_back_view(turn_id: str) -> ui.View | None:
    """Return the button that gives a conversation back to the bot."""
    return _view(turn_id, [replies.HAND_BACK])


def view_of(handoff_id: str, offered: Sequence[Choice]) -> ui.View | None:
    """Return what can be done with a hand-off."""
    return _view(handoff_id, offered)


def as_option(view: ui.View | None) -> dict[str, Any]:
    """Return a view as an option of whatever sends a message: discord.py takes no None for it."""
    return {"view": view} if view else {}


def turn_in(components: Sequence[Any]) -> str:
    """Return the turn that the buttons of a message of ours belong to, empty when there are none."""
    ids = [str(getattr(child, "custom_id", "")) for row in components for child in getattr(row, "children", ())]
    return next((one.split(":")[2] for one in ids if re.fullmatch(_OURS, one)), "")


def _view(turn_id: str, offered: Sequence[Choice]) -> ui.View | None:
    if not (offered and turn_id):
        return None
    view = ui.View(timeout=None)
    for one in offered:
        view.add_item(ui.Button(label=one.label, style=_STYLES[one.style], custom_id=f"fd:{one.act}:{turn_id}"))
    view.stop()  # presses come by the pattern of their ids: the library need not remember every message
    return view


class Buttons:
    """Does what a button says, after looking up what it belongs to."""

    def __init__(self, desk: Desk, tags: Tags) -> None:
        self._desk = desk
        self._tags = tags

    def items(self) -> tuple[type[ui.DynamicItem[Any]], ...]:
        """Return what to register with `Client.add_dynamic_items`; an id that is old or not ours is told to be expired."""
        buttons = self

        class Pressed(ui.DynamicItem[ui.Button[Any]], template=rf"fd:(?P<act>{_NAMES}):(?P<turn>[\w-]{{1,64}})"):
            def __init__(self, item: ui.Item[Any], act: Act, turn_id: str) -> None:
                super().__init__(item)  # type: ignore[arg-type]  # a menu under such an id would do as well
                self.act, self.turn_id = act, turn_id

            @classmethod
            async def from_custom_id(cls, _: Interaction, item: ui.Item[Any], found: re.Match[str], /) -> Self:
                return cls(item, Act(found["act"]), found["turn"])

            async def callback(self, interaction: Interaction) -> None:
                await guarded(interaction, buttons.press(interaction, self.act, self.turn_id))

        class Unknown(ui.DynamicItem[ui.Button[Any]], template=rf"(?!{_OURS}\Z)(?s:.*)"):
            @classmethod
            async def from_custom_id(cls, _: Interaction, item: ui.Item[Any], found: re.Match[str], /) -> Self:
                return cls(item)  # type: ignore[arg-type]

            async def callback(self, interaction: Interaction) -> None:
                await guarded(interaction, say(interaction, EXPIRED))

        return Pressed, Unknown

    async def press(self, interaction: Interaction, act: Act, turn_id: str) -> None:
        """Do what the button says, and tell who pressed it what came of it. Raises `NotAllowedError`."""
        if act in (Act.BAD, Act.EDIT):
            await self._open(interaction, act, turn_id)
            return
        if act.is_about_handoff:
            await self._hand_over(interaction, act, turn_id)
            return
        await deferred(interaction)
        turn = await self._turn(interaction, act, turn_id)
        match act:
            case Act.SOURCES:
                await say(interaction, *messages.sources(await self._desk.passages(turn)))
            case Act.SHARE:
                await self._share(interaction, turn)
            case Act.SOLVED:
                await self._solve(interaction, turn)
            case _:
                said = await self._press(interaction, act, turn)
                if said:
                    await say(interaction, said)

    async def _hand_over(self, interaction: Interaction, act: Act, handoff_id: str) -> None:
        """Do what a button of a hand-off says."""
        by = by_of(interaction)
        staff = partial(self._desk.people.is_staff, by.workspace_id, interaction.user)
        if act is Act.ANSWER:
            await self._desk.handoffs.at_button(by, act, handoff_id, staff)
            await open_form(interaction, forms.answer(), handoff_id)
            return
        await deferred(interaction)
        handoff = await self._desk.handoffs.at_button(by, act, handoff_id, staff)
        said = await self._desk.handoffs.press(act, handoff, helper_of(interaction))
        if said:
            await say(interaction, said)

    async def _turn(self, interaction: Interaction, act: Act, turn_id: str) -> TurnRecord:
        by = by_of(interaction)
        return await self._desk.actions.turn(by, act, turn_id, partial(self._desk.people.is_staff, by.workspace_id, interaction.user))

    async def _press(self, interaction: Interaction, act: Act, turn: TurnRecord) -> str:
        by, key = by_of(interaction), order_key_of(interaction)
        return await self._desk.actions.press(by, act, turn, order_key=key, press_id=str(interaction.id))

    async def _open(self, interaction: Interaction, act: Act, turn_id: str) -> None:
        try:
            async with asyncio.timeout(WINDOW_SECONDS):
                turn = await self._turn(interaction, act, turn_id)
                if act is Act.BAD:
                    await self._press(interaction, act, turn)
        except TimeoutError:
            await say(interaction, _LATE)
            return
        form = forms.feedback() if act is Act.BAD else forms.edited_draft(turn.reply.text)
        await open_form(interaction, form, turn.turn_id)

    async def _share(self, interaction: Interaction, turn: TurnRecord) -> None:
        """Show a private answer to the channel, once; the private one goes, and with it the button."""
        if turn.actor_id != str(interaction.user.id):
            raise NotAllowedError(NOT_YOURS)
        if not await self._desk.shares_first(PLATFORM, turn):
            raise NotAllowedError(SHARED_BEFORE)
        delivery = Delivery(
            0, "", turn.address, turn.turn_id, turn.reply, f"{turn.turn_id}-share", 1, uncertain=False, asked_at=turn.asked_at
        )
        texts = tuple(passage.text for passage in await self._desk.passages(turn))
        *first, last = messages.shared(delivery, turn.question, texts)
        for text in first:
            await interaction.followup.send(text, **QUIET)
        await interaction.followup.send(last, **QUIET, **as_option(view_for(delivery)))
        await interaction.delete_original_response()

    async def _solve(self, interaction: Interaction, turn: TurnRecord) -> None:
        """Mark a post as solved, for its asker and for staff."""
        by, post = by_of(interaction), interaction.channel
        if not isinstance(post, discord.Thread) or str(post.id) != turn.address.thread_id or not await self._tags.is_post(turn.address):
            raise NotAllowedError(NOT_YOURS)
        if by.user_id != turn.actor_id:
            await self._desk.actions.require(
                by, "button.solved", turn.turn_id, await self._desk.people.is_staff(by.workspace_id, interaction.user)
            )
        try:
            await say(interaction, _CLOSED)  # before it is put away: writing in it would bring it back
            await self._tags.mark(turn.address, Mark.SOLVED)
            await post.edit(archived=True)
        except discord.Forbidden:
            raise NotAllowedError(_MAY_NOT) from None
