"""What can be pressed under a message of the bot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.ports import Delivery

if TYPE_CHECKING:
    import discord


def view_for(delivery: Delivery) -> discord.ui.View | None:
    """Return the buttons of a reply, draft or alert; None when it has none."""
    return None
