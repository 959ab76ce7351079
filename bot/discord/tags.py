"""Tags of forum posts, kept in step with what became of them: answered, waiting for a person, solved."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from enum import StrEnum
from time import monotonic

from bot.discord.rest import Rest
from bot.setting_groups import Discord
from core.domain import Action, Address, Decision
from core.errors import DeliveryError
from core.ports import Delivery

logger = logging.getLogger(__name__)

KEPT_SECONDS = 300.0  # so long a tag that was made in a forum is not seen
MAX_TAGS = 5  # of a post
_FORUMS = (15, 16)
_MAX_KEPT = 10_000


class Mark(StrEnum):
    """What became of a post."""

    ANSWERED = "answered"
    NEEDS_HUMAN = "needs_human"
    SOLVED = "solved"


class Tags:
    """Sets the tag of a post's mark and takes those of the others away; where a forum lacks a tag, it is left out."""

    def __init__(self, rest: Rest, asked: Discord, clock: Callable[[], float] = monotonic) -> None:
        self._rest = rest
        self._names = {Mark.ANSWERED: asked.answered_tag, Mark.NEEDS_HUMAN: asked.needs_human_tag, Mark.SOLVED: asked.solved_tag}
        self._clock = clock
        self._forums: dict[str, tuple[float, dict[Mark, str] | None]] = {}  # by channel; None: it is no forum
        self._tasks: set[asyncio.Task[bool]] = set()

    def follow(self, delivery: Delivery) -> None:
        """Mark the post that a reply went to. Returns at once, it is done beside."""
        decision = delivery.reply.decision
        if delivery.action is Action.REPLY and (decision.answers or decision is Decision.HANDOFF):
            mark = Mark.ANSWERED if decision.answers else Mark.NEEDS_HUMAN
            task = asyncio.ensure_future(self.mark(delivery.address, mark))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def mark(self, address: Address, mark: Mark) -> bool:
        """Mark a post; False when it is none, or Discord does not let the bot. Best effort."""
        try:
            ours = await self._ours(address.channel_id)
            if ours is None or mark not in ours:
                return False
            post = await self._rest.channel(address.thread_id)
            kept = [tag for tag in post.get("applied_tags", ()) if tag not in ours.values()]
            wanted = [*kept[: MAX_TAGS - 1], ours[mark]]
            if len(kept) < MAX_TAGS and set(wanted) != set(post.get("applied_tags", ())):
                await self._rest.set_tags(address.thread_id, wanted)
        except DeliveryError as error:
            logger.info("a post is not tagged %s: %s", mark, error)
            return False
        return True

    async def is_post(self, address: Address) -> bool:
        """Tell whether a conversation is a post of a forum; not while Discord does not say."""
        try:
            return address.channel_id != address.thread_id and await self._ours(address.channel_id) is not None
        except DeliveryError as error:
            logger.info("whether channel %s is a forum is not known: %s", address.channel_id, error)
            return False

    async def aclose(self) -> None:
        """Stop whatever is under way."""
        for task in tuple(self._tasks):
            task.cancel()
        await self.idle()

    async def idle(self) -> None:
        """Return when nothing is under way."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _ours(self, channel_id: str) -> dict[Mark, str] | None:
        """Return the ids of our tags in a forum, None for another channel."""
        until, ours = self._forums.get(channel_id, (0.0, None))
        if until > self._clock():
            return ours
        channel = await self._rest.channel(channel_id)
        ids = {str(tag["name"]).casefold(): str(tag["id"]) for tag in channel.get("available_tags", ())}
        ours = {mark: ids[name.casefold()] for mark, name in self._names.items() if name.casefold() in ids}
        found = ours if channel["type"] in _FORUMS else None
        if len(self._forums) >= _MAX_KEPT:
            self._forums.clear()
        self._forums[channel_id] = (self._clock() + KEPT_SECONDS, found)
        return found
