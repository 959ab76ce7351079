"""What the pages of the console need."""

from __future__ import annotations

from dataclasses import dataclass

from core.audit import AuditLog
from core.staff.sign_in import SignIn


@dataclass(frozen=True, slots=True)
class Console:
    """The services behind the pages; every one that reads conversations takes the scope of whoever asks."""

    sign_in: SignIn
    audit: AuditLog
    public_url: str = ""  # where browsers reach the console; empty: at the address they say
