"""One conversation: what was asked and answered, what led to it, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from bot.console import labels
from bot.console.auth import PREFIX, at_least, console_of, not_here
from bot.console.difference import difference
from bot.console.filters import number_in
from bot.console.handoffs import WHY
from bot.console.inbox import names_of
from bot.console.pages import page
from bot.console.parts import Console
from core.domain import Hit, Reply
from core.handoff import Handoff, Line
from core.members import Member, Role
from core.reading import Conversation, PastCorrection, ReadTurn

_HANDOFFS = 100
Reading = Annotated[Member, Depends(at_least(Role.VIEWER))]


def add_routes(router: APIRouter, _console: Console) -> None:
    """Add the page."""

    @router.get("/conversations/{conversation_id}")
    async def conversation(request: Request, member: Reading, conversation_id: str) -> Response:
        reading, turn_id = console_of(request).reading, request.query_params.get("turn", "")
        place = await reading.position(member, turn_id) if turn_id else None
        last = place[1] if place and place[0] == conversation_id else number_in(request, "last")
        found = await reading.conversation(member, conversation_id, min(last, 2**31 - 1) if last is not None else None)
        if found is None:
            raise await not_here(request, f"conversation:{conversation_id}")
        return page(request, "conversation.html", **await _context(request, member, found, turn_id))


async def _context(request: Request, member: Member, found: Conversation, turn_id: str) -> dict[str, Any]:
    names = await names_of(request)
    turns = [await _turn(request, turn, member, names) for turn in found.turns]
    handoffs = await console_of(request).handoffs.book.of_conversation(found.conversation_id, member.scope, _HANDOFFS)
    return {
        "conversation": found,
        "thread": in_order(turns, found.asides, _on_this_page(handoffs, found)),
        "why": WHY,
        "chosen": next((turn for turn in turns if turn["turn_id"] == turn_id), None),
        "may_review": member.role >= Role.AGENT,
        "correct": f"{PREFIX}/corrections/new" if member.role >= Role.AGENT else "",
        "earlier": found.turns[0].position - 1 if found.earlier and found.turns else None,
        "later": found.turns[-1].position + 45 if found.later and found.turns else None,
    }


def in_order(turns: list[dict[str, Any]], asides: Sequence[Line], handoffs: Sequence[Handoff]) -> list[dict[str, Any]]:
    """Return what happened as it happened; a turn stands behind the one before it, whatever the clock of its platform said."""
    found: list[tuple[datetime, dict[str, Any]]] = []
    latest = datetime.min.replace(tzinfo=UTC)
    for turn in turns:
        latest = max(latest, turn["asked_at"])
        found.append((latest, {"turn": turn}))
    found += [(line.said_at, {"line": line}) for line in asides] + [(one.opened_at, {"handoff": one}) for one in handoffs]
    return [entry for _, entry in sorted(found, key=lambda pair: pair[0])]


def _on_this_page(handoffs: Sequence[Handoff], found: Conversation) -> list[Handoff]:
    since = found.turns[0].record.asked_at if found.earlier and found.turns else None
    until = found.turns[-1].record.asked_at if found.later and found.turns else None
    return [one for one in handoffs if (since is None or one.opened_at >= since) and (until is None or one.opened_at <= until)]


async def _turn(request: Request, turn: ReadTurn, member: Member, names: dict[str, str]) -> dict[str, Any]:
    record, review = turn.record, turn.review
    reply = record.reply
    decision, holder = labels.decision(reply), review.holder if review else None
    return {
        "turn_id": record.turn_id,
        "author": turn.author,
        "asked_at": record.asked_at,
        "question": record.question,
        "answer": reply.text,
        "text_by_staff": turn.text_by_staff,
        "decision": decision,
        "reason": labels.REASONS.get(reply.reason, reply.reason.value.replace("_", " ")),
        "confidence": labels.score(reply.confidence),
        "passages": [await _passage(request, hit, reply) for hit in reply.hits],
        "lineage": _lineage(reply),
        "timings": [(name, labels.duration(getattr(reply.timings_ms, name))) for name in ("retrieve", "generate", "total")],
        "tokens": f"{labels.count(reply.usage.prompt_tokens)} read, {labels.count(reply.usage.completion_tokens)} written",
        "feedback": turn.feedback,
        "corrections": [_correction(one, reply) for one in turn.corrections],
        "signs": [sign for sign in labels.signs(review.signs) if sign.text != decision.text] if review else [],
        "verdict": labels.VERDICTS[review.verdict] if review and review.verdict else None,
        "reviewer": names.get(review.reviewer or "", "somebody") if review and review.reviewer else "",
        "decided_at": review.decided_at if review else None,
        "holder": names.get(holder, "somebody") if holder and holder != member.member_id else "",
        "is_mine": holder == member.member_id,
    }


async def _passage(request: Request, hit: Hit, reply: Reply) -> dict[str, Any]:
    """A passage as it was found; its text comes from the knowledge that is served now, and is missing where that has it no more."""
    known = await console_of(request).passage(hit.passage.passage_id)
    return {
        "title": hit.passage.title,
        "url": hit.passage.url if (hit.passage.url or "").startswith(("https://", "http://")) else None,
        "score": labels.score(hit.score),
        "share": round(max(0.0, min(1.0, hit.score)) * 100),
        "text": known.text if known else "",
        "is_cited": any(citation.passage_id == hit.passage.passage_id for citation in reply.citations),
    }


def _lineage(reply: Reply) -> list[tuple[str, str]]:
    names = ("model", "index", "prompt", "policy", "embedder")
    return [(name, getattr(reply.lineage, name)) for name in names]


def _correction(one: PastCorrection, reply: Reply) -> dict[str, Any]:
    return {
        "author": one.author,
        "state": one.state,
        "cause": one.cause.value.replace("_", " "),
        "proposed_at": one.proposed_at,
        "question": one.question,
        "pieces": difference(reply.text, one.answer),
    }
