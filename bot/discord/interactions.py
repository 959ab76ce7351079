"""Who does something in Discord and where, and how they are answered: within three seconds, and only them."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from typing import Any, Protocol, TypeAlias

import discord

from bot.desk import Desk as AnyDesk
from core.handoff import Helper
from core.staff.actions import By, NotAllowedError
from core.staff.rights import Person, Rule, Verdict

logger = logging.getLogger(__name__)

Interaction: TypeAlias = discord.Interaction[Any]
PLATFORM = "discord"
LATE, ANSWERED = 10062, 40060  # codes of Discord: after three seconds, and for the second answer
DIRECT = "dm"  # the workspace of conversations that are in no guild
APOLOGY = "Sorry, something went wrong on our side. Please try again in a minute."
QUIET: dict[str, Any] = {"allowed_mentions": discord.AllowedMentions.none(), "suppress_embeds": True}


class People(Protocol):
    """Knows people of a guild, closed when it does not."""

    async def is_staff(self, guild: str, user: discord.abc.User) -> Verdict:
        """Judge whether somebody belongs to staff; `guild` is its id, or `dm`."""
        ...

    async def person_and_rule(self, guild: str, user: discord.abc.User) -> tuple[Person, Rule]:
        """Return who somebody is, and what the operator has set for their guild."""
        ...


Desk: TypeAlias = AnyDesk[People]


def by_of(interaction: Interaction) -> By:
    """Return who does something, as the core knows them: in a thread, in the channel that it belongs to."""
    return By(PLATFORM, str(interaction.guild_id or DIRECT), channel_id_of(interaction), str(interaction.user.id))


def helper_of(interaction: Interaction) -> Helper:
    """Return a member of staff as colleagues know them."""
    return Helper(by_of(interaction).actor, interaction.user.display_name)


def channel_id_of(interaction: Interaction) -> str:
    """Return the channel, or that of the thread, where something is done."""
    channel = interaction.channel
    return str(channel.parent_id if isinstance(channel, discord.Thread) else interaction.channel_id or "")


def order_key_of(interaction: Interaction) -> str:
    """Return an id that sorts among those of messages."""
    return f"{interaction.id:020}"


async def deferred(interaction: Interaction, **how: Any) -> int:
    """Acknowledge an interaction before anything else is done; return 0, or the code when Discord waits no longer.

    What was pressed is done all the same: a process that is late, or second, does nothing twice, and it is only not told of.
    """
    try:
        await interaction.response.defer(**how)
    except discord.HTTPException as error:
        if error.code not in (LATE, ANSWERED):
            raise
        logger.warning("an interaction in Discord was acknowledged too late, or by another process: %s", error)
        return error.code
    return 0


async def say(interaction: Interaction, *texts: str, **more: Any) -> None:
    """Say something that only the one who asked for it sees; `texts` are finished Markdown."""
    for text in texts:
        if interaction.response.is_done():
            await interaction.followup.send(text, ephemeral=True, **QUIET, **more)
        else:
            await interaction.response.send_message(text, ephemeral=True, **QUIET, **more)


async def guarded(interaction: Interaction, work: Awaitable[None]) -> None:
    """Do it; whatever fails is told to whoever did it in our words, best effort."""
    said = ""
    try:
        await work
    except NotAllowedError as error:
        said = str(error)
    except discord.HTTPException as error:
        logger.warning("an interaction in Discord was not answered: %s", error)
        said = APOLOGY
    except Exception:
        logger.exception("an interaction in Discord failed")
        said = APOLOGY
    try:
        if said:
            await say(interaction, said)
    except (discord.DiscordException, OSError) as error:
        logger.info("somebody was not told: %s", error)
