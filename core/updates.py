"""What a customer is told besides answers: the value, and the port of surfaces on which the customer has to come and look."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from core.domain import Address


class Update(NamedTuple):
    """One thing said; its `number` grows within a conversation, so that whoever has seen one asks for what came after it."""

    number: int
    text: str
    by_person: bool


class Updates(Protocol):
    """Looks up what was said to a customer."""

    async def since(self, address: Address, number: int) -> tuple[Update, ...]:
        """Return what a person said, and what became of the conversation, after an update, oldest first."""
        ...
