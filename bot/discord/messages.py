"""What the bot says on Discord, as the contents of messages."""

from __future__ import annotations

from core.ports import Delivery

_MOST = 2000


def render(delivery: Delivery, texts: tuple[str, ...]) -> tuple[str, ...]:
    """Return the contents of the messages of a reply; `texts` are the cited passages'."""
    text = delivery.reply.text or "(empty)"
    return tuple(text[start : start + _MOST] for start in range(0, len(text), _MOST))


def draft(delivery: Delivery, question: str, link: str, texts: tuple[str, ...]) -> tuple[str, ...]:
    """Return a reply for staff to check before the customer gets it."""
    return (f"**A draft for you to check** {link}\n> {question}"[:_MOST], *render(delivery, texts))


def alert(delivery: Delivery, question: str, link: str, asker: str = "") -> tuple[str, ...]:
    """Return the news for staff that a customer waits for a person; `asker` is their id where staff cannot see the conversation."""
    told = f"\nThey asked in private, so write to them: <@{asker}>" if asker else ""
    return (f"**A customer waits for a person** {link}{told}\n> {question}"[:_MOST],)
