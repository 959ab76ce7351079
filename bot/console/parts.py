"""What the pages of the console need."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from bot.console.providers import Challenges, Provider
from core.audit import AuditLog
from core.domain import Passage
from core.figures import FigureBook
from core.members import Member
from core.review import TurnBook
from core.staff.commands import Commands
from core.staff.corrections import Corrections
from core.staff.handoff import HandoffDesk
from core.staff.learning_desk import LearningDesk
from core.staff.library import Library
from core.staff.membership import Membership
from core.staff.model_desk import ModelDesk
from core.staff.reading_room import ReadingRoom
from core.staff.review_desk import ReviewDesk
from core.staff.sign_in import SignIn


@dataclass(frozen=True, slots=True)
class Console:
    """The services behind the pages; every one that reads conversations takes the scope of whoever asks."""

    sign_in: SignIn
    audit: AuditLog
    membership: Membership
    challenges: Challenges
    models: ModelDesk
    learning: LearningDesk
    commands: Commands
    turns: TurnBook
    corrections: Corrections
    library: Library
    handoffs: HandoffDesk
    reviews: ReviewDesk
    reading: ReadingRoom
    figures: FigureBook
    passage: Callable[[str], Awaitable[Passage | None]]  # as the knowledge that is served now has it
    counters: Mapping[str, Callable[[Member], Awaitable[int]]]  # by name, what waits: the live stream tells
    closing: asyncio.Event  # set when the process ends: open streams must not keep it waiting
    provider: Provider | None = None  # who knows staff by the account of their organisation
    public_url: str = ""  # where browsers reach the console; empty: at the address they say
