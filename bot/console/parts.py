"""What the pages of the console need."""

from __future__ import annotations

from dataclasses import dataclass

from bot.console.providers import Challenges, Provider
from core.audit import AuditLog
from core.review import TurnBook
from core.staff.commands import Commands
from core.staff.corrections import Corrections
from core.staff.handoff import HandoffDesk
from core.staff.library import Library
from core.staff.membership import Membership
from core.staff.model_desk import ModelDesk
from core.staff.sign_in import SignIn


@dataclass(frozen=True, slots=True)
class Console:
    """The services behind the pages; every one that reads conversations takes the scope of whoever asks."""

    sign_in: SignIn
    audit: AuditLog
    membership: Membership
    challenges: Challenges
    models: ModelDesk
    commands: Commands
    turns: TurnBook
    corrections: Corrections
    library: Library
    handoffs: HandoffDesk
    provider: Provider | None = None  # who knows staff by the account of their organisation
    public_url: str = ""  # where browsers reach the console; empty: at the address they say
