"""The App Home: what the bot is, what may be asked, and what is kept of somebody."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from bot.slack import views
from bot.slack.buttons import order_key_of
from bot.slack.client import QUIET
from bot.slack.events import PLATFORM, PRIVATE
from bot.slack.interactions import Pressed
from bot.slack.kit import quotation
from bot.slack.payload import Payload, part, word
from bot.slack.slash import export_text
from bot.slack.workspaces import Workspace
from core.domain import Actor, Address, Decision, InboundMessage
from core.errors import DeliveryError
from core.privacy import PrivacyDesk
from core.review import TurnBook, TurnRecord

_EXAMPLES = 4
_STATES = {
    Decision.DIRECT: "Answered",
    Decision.ANSWER: "Answered",
    Decision.CLARIFY: "I asked back",
    Decision.HANDOFF: "With our team",
    Decision.SILENT: "With our team",
}


class Home:
    """Publishes the Home of whoever opens it."""

    def __init__(
        self,
        accept: Callable[[InboundMessage], Awaitable[object]],
        turns: TurnBook,
        privacy: PrivacyDesk,
        examples: Callable[[int], Awaitable[tuple[str, ...]]],
        kept_days: int,
    ) -> None:
        """`accept` takes a message as if it had been written; `examples` gives questions; texts are kept for `kept_days`, 0: for ever."""
        self._accept = accept
        self._kept_days = kept_days
        self._turns = turns
        self._privacy = privacy
        self._examples = examples

    async def opened(self, workspace: Workspace, body: Payload) -> None:
        """Show the tab that somebody opened."""
        event = part(body, "event")
        if word(event, "tab") == "messages":
            await self._suggest(workspace, word(event, "channel"))
        else:
            await self._publish(workspace, word(event, "user"))

    async def press(self, workspace: Workspace, pressed: Pressed) -> None:
        """Do what a button of the Home says; the answer comes as a private message of the bot."""
        user_id = pressed.who.user_id
        match pressed.action_id:
            case "ask_example":
                await self._ask(workspace, user_id, pressed.value)
            case "privacy_export":
                document = await self._privacy.export(PLATFORM, workspace.workspace_id, user_id)
                await self._write(workspace, user_id, export_text(document))
            case "privacy_delete":
                await self._privacy.erase(PLATFORM, workspace.workspace_id, user_id)
                await self._write(workspace, user_id, "The text of everything you asked me is erased.")
                await self._publish(workspace, user_id)

    async def _ask(self, workspace: Workspace, user_id: str, question: str) -> None:
        """Write the question into the private conversation; the answer comes below it."""
        asked = await self._write(workspace, user_id, f"You asked:\n{quotation(question, 500)}")
        address = Address(PLATFORM, workspace.workspace_id, asked["channel"], asked["ts"])
        await self._accept(InboundMessage(asked["ts"], address, Actor(user_id), question, order_key=order_key_of(asked["ts"])))

    async def _write(self, workspace: Workspace, user_id: str, text: str) -> Payload:
        opened = await workspace.client.call("conversations.open", users=user_id)
        return await workspace.client.call("chat.postMessage", channel=opened["channel"]["id"], text=text, **QUIET)

    async def _publish(self, workspace: Workspace, user_id: str) -> None:
        recent = await self._turns.recent(PLATFORM, workspace.workspace_id, user_id, 5)
        asked = [await self._asked(workspace, turn) for turn in recent]
        view = views.home(await self._examples(_EXAMPLES), asked, self._kept_days)
        await workspace.client.call("views.publish", user_id=user_id, view=view)

    async def _asked(self, workspace: Workspace, turn: TurnRecord) -> views.Asked:
        return views.Asked(turn.question, _STATES[turn.reply.decision], await self._permalink(workspace, turn))

    async def _permalink(self, workspace: Workspace, turn: TurnRecord) -> str:
        at = turn.address
        if at.thread_id.startswith(PRIVATE):
            return ""
        try:
            return str((await workspace.client.ask("chat.getPermalink", channel=at.channel_id, message_ts=at.thread_id))["permalink"])
        except (DeliveryError, KeyError):
            return ""

    async def _suggest(self, workspace: Workspace, channel_id: str) -> None:
        prompts: list[dict[str, Any]] = [{"title": title[:75], "message": title} for title in await self._examples(_EXAMPLES)]
        if prompts and channel_id:
            await workspace.client.call("assistant.threads.setSuggestedPrompts", channel_id=channel_id, prompts=prompts)
