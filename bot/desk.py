"""What buttons, windows and commands of a chat platform work with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from bot.dispatch import Dispatch
from core.domain import Passage, utc_now
from core.review import TurnBook, TurnRecord
from core.staff.actions import EXPIRES, Actions
from core.staff.handoff import HandoffDesk
from core.vault import Vault

PeopleT = TypeVar("PeopleT")


@dataclass(frozen=True)
class Desk(Generic[PeopleT]):
    """The parts of the core that whoever presses something needs, and how a platform knows people."""

    dispatch: Dispatch
    actions: Actions
    turns: TurnBook
    people: PeopleT
    vault: Vault
    passage: Callable[[str], Awaitable[Passage | None]]
    handoffs: HandoffDesk

    async def passages(self, turn: TurnRecord) -> list[Passage]:
        """Return the sources of a turn, as they are served now."""
        found = [await self.passage(citation.passage_id) for citation in turn.reply.citations]
        return [passage for passage in found if passage is not None]

    async def shares_first(self, platform: str, turn: TurnRecord) -> bool:
        """Tell whether nobody has shown this private answer to its channel: what is posted there cannot be looked up, so once only."""
        async with self.vault.locked(f"{platform}-shared:{turn.turn_id}") as shared:
            if shared.value is None:
                await shared.replace(b"shared", utc_now() + EXPIRES)
                return True
        return False
