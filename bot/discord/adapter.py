"""Discord, seen from inside: replies, drafts and alerts go out, each once, and what is uncertain is looked up."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from bot.discord import messages
from bot.discord.buttons import hand_back_view, view_for, view_of
from bot.discord.events import PLATFORM, snowflake_at
from bot.discord.live import LivePreviews, Standing
from bot.discord.private import TooLateError
from bot.discord.rest import ARCHIVED, FAILURES, UNKNOWN_CHANNEL, UNKNOWN_MESSAGE, DiscordRefusedError, Json, Rest, meaning, nonce_of
from bot.discord.rooms import Room, Rooms
from bot.discord.staff_messages import UNSEEN, Posting, StaffMessages
from bot.discord.tags import Tags
from bot.learning_news import choices
from core.domain import Action, Address, Cue, InboundMessage
from core.errors import DeliveryError, RateLimitedError, RefusedError, UncertainError
from core.handoff import HandoffBook
from core.learning import RunBook
from core.ports import Delivery
from core.previews import Previews
from core.review import TurnBook

if TYPE_CHECKING:
    import discord

logger = logging.getLogger(__name__)

_LOOK_BACK = timedelta(seconds=2)  # a press of a button has the time of this machine

Privately = Callable[[Delivery, tuple[str, ...]], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Stores:
    """What the adapter reads and writes."""

    turns: TurnBook
    previews: Previews
    handoffs: HandoffBook
    runs: RunBook
    texts: Callable[[tuple[str, ...]], Awaitable[tuple[str, ...]]]  # passage ids -> their texts as they are served


class DiscordAdapter:
    """`ChatAdapter` of Discord."""

    platform = PLATFORM

    def __init__(
        self,
        rest: Rest,
        rooms: Rooms,
        stores: Stores,
        live: LivePreviews,
        tags: Tags,
        staff_messages: StaffMessages,
        staff_channel: str = "",
        privately: Privately | None = None,
    ) -> None:
        """`staff_channel` gets drafts and hand-offs; `privately` answers a command where only the one who asked sees it."""
        self._rest = rest
        self._rooms = rooms
        self._stores = stores
        self._live = live
        self._tags = tags
        self._staff_messages = staff_messages
        self._staff_channel = staff_channel
        self._privately = privately

    async def send(self, delivery: Delivery) -> str:
        """See `ChatAdapter.send`; the reference is of the last message, which carries the buttons."""
        if delivery.action.is_about_handoff:
            return await self._tell_thread(delivery)
        if delivery.revises is not None:
            return await self._revise(delivery, messages.render(delivery) if delivery.reply.text else ())
        if _is_private(delivery):
            return await self._answer_privately(delivery)
        parts = await self._parts(delivery)
        if delivery.action.is_for_staff:
            return await self._post(delivery, Room(self._staff_channel), parts, None)
        room = await self._rooms.open(delivery.address, await self._question(delivery))
        standing = await self._live.finish(delivery.address, delivery.asked_at) if delivery.action is Action.REPLY else None
        try:
            reference = await self._post(delivery, room, parts, standing)
        except DiscordRefusedError as error:
            if error.code == UNKNOWN_CHANNEL:
                self._rooms.forget(delivery.address)
            raise
        self._tags.follow(delivery)
        return reference

    async def find(self, delivery: Delivery) -> str | None:
        """See `ChatAdapter.find`: read what the bot has said since, and look for every part."""
        if _is_private(delivery) or delivery.revises is not None:
            return None  # only the one who asked can see whether it is there; and to write over something twice does no harm
        if delivery.action.is_about_handoff:
            posting = await self._staff_messages.posting(delivery)
            found = await self._found(delivery, posting.room, posting.parts)
            return await self._staff_messages.begun(found, delivery) if found else None
        room = Room(self._staff_channel) if delivery.action.is_for_staff else await self._rooms.find(delivery.address)
        return await self._found(delivery, room, await self._parts(delivery))

    async def _found(self, delivery: Delivery, room: Room, parts: tuple[str, ...]) -> str | None:
        arrived = await self._arrived(delivery, room, parts)
        return f"{room.channel_id}/{arrived[len(parts) - 1]}" if len(arrived) == len(parts) else None

    async def withdraw(self, address: Address) -> None:
        """Take away what is shown of an answer that will not come: its question was taken back, or a person answers."""
        await self._live.take_away(address)

    async def took_over(self, message: InboundMessage) -> None:
        """Tell staff that one of them answers a customer, and give them the way back to the bot; best effort."""
        turns = await self._stores.turns.conversation_at(message.address, limit=1)
        if not (turns and self._staff_channel):
            return
        nonce, view = nonce_of(message.message_id, "taken"), hand_back_view(turns[0].turn_id)
        try:
            text = messages.taken_over(message.actor.actor_id, await self._staff_messages.link(message.address), turns[0].question)
            await self._rest.post(self._staff_channel, text, nonce, view)
        except DeliveryError as error:
            logger.warning("staff were not told that one of them took a conversation over: %s", error)

    async def preview(self, message: InboundMessage, attempt: str, text: str | Cue) -> None:
        """See `ChatAdapter.preview`."""
        if message.address.thread_id.startswith(UNSEEN):
            return
        if text is Cue.WRITTEN:
            await self._live.settle(message, attempt)
        elif isinstance(text, str):
            self._live.show(message, attempt, text)
        else:
            self._live.withdraw(message.address, attempt)

    async def _parts(self, delivery: Delivery) -> tuple[str, ...]:
        """What to say, as the contents of messages."""
        cited = await self._stores.texts(tuple(citation.passage_id for citation in delivery.reply.citations))
        if not delivery.action.is_for_staff:
            return messages.render(delivery, cited)
        if not self._staff_channel:
            raise RefusedError("No staff channel is set (discord.staff_channel): drafts and hand-offs have nowhere to go.")
        if delivery.action is Action.NEWS:
            return messages.render(delivery, (delivery.reply.text,))  # written by us: links in it are live
        turn = await self._stores.turns.turn(delivery.turn_id)
        link = await self._staff_messages.link(delivery.address)
        return messages.draft(delivery, turn.question if turn else "", link, cited)

    async def _tell_thread(self, delivery: Delivery) -> str:
        """Begin the thread of a hand-off, or say something in it."""
        if not self._staff_channel:
            raise RefusedError("No staff channel is set (discord.staff_channel): drafts and hand-offs have nowhere to go.")
        posting = await self._staff_messages.posting(delivery)
        if delivery.revises is not None:
            return await self._revise(delivery, posting.parts, posting)
        return await self._staff_messages.begun(await self._post(delivery, posting.room, posting.parts, None, posting), delivery)

    async def _revise(self, delivery: Delivery, parts: tuple[str, ...], posting: Posting | None = None) -> str:
        """Show anew what was sent, or take it away where nothing is left to be said."""
        channel_id, _, message_id = (delivery.revises or "").partition("/")
        if not message_id or len(parts) > 1:
            raise RefusedError("What was to be shown anew never arrived, or is more than one message.")
        if parts:
            await self._rest.edit(channel_id, message_id, parts[0], await self._view(delivery, parts, 0, posting))
            return f"{channel_id}/{message_id}"
        try:
            await self._rest.delete(channel_id, message_id)
        except DiscordRefusedError as error:
            if error.code != UNKNOWN_MESSAGE:  # somebody was quicker
                raise
        return f"{channel_id}/{message_id}"

    async def _question(self, delivery: Delivery) -> str:
        turn = await self._stores.turns.turn(delivery.turn_id) if delivery.turn_id else None
        return turn.question if turn else ""

    async def _post(
        self, delivery: Delivery, room: Room, parts: tuple[str, ...], standing: Standing | None, posting: Posting | None = None
    ) -> str:
        """Post what has not arrived yet; the first part takes the place of the preview."""
        arrived = dict(await self._arrived(delivery, room, parts)) if delivery.uncertain else {}
        for number in range(len(parts)):
            if number in arrived:
                continue
            try:
                if number == 0 and standing is not None:
                    arrived[0] = await self._replace(delivery, room, parts, standing)
                else:
                    arrived[number] = await self._say(delivery, room, parts, number, posting)
            except RefusedError:
                raise
            except DeliveryError as error:  # what has arrived must be looked for before the rest is sent
                if number == 0:
                    raise
                raise _partly(f"{number} of {len(parts)} messages of a reply were posted: {error}", error) from error
        return f"{room.channel_id}/{arrived[len(parts) - 1]}"

    async def _replace(self, delivery: Delivery, room: Room, parts: tuple[str, ...], standing: Standing) -> str:
        """Put the first part in the place of the preview; where that is gone, post it. Return the message's id."""
        view = await self._view(delivery, parts, 0)
        channel_id, _, message_id = standing.reference.partition("/")
        if not message_id:  # under its nonce Discord returns the preview, if there is one after all
            posted = await self._rest.post(room.channel_id, parts[0], standing.nonce, view, room.reply_to)
            if _says(posted, parts[0]):
                return str(posted["id"])
            channel_id, message_id = room.channel_id, posted["id"]
        try:
            await self._rest.edit(channel_id, message_id, parts[0], view)
        except DiscordRefusedError as error:
            logger.info("the preview cannot be replaced (%s), the reply is posted", error)
            if error.code == ARCHIVED:  # in a thread that was put away nothing can be deleted before something new is said
                message_id = await self._say(delivery, room, parts, 0)
                await self._live.drop(delivery.address, delivery.asked_at)
                return message_id
            await self._live.drop(delivery.address, delivery.asked_at)
            return await self._say(delivery, room, parts, 0)
        return message_id

    async def _say(self, delivery: Delivery, room: Room, parts: tuple[str, ...], number: int, posting: Posting | None = None) -> str:
        """Post one part; return the message's id."""
        nonce, view = nonce_of(delivery.key, number), await self._view(delivery, parts, number, posting)
        pings = posting.pings if posting else ""
        return str((await self._rest.post(room.channel_id, parts[number], nonce, view, room.reply_to, pings))["id"])

    async def _arrived(self, delivery: Delivery, room: Room, parts: tuple[str, ...]) -> Mapping[int, str]:
        """Return the parts that stand in a room, and the ids of their messages.

        Discord forgets nonces after some minutes; then a message of the bot that says the same since the question is taken for it.
        """
        said = await self._rest.mine_after(room.channel_id, snowflake_at(delivery.asked_at - _LOOK_BACK), room.reply_to)
        arrived: dict[int, str] = {}
        for number, text in enumerate(parts):
            found = next((one for one in said if _is_part(one, delivery, number, text)), None)
            if found is not None and not await self._is_of_another(delivery, f"{room.channel_id}/{found['id']}"):
                said.remove(found)
                arrived[number] = found["id"]
        return arrived

    async def _is_of_another(self, delivery: Delivery, reference: str) -> bool:
        """Tell whether a message is known to be the answer to another question, which may say the same."""
        turn = await self._stores.turns.turn_by_reference(PLATFORM, reference)
        return turn is not None and turn.turn_id != delivery.turn_id

    async def _answer_privately(self, delivery: Delivery) -> str:
        if self._privately is None:
            raise RefusedError("The quarter of an hour in which Discord takes a private answer is over.")
        cited = await self._stores.texts(tuple(citation.passage_id for citation in delivery.reply.citations))
        await self._rest.open()
        try:
            return await self._privately(delivery, cited)
        except TooLateError:
            return await self._answer_directly(delivery, cited)
        except FAILURES as error:
            raise meaning("a private answer", error) from error

    async def _answer_directly(self, delivery: Delivery, cited: tuple[str, ...]) -> str:
        """Answer in a direct message what took too long for a private answer."""
        turn = await self._stores.turns.turn(delivery.turn_id)
        if turn is None:
            raise RefusedError("Nobody knows any more who asked, so an answer cannot be sent.")
        channel_id = await self._rest.direct(turn.actor_id)
        parts = messages.render(delivery, cited)
        said = [await self._say(delivery, Room(channel_id), parts, number) for number in range(len(parts))]
        return f"{channel_id}/{said[-1]}"

    async def _view(
        self, delivery: Delivery, parts: tuple[str, ...], number: int, posting: Posting | None = None
    ) -> discord.ui.View | None:
        """The buttons of a reply stand below its last part."""
        if number < len(parts) - 1:
            return None
        if posting is not None:
            return view_of(delivery.address.thread_id, posting.choices)
        if delivery.action is Action.NEWS and (run := await self._stores.runs.run(delivery.address.thread_id)) is not None:
            return view_of(run.run_id, choices(run))
        return view_for(delivery, in_forum=await self._tags.is_post(delivery.address))


def _is_private(delivery: Delivery) -> bool:
    return delivery.address.thread_id.startswith(UNSEEN) and not delivery.action.is_for_staff


def _partly(said: str, error: DeliveryError) -> DeliveryError:
    """Return the error of a reply that has arrived in part."""
    return RateLimitedError(said, error.seconds, partly=True) if isinstance(error, RateLimitedError) else UncertainError(said)


def _is_part(message: Json, delivery: Delivery, number: int, text: str) -> bool:
    nonce = message.get("nonce")
    if nonce is not None:
        return bool(nonce == nonce_of(delivery.key, number)) or (number == 0 and _says(message, text) and bool(message["edited_timestamp"]))
    return _says(message, text)


def _says(message: Json, text: str) -> bool:
    return bool(message["content"].strip() == text.strip())
