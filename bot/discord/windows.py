"""What staff and customers send in a window, and the entries of a message's menu that open one for staff."""

from __future__ import annotations

import asyncio
from functools import partial

import discord

from bot import forms
from bot.discord.buttons import WINDOW_SECONDS, turn_in
from bot.discord.interactions import PLATFORM, Desk, Interaction, by_of, deferred, guarded, helper_of, say
from bot.discord.modals import Sent, open_form, sent_in
from core.domain import Address
from core.handoff import word_key
from core.review import TurnRecord
from core.staff.actions import SENT, THANKS, TOO_LATE, Act, By, NotAllowedError

CORRECT_ANSWER, TEACH = "Correct this answer", "Teach Frontdesk"
_NO_ANSWER_HERE = "Choose this on an answer of mine, at its buttons: this message is none, or it is older than I remember."
_PROPOSED = "Thank you! Your proposal waits for an admin; nothing changes before one has approved it."
_LATE = "That took too long for Discord to open a window. Please try again."
_GONE = "This answer is older than I remember, so nothing was kept."


class Windows:
    """Corrections, lessons, reasons and edited drafts."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def correct(self, interaction: Interaction, message: discord.Message) -> None:
        """Open the window in which staff correct an answer."""
        await guarded(interaction, self._choose(interaction, message, forms.CORRECT))

    async def teach(self, interaction: Interaction, message: discord.Message) -> None:
        """Open the window in which staff make a FAQ entry of a message."""
        await guarded(interaction, self._choose(interaction, message, forms.TEACH))

    async def submitted(self, interaction: Interaction) -> None:
        """Keep what a window of ours holds; for every event `on_interaction`, which others than windows pass through untouched."""
        sent = sent_in(interaction)
        if sent is not None:
            await guarded(interaction, self._submit(interaction, sent))

    async def _choose(self, interaction: Interaction, message: discord.Message, name: str) -> None:
        by = by_of(interaction)
        try:
            async with asyncio.timeout(WINDOW_SECONDS):
                verdict = await self._desk.people.is_staff(by.workspace_id, interaction.user)
                await self._desk.actions.require(by, f"shortcut.{name}", str(message.id), verdict)
                form, turn_id = await self._form(interaction, message, name, by)
        except TimeoutError:
            await say(interaction, _LATE)
            return
        await open_form(interaction, form, turn_id)

    async def _form(self, interaction: Interaction, message: discord.Message, name: str, by: By) -> tuple[forms.Form, str]:
        if name == forms.TEACH:
            turn_id, question = await self._question(interaction, by)
            return forms.lesson(question, message.content), turn_id
        turn = await self._turn_of(interaction, message, by)
        if turn is None:
            raise NotAllowedError(_NO_ANSWER_HERE)
        return forms.correction(turn.question, turn.reply.text), turn.turn_id

    async def _turn_of(self, interaction: Interaction, message: discord.Message, by: By) -> TurnRecord | None:
        """The turn that a message of ours brought: its buttons name it; without any it is looked up by where it is."""
        if message.author.id != interaction.application_id and (
            interaction.client.user is None or message.author != interaction.client.user
        ):
            return None
        turn_id = turn_in(message.components)
        if not turn_id:
            found = await self._desk.turns.turn_by_reference(PLATFORM, f"{message.channel.id}/{message.id}")
            turn_id = found.turn_id if found else ""
        return await self._desk.actions.turn_here(by, turn_id)

    async def _question(self, interaction: Interaction, by: By) -> tuple[str, str]:
        """The turn with which the conversation began, and its question, which the chosen message answers."""
        address = Address(PLATFORM, by.workspace_id, by.channel_id, str(interaction.channel_id))
        turns = await self._desk.turns.conversation_at(address)
        return (turns[-1].turn_id, turns[-1].question) if turns else ("", "")

    async def _submit(self, interaction: Interaction, sent: Sent) -> None:
        await deferred(interaction, ephemeral=True, thinking=True)
        by = by_of(interaction)
        match sent.form:
            case forms.FEEDBACK:
                said = await self._complain(by, sent)
            case forms.ANSWER:
                said = await self._answer(interaction, by, sent)
            case forms.EDIT_DRAFT:
                said = await self._send_draft(interaction, by, sent)
            case _:
                said = await self._propose(interaction, by, sent)
        await say(interaction, said)

    async def _complain(self, by: By, sent: Sent) -> str:
        turn = await self._desk.actions.turn_here(by, sent.turn_id)
        if turn is None:
            return _GONE
        reason, note = sent.values.get("reason", ""), sent.values.get("note", "")
        await self._desk.actions.judge(by, turn, helpful=False, reason=reason, comment=note)
        return THANKS

    async def _send_draft(self, interaction: Interaction, by: By, sent: Sent) -> str:
        turn = await self._desk.actions.turn(
            by, Act.EDIT, sent.turn_id, lambda: self._desk.people.is_staff(by.workspace_id, interaction.user)
        )
        return SENT if await self._desk.actions.send_draft(by, turn, sent.values.get("text", "")) else TOO_LATE

    async def _answer(self, interaction: Interaction, by: By, sent: Sent) -> str:
        """Send what a member of staff wrote to a customer."""
        staff = partial(self._desk.people.is_staff, by.workspace_id, interaction.user)
        handoff = await self._desk.handoffs.in_window(by, sent.turn_id, staff)
        text, key = sent.values.get("text", ""), word_key(PLATFORM, "window", str(interaction.id))
        return await self._desk.handoffs.write(handoff, helper_of(interaction), text, key) or SENT

    async def _propose(self, interaction: Interaction, by: By, sent: Sent) -> str:
        verdict = await self._desk.people.is_staff(by.workspace_id, interaction.user)
        await self._desk.actions.correct(by, sent.turn_id, sent.values, verdict)
        return _PROPOSED
