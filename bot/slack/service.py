"""Everything of Slack in one process, put together."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Any

from bot.slack.adapter import SlackAdapter
from bot.slack.app import Interaction, Response
from bot.slack.buttons import Buttons
from bot.slack.home import Home
from bot.slack.interactions import CONFIRM, Command, Pressed, Shortcut, Submitted
from bot.slack.payload import Payload, part, word
from bot.slack.receiver import Consequence, Receiver, Taken, Withdrawn, owner_of
from bot.slack.slash import Slash
from bot.slack.windows import Windows
from bot.slack.workspaces import Workspaces
from core.staff.actions import Act

logger = logging.getLogger(__name__)

_SORRY = {"response_type": "ephemeral", "text": "Sorry, something went wrong on our side. Please try again in a minute."}
_OF_RUNS = frozenset(act for act in Act if act.is_about_run)
_HOME = frozenset({"ask_example", "privacy_export", "privacy_delete"})


@dataclass(frozen=True, slots=True)
class SlackService:
    """Answers what people do in Slack besides writing; a failure is told to whoever did it, in our words."""

    workspaces: Workspaces
    adapter: SlackAdapter
    receiver: Receiver
    buttons: Buttons
    windows: Windows
    slash: Slash
    home: Home

    async def interact(self, interaction: Interaction) -> Response:
        """Do it, and return what goes back with the acknowledgement; raises only where Slack itself tells the person."""
        try:
            return await self._do(interaction)
        except Exception:
            if isinstance(interaction, Submitted) or not interaction.response_url:
                raise  # Slack keeps the window open and says that it did not work
            logger.exception("what somebody did in Slack failed")
            if isinstance(interaction, Command):
                return _SORRY
            await self._tell(interaction, _SORRY)  # in the acknowledgement of a press nobody would see it
            return None

    async def _do(self, interaction: Interaction) -> Response:
        workspace = await self.workspaces.workspace(interaction.who.workspace_id)
        if workspace is None:
            return None
        match interaction:
            case Command():
                return await self.slash.run(workspace, interaction)
            case Submitted():
                return await self.windows.submit(workspace, interaction)
            case Shortcut():
                await self.windows.choose(workspace, interaction)
            case Pressed(action_id=action_id) if action_id in _HOME:
                await self.home.press(workspace, interaction)
            case Pressed(action_id=action_id) if action_id == CONFIRM:
                await self.slash.confirm(workspace, interaction)
            case Pressed(action_id=action_id) if action_id in _OF_RUNS:
                await self.slash.decide(workspace, interaction)
            case Pressed():
                await self.buttons.press(workspace, interaction)
        return None

    async def tell_late(self, interaction: Interaction, answering: Awaitable[Response]) -> None:
        """Tell what came of it when Slack no longer waits for the answer; a window is closed by then and hears nothing."""
        answer = await answering
        if answer is not None and not isinstance(interaction, Submitted) and interaction.response_url:
            await self._tell(interaction, answer)

    async def _tell(self, interaction: Command | Shortcut | Pressed, answer: Mapping[str, Any]) -> None:
        workspace = await self.workspaces.workspace(interaction.who.workspace_id)
        if workspace is not None:
            await workspace.client.respond(interaction.response_url, {"replace_original": False, **answer})

    async def observe(self, body: Payload) -> None:
        """Follow what is no message: the Home is opened, the app is removed."""
        match word(body, "event", "type"):
            case "app_home_opened":
                workspace = await self.receiver.workspace_of(body)
                if workspace is not None:
                    await self.home.opened(workspace, body)
            case "app_uninstalled":
                await self.workspaces.removed(owner_of(body))
            case "tokens_revoked" if part(body, "event", "tokens").get("bot"):
                await self.workspaces.removed(owner_of(body))

    async def follow(self, consequence: Consequence) -> None:
        """Take away what is shown of an answer that will not come, and tell staff what their word in a thread means."""
        match consequence:
            case Withdrawn(address=address):
                await self.adapter.withdraw(address)
            case Taken(message=message, workspace=workspace):
                await self.adapter.withdraw(message.address)
                await self.buttons.took_over(workspace, message)
