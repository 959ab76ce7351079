"""The tags of a post in a forum: what became of its question."""

from __future__ import annotations

from typing import NamedTuple

import discord

from core.domain import Action, Decision
from core.ports import Delivery

_MOST = 5  # that a post may carry


class Tags(NamedTuple):
    """Their names, as the forum has them; those that it lacks are left out."""

    answered: str = "answered"
    needs_human: str = "needs-human"
    solved: str = "solved"


async def solve(post: discord.Thread, tags: Tags) -> None:
    """Mark a post as solved and put it away. Raises `discord.HTTPException`."""
    await _edit(post, tags.solved, tags, archived=True)


async def keep_in_step(post: discord.Thread, delivery: Delivery, tags: Tags) -> None:
    """Tag a post by the reply that it got: answered, or handed over to people. Raises `discord.HTTPException`."""
    reply = delivery.reply
    if delivery.action is Action.REPLY and (reply.decision.answers or reply.decision is Decision.HANDOFF):
        await _edit(post, tags.answered if reply.decision.answers else tags.needs_human, tags, archived=None)


def is_post(channel: object) -> bool:
    """Tell whether a channel is a post of a forum."""
    return isinstance(channel, discord.Thread) and isinstance(channel.parent, discord.ForumChannel)


async def _edit(post: discord.Thread, name: str, tags: Tags, *, archived: bool | None) -> None:
    forum = post.parent
    known = forum.available_tags if isinstance(forum, discord.ForumChannel) else []
    ours = {one.casefold() for one in tags}
    kept = [tag for tag in post.applied_tags if tag.name.casefold() not in ours]
    new = [tag for tag in known if tag.name.casefold() == name.casefold()][:1]
    applied = [*new, *kept][:_MOST]
    if archived is not None:
        await post.edit(applied_tags=applied, archived=archived)
    elif applied != post.applied_tags:
        await post.edit(applied_tags=applied)
