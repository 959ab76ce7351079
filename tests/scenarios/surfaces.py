"""The platforms as a conversation sees them: one set of verbs, so that one scenario tells what the bot does on each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, ClassVar, NamedTuple, Protocol

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


class Root(NamedTuple):
    """How a conversation began, the channel that it is in, and what names it there."""

    kind: str
    channel: Any
    id: Any


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

    async def begin(self, kind: str, text: str) -> Root:
        """The customer begins a conversation: in a `thread` of the help channel, in a `post` of a forum, or `direct`."""
        ...

    async def go_on(self, root: Root, text: str, who: str = ANN) -> None:
        """Somebody writes in a conversation."""
        ...

    def answers(self, root: Root) -> list[str]:
        """What the bot said in a conversation."""
        ...

    async def press(self, root: Root, act: str) -> None:
        """The customer presses a button of the first answer."""
        ...

    async def judge(self, root: Root, reason: str, note: str) -> None:
        """The customer says what is wrong with the first answer."""
        ...

    async def hand_back(self) -> None:
        """Staff give the conversation of their first alert back to the bot."""
        ...

    async def correct(self, root: Root, fields: dict[str, str]) -> None:
        """Staff correct the first answer of a conversation."""
        ...

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until it holds of what stands in the channels."""
        ...

    async def order(self, name: str, **options: str) -> str:
        """An admin gives a command; what they are told, or are asked."""
        ...

    async def confirm(self) -> str:
        """The admin confirms the last order; what they are told when it is done."""
        ...

    async def decide(self, act: str, who: str = BOB) -> str:
        """Somebody presses a button under the first news for staff; what they are told."""
        ...

    def offered(self) -> list[str]:
        """The words on the buttons under the first news for staff."""
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

    async def begin(self, kind: str, text: str) -> Root:
        """See `Surface.begin`; there are no posts."""
        if kind == "direct":
            return Root(kind, in_slack.DIRECT, await self.direct(text))
        return Root(kind, in_slack.HELP, await self.ask(text))

    async def go_on(self, root: Root, text: str, who: str = ANN) -> None:
        """See `Surface.go_on`."""
        await self.desk.slack.say(self._people[who], root.channel, text, thread_ts=root.id)

    def answers(self, root: Root) -> list[str]:
        """See `Surface.answers`."""
        return self.desk.texts(root.channel, root.id)

    async def press(self, root: Root, act: str) -> None:
        """See `Surface.press`."""
        first = next(one for one in self.desk.slack.thread(root.channel, root.id) if one.user == in_slack.BOT)
        await self.desk.slack.press(in_slack.ANN, root.channel, first.ts, act)

    async def judge(self, root: Root, reason: str, note: str) -> None:
        """See `Surface.judge`."""
        await self.press(root, "feedback_bad")
        await self.desk.slack.until(lambda: self.desk.slack.views)
        await self.desk.slack.submit(in_slack.ANN, next(iter(self.desk.slack.views)), {"reason": reason, "note": note})

    async def hand_back(self) -> None:
        """See `Surface.hand_back`."""
        alert = self.desk.slack.by_bot(in_slack.STAFF_ROOM)[0]
        await self.desk.slack.press(in_slack.BOB, in_slack.STAFF_ROOM, alert.ts, "handoff_return")

    async def correct(self, root: Root, fields: dict[str, str]) -> None:
        """See `Surface.correct`."""
        first = next(one for one in self.desk.slack.thread(root.channel, root.id) if one.user == in_slack.BOT)
        await self.desk.slack.shortcut(in_slack.BOB, root.channel, first.ts, "correct_answer")
        await self.desk.slack.until(lambda: self.desk.slack.views)
        await self.desk.slack.submit(in_slack.BOB, list(self.desk.slack.views)[-1], fields)

    async def until(self, condition: Callable[[], object]) -> None:
        """See `Surface.until`."""
        await self.desk.slack.until(condition)

    async def order(self, name: str, **options: str) -> str:
        """See `Surface.order`."""
        text = " ".join([name, *options.values()])
        return str((await self.desk.slack.command(in_slack.BOB, in_slack.HELP, "/support-admin", text)).json()["text"])

    async def confirm(self) -> str:
        """See `Surface.confirm`."""
        asked = [one for one in self.desk.slack.ephemerals if one.blocks][-1]
        told = len(self.desk.slack.ephemerals)
        await self.desk.slack.press(in_slack.BOB, in_slack.HELP, asked.ts, "confirm_order")
        await self.desk.slack.until(lambda: len(self.desk.slack.ephemerals) > told)
        return self.desk.slack.ephemerals[-1].text

    async def decide(self, act: str, who: str = BOB) -> str:
        """See `Surface.decide`."""
        told = len(self.desk.slack.ephemerals)
        news = self.desk.slack.by_bot(in_slack.STAFF_ROOM)[0]
        await self.desk.slack.press(self._people[who], in_slack.STAFF_ROOM, news.ts, act)
        await self.desk.slack.until(lambda: len(self.desk.slack.ephemerals) > told)
        return self.desk.slack.ephemerals[-1].text

    def offered(self) -> list[str]:
        """See `Surface.offered`."""
        blocks = self.desk.slack.by_bot(in_slack.STAFF_ROOM)[0].blocks
        return [one["text"]["text"] for block in blocks if block["type"] == "actions" for one in block["elements"]]

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

    async def begin(self, kind: str, text: str) -> Root:
        """See `Surface.begin`."""
        if kind == "direct":
            await self.direct(text)
            channel = self.desk.discord.direct_with(discord_state.ANN).id
        elif kind == "post":
            channel = (await self.desk.discord.post(discord_state.ANN, discord_state.FORUM, text, text)).channel
        else:
            channel = await self.ask(text)
        return Root(kind, channel, channel)

    async def go_on(self, root: Root, text: str, who: str = ANN) -> None:
        """See `Surface.go_on`."""
        await self.desk.discord.say(self._people[who], root.channel, text)

    def answers(self, root: Root) -> list[str]:
        """See `Surface.answers`."""
        return self.desk.texts(root.channel)

    async def press(self, root: Root, act: str) -> None:
        """See `Surface.press`."""
        await self._press(discord_state.ANN, self.desk.discord.by_bot(root.channel)[0], act)

    async def judge(self, root: Root, reason: str, note: str) -> None:
        """See `Surface.judge`."""
        opened, turn_id = await self._press(discord_state.ANN, self.desk.discord.by_bot(root.channel)[0], "feedback_bad")
        await self.desk.discord.until(lambda: opened.modal)
        await self.desk.discord.submit(discord_state.ANN, f"fd-form:feedback:{turn_id}", {"reason": [reason], "note": note})

    async def hand_back(self) -> None:
        """See `Surface.hand_back`."""
        await self._press(discord_state.BOB, self.desk.discord.by_bot(in_discord.STAFF_ROOM)[0], "handoff_return")

    async def _press(self, user: int, message: discord_state.Message, act: str) -> tuple[Any, str]:
        """Press what a message offers; return what came of it, and the turn that the button is of."""
        offered = [one["custom_id"] for row in message.components for one in row["components"]]
        button = next(one for one in offered if one.startswith(f"fd:{act}:"))
        return await self.desk.discord.press(user, message, button), button.split(":")[2]

    async def correct(self, root: Root, fields: dict[str, str]) -> None:
        """See `Surface.correct`."""
        told = self._told()
        opened = await self.desk.discord.context(discord_state.BOB, self.desk.discord.by_bot(root.channel)[0], "Correct this answer")
        await self.desk.discord.until(lambda: opened.modal)
        values: dict[str, Any] = fields | {"cause": [fields["cause"]]}
        await self.desk.discord.submit(discord_state.BOB, opened.modal["custom_id"], values)
        await self.desk.discord.until(lambda: self._told() > told)

    async def until(self, condition: Callable[[], object]) -> None:
        """See `Surface.until`."""
        await self.desk.discord.until(condition)

    async def order(self, name: str, **options: str) -> str:
        """See `Surface.order`."""
        told = self._told()
        await self.desk.discord.command(discord_state.BOB, discord_state.HELP, f"support-admin {name}", options)
        await self.desk.discord.until(lambda: self._told() > told)
        return self.desk.discord.ephemerals[-1].content

    async def confirm(self) -> str:
        """See `Surface.confirm`."""
        told, asked = self._told(), self.desk.discord.ephemerals[-1]
        (button,) = [one["custom_id"] for row in asked.components for one in row["components"]]
        await self.desk.discord.press(discord_state.BOB, asked, button)
        await self.desk.discord.until(lambda: self._told() > told)
        return self.desk.discord.ephemerals[-1].content

    async def decide(self, act: str, who: str = BOB) -> str:
        """See `Surface.decide`."""
        told = self._told()
        await self._press(self._people[who], self.desk.discord.by_bot(in_discord.STAFF_ROOM)[0], act)
        await self.desk.discord.until(lambda: self._told() > told)
        return self.desk.discord.ephemerals[-1].content

    def offered(self) -> list[str]:
        """See `Surface.offered`."""
        message = self.desk.discord.by_bot(in_discord.STAFF_ROOM)[0]
        return [one["label"] for row in message.components for one in row["components"]]

    def _told(self) -> int:
        return sum(bool(one.content) for one in self.desk.discord.ephemerals)

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
        staff = {"staff": in_slack.BOB, "admins": in_slack.BOB, "staff_channel": in_slack.STAFF_ROOM}
        async with in_slack.office(database, platform, **staff, **more) as desk:
            yield InSlack(desk)


@asynccontextmanager
async def discord(database: Database, **more: Any) -> AsyncIterator[Surface]:
    """Give Discord with a channel of staff."""
    async with DiscordPlatform() as platform:
        in_discord.staff_room(platform)
        staff = {"staff": str(discord_state.BOB), "admins": str(discord_state.BOB), "staff_channel": str(in_discord.STAFF_ROOM)}
        staff["home_guild"] = str(discord_state.GUILD)
        async with in_discord.office(database, platform, **staff, **more) as desk:
            yield InDiscord(desk)


OPEN: dict[str, Callable[..., Any]] = {"slack": slack, "discord": discord}
Opened = Callable[..., Awaitable[Surface]]
