"""The platforms as a conversation sees them: one set of verbs, so that one scenario tells what the bot does on each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Protocol

from core.presence import Mode
from core.storage.channels import SqlChannels
from core.storage.database import Database
from tests.bot.discord import office as in_discord
from tests.bot.slack import office as in_slack
from tests.servers import discord_state
from tests.servers.discord import DiscordPlatform
from tests.servers.slack import SlackPlatform
from tests.servers.slack_state import Channel

ANN, BOB = "ann", "bob"  # a customer, and staff


class Surface(Protocol):
    """One platform with a Frontdesk behind it. What is said is named by an id, and a question names the thread below it."""

    desk: Any

    async def ask(self, text: str, who: str = ANN) -> Any:
        """Somebody mentions the bot in the help channel."""
        ...

    async def say(self, text: str, who: str = ANN, below: Any = None) -> Any:
        """Somebody writes in the help channel, or in the thread below a question, without a mention."""
        ...

    async def direct(self, text: str) -> Any:
        """The customer writes to the bot alone."""
        ...

    async def edit(self, message: Any, text: str) -> None:
        """The customer changes a question."""
        ...

    async def remove(self, message: Any) -> None:
        """The customer takes a question back."""
        ...

    def said(self, below: Any) -> list[str]:
        """What the bot said in the thread below a question."""
        ...

    def said_directly(self) -> list[str]:
        """What the bot said to the customer alone."""
        ...

    def said_to_staff(self) -> list[str]:
        """What the bot said in the channel of staff."""
        ...

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until it holds of what stands in the channels."""
        ...

    async def set_mode(self, mode: Mode) -> None:
        """Set how much the bot takes part in the help channel."""
        ...


class InSlack:
    """Slack, over HTTP."""

    _people: ClassVar = {ANN: in_slack.ANN, BOB: in_slack.BOB}

    def __init__(self, desk: in_slack.Office) -> None:
        self.desk = desk

    async def ask(self, text: str, who: str = ANN) -> Any:
        """See `Surface.ask`."""
        return await self.desk.slack.say(self._people[who], in_slack.HELP, f"<@{in_slack.BOT}> {text}")

    async def say(self, text: str, who: str = ANN, below: Any = None) -> Any:
        """See `Surface.say`."""
        return await self.desk.slack.say(self._people[who], in_slack.HELP, text, thread_ts=below)

    async def direct(self, text: str) -> Any:
        """See `Surface.direct`."""
        return await self.desk.slack.say(in_slack.ANN, in_slack.DIRECT, text)

    async def edit(self, message: Any, text: str) -> None:
        """See `Surface.edit`."""
        await self.desk.slack.edit(in_slack.HELP, message, f"<@{in_slack.BOT}> {text}")

    async def remove(self, message: Any) -> None:
        """See `Surface.remove`."""
        await self.desk.slack.remove(in_slack.HELP, message)

    def said(self, below: Any) -> list[str]:
        """See `Surface.said`."""
        return self.desk.texts(in_slack.HELP, below)

    def said_directly(self) -> list[str]:
        """See `Surface.said_directly`."""
        return [in_slack.said(message) for message in self.desk.slack.by_bot(in_slack.DIRECT)]

    def said_to_staff(self) -> list[str]:
        """See `Surface.said_to_staff`."""
        return [in_slack.said(message) for message in self.desk.slack.by_bot(in_slack.STAFF_ROOM)]

    async def until(self, condition: Callable[[], object]) -> None:
        """See `Surface.until`."""
        await self.desk.slack.until(condition)

    async def set_mode(self, mode: Mode) -> None:
        """See `Surface.set_mode`."""
        await SqlChannels(self.desk.graph.database).set_mode("slack", "T0TEAM", in_slack.HELP, mode)


class InDiscord:
    """Discord, over the gateway."""

    _people: ClassVar = {ANN: discord_state.ANN, BOB: discord_state.BOB}

    def __init__(self, desk: in_discord.Office) -> None:
        self.desk = desk

    async def ask(self, text: str, who: str = ANN) -> Any:
        """See `Surface.ask`."""
        return (await self.desk.discord.say(self._people[who], discord_state.HELP, text, mention=True)).id

    async def say(self, text: str, who: str = ANN, below: Any = None) -> Any:
        """See `Surface.say`."""
        return (await self.desk.discord.say(self._people[who], below or discord_state.HELP, text)).id

    async def direct(self, text: str) -> Any:
        """See `Surface.direct`."""
        return (await self.desk.discord.direct(discord_state.ANN, text)).id

    async def edit(self, message: Any, text: str) -> None:
        """See `Surface.edit`."""
        await self.desk.discord.edit(message, f"<@{discord_state.BOT}> {text}")

    async def remove(self, message: Any) -> None:
        """See `Surface.remove`."""
        await self.desk.discord.remove(message)

    def said(self, below: Any) -> list[str]:
        """See `Surface.said`."""
        return self.desk.texts(below)

    def said_directly(self) -> list[str]:
        """See `Surface.said_directly`."""
        return self.desk.texts(self.desk.discord.direct_with(discord_state.ANN).id)

    def said_to_staff(self) -> list[str]:
        """See `Surface.said_to_staff`."""
        return self.desk.texts(in_discord.STAFF_ROOM)

    async def until(self, condition: Callable[[], object]) -> None:
        """See `Surface.until`."""
        await self.desk.discord.until(condition)

    async def set_mode(self, mode: Mode) -> None:
        """See `Surface.set_mode`."""
        channels = SqlChannels(self.desk.graph.database)
        await channels.set_mode("discord", str(discord_state.GUILD), str(discord_state.HELP), mode)


@asynccontextmanager
async def slack(database: Database, **more: Any) -> AsyncIterator[Surface]:
    """Give Slack with a channel of staff."""
    async with SlackPlatform(echo_own=True, ack_seconds=30.0) as platform:
        members = {in_slack.BOB, in_slack.BOT}
        platform.channels[in_slack.STAFF_ROOM] = Channel(in_slack.STAFF_ROOM, "staff", members=members)
        staff = {"staff": in_slack.BOB, "staff_channel": in_slack.STAFF_ROOM}
        async with in_slack.office(database, platform, **staff, **more) as desk:
            yield InSlack(desk)


@asynccontextmanager
async def discord(database: Database, **more: Any) -> AsyncIterator[Surface]:
    """Give Discord with a channel of staff."""
    async with DiscordPlatform() as platform:
        in_discord.staff_room(platform)
        staff = {"staff": str(discord_state.BOB), "staff_channel": str(in_discord.STAFF_ROOM)}
        async with in_discord.office(database, platform, **staff, **more) as desk:
            yield InDiscord(desk)


OPEN: dict[str, Callable[..., Any]] = {"slack": slack, "discord": discord}
Opened = Callable[..., Awaitable[Surface]]
