"""What the pages of the console need."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from core.audit import AuditLog
from core.domain import Passage
from core.figures import FigureBook
from core.staff.reading_room import ReadingRoom
from core.staff.review_desk import ReviewDesk
from core.staff.sign_in import SignIn


@dataclass(frozen=True, slots=True)
class Console:
    """The services behind the pages; every one that reads conversations takes the scope of whoever asks."""

    sign_in: SignIn
    audit: AuditLog
    reviews: ReviewDesk
    reading: ReadingRoom
    figures: FigureBook
    passage: Callable[[str], Awaitable[Passage | None]]  # as the knowledge that is served now has it
    public_url: str = ""  # where browsers reach the console; empty: at the address they say
