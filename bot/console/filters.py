"""What to look for, as it stands in the address of a page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from fastapi import HTTPException, Request

from core.domain import Decision
from core.search import NO_MODEL, TurnFilter

NONE = "none"  # no model wrote
_MOST_CHARS = 500
_FEEDBACK = {"helpful": True, "unhelpful": False}
_NAMES = ("q", "platform", "workspace", "decision", "model", "feedback", "since", "until")


@dataclass(frozen=True, slots=True)
class Asked:
    """The fields of the form as they were filled in, and what they mean."""

    fields: dict[str, str]
    wanted: TurnFilter

    def address(self, **more: Any) -> str:
        """Return the fields as the end of an address."""
        given = {name: value for name, value in self.fields.items() if value}
        return urlencode(given | {name: str(value) for name, value in more.items()})

    @property
    def is_narrowed(self) -> bool:
        """Whether anything was asked for."""
        return any(self.fields.values())


def asked_in(request: Request) -> Asked:
    """Return what an address asks for. Raises 422 for what cannot be meant."""
    fields = {name: request.query_params.get(name, "").strip()[:_MOST_CHARS] for name in _NAMES}
    workspace_platform, _, workspace_id = fields["workspace"].partition(":")
    until = day_of(fields["until"], "until")
    wanted = TurnFilter(
        text=fields["q"],
        platform=(workspace_platform if workspace_id else fields["platform"]) or None,
        workspace_id=workspace_id or None,
        decision=_decision(fields["decision"]),
        model=NO_MODEL if fields["model"] == NONE else fields["model"] or None,
        helpful=_FEEDBACK.get(fields["feedback"]),
        since=_midnight(day_of(fields["since"], "since")),
        until=_midnight(until + timedelta(days=1) if until else None),
    )
    return Asked(fields, wanted)


def number_in(request: Request, name: str) -> int | None:
    """Return a number of an address, None when it is not given. Raises 422 for what is none."""
    given = request.query_params.get(name, "")
    if not given:
        return None
    if not (given.isascii() and given.isdecimal()) or int(given) >= 2**63:
        raise HTTPException(422, f"Please check: {name}.")
    return int(given)


def day_of(given: str, name: str) -> date | None:
    """Return a day as date fields write it. Raises 422 for any other."""
    if not given:
        return None
    try:
        day = date.fromisoformat(given)
    except ValueError:
        raise HTTPException(422, f"Please check: {name}. A day looks like 2026-11-27.") from None
    if not 2000 <= day.year <= 2200:
        raise HTTPException(422, f"Please check: {name}. This year is too far away.")
    return day


def _decision(given: str) -> Decision | None:
    try:
        return Decision(given) if given else None
    except ValueError:
        raise HTTPException(422, "Please check: decision.") from None


def _midnight(day: date | None) -> datetime | None:
    return datetime.combine(day, time(), UTC) if day else None
