"""Conversations of one person with the bot in a channel: the way back to them is a token that lasts a quarter of an hour."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import discord

from bot.discord import messages
from bot.discord.buttons import as_option, private_view_for
from bot.discord.interactions import DIRECT, PLATFORM, QUIET, Interaction, by_of, order_key_of
from core.domain import Actor, Address, InboundMessage, utc_now
from core.errors import RefusedError
from core.ports import Delivery
from core.vault import Vault

PRIVATE = "private-"  # begins the thread of a conversation that only one person sees
_LASTS = timedelta(minutes=14, seconds=30)
_TOO_LATE = "The quarter of an hour in which Discord takes a private answer is over."
_GONE = (10015, 50027)  # Discord knows the way back no more, or not its token
_APPLICATION = 3  # the kind of webhook that an interaction is followed up through


class TooLateError(RefusedError):
    """Discord takes no private answer any more."""


def route_of(address: Address) -> str:
    """Return the name under which the way back to a private conversation is kept."""
    return f"discord-route:{address.workspace_id}:{address.channel_id}:{address.thread_id}"


async def remember(vault: Vault, interaction: Interaction, question: str) -> InboundMessage:
    """Keep the way back to whoever asks, and return their question, in a conversation that only they see."""
    by = by_of(interaction)
    address = Address(PLATFORM, by.workspace_id, by.channel_id, f"{PRIVATE}{interaction.id}")
    route = f"{interaction.application_id}/{interaction.token}"
    await vault.put(route_of(address), route.encode(), utc_now() + _LASTS)
    return _asked(interaction, address, question)


async def in_direct(interaction: Interaction, question: str) -> InboundMessage:
    """Return a question in the direct conversation with whoever asks. Raises `discord.HTTPException`."""
    channel_id = str((await interaction.user.create_dm()).id)
    return _asked(interaction, Address(PLATFORM, DIRECT, channel_id, channel_id), question)


def _asked(interaction: Interaction, address: Address, question: str) -> InboundMessage:
    actor, key = Actor(str(interaction.user.id), interaction.user.display_name), order_key_of(interaction)
    return InboundMessage(f"command-{interaction.id}", address, actor, question, interaction.created_at, order_key=key)


async def answer_privately(client: discord.Client, vault: Vault, delivery: Delivery, texts: tuple[str, ...]) -> str:
    """Answer where only the one who asked sees it; return the reference. `texts` are those of the sources.

    Raises `TooLateError` when the quarter of an hour is over, and what discord.py raises when Discord does not take it.
    """
    route = await vault.get(route_of(delivery.address))
    if route is None:
        raise TooLateError(_TOO_LATE)
    application, _, token = route.decode().partition("/")
    data: Any = {"id": int(application), "type": _APPLICATION, "token": token}
    way_back = discord.Webhook.from_state(data=data, state=client._connection)
    *first, last = messages.render(delivery, texts)
    try:
        for text in first:
            await way_back.send(text, ephemeral=True, wait=True, **QUIET)
        said = await way_back.send(last, ephemeral=True, wait=True, **QUIET, **as_option(private_view_for(delivery)))
    except discord.HTTPException as error:
        if error.code in _GONE:
            raise TooLateError(_TOO_LATE) from error
        raise
    return f"{said.channel.id}/{said.id}"
