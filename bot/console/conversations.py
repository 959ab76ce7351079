"""One conversation: what was asked and answered, what led to it, and what became of it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from bot.console import labels
from bot.console.auth import PREFIX, at_least, console_of, not_here
from bot.console.difference import difference
from bot.console.filters import number_in
from bot.console.inbox import names_of
from bot.console.pages import page
from bot.console.parts import Console
from core.domain import Hit, Reply
from core.members import Member, Role
from core.reading import Conversation, PastCorrection, ReadTurn

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
    pages, names = request.app.state.asked, await names_of(request)
    turns = [await _turn(request, turn, member, names) for turn in found.turns]
    return {
        "conversation": found,
        "turns": turns,
        "chosen": next((turn for turn in turns if turn["turn_id"] == turn_id), None),
        "may_review": member.role >= Role.AGENT,
        "correct": f"{PREFIX}/corrections/new" if member.role >= Role.AGENT else "",
        "handoffs": f"{PREFIX}/handoffs" if "/handoffs" in pages else "",
        "earlier": found.turns[0].position - 1 if found.earlier and found.turns else None,
        "later": found.turns[-1].position + 45 if found.later and found.turns else None,
    }


async def _turn(request: Request, turn: ReadTurn, member: Member, names: dict[str, str]) -> dict[str, Any]:
    record, review = turn.record, turn.review
    reply = record.reply
    holder = review.holder if review else None
    return {
        "turn_id": record.turn_id,
        "author": turn.author,
        "asked_at": record.asked_at,
        "question": record.question,
        "answer": reply.text,
        "text_by_staff": turn.text_by_staff,
        "decision": labels.decision(reply),
        "reason": labels.REASONS.get(reply.reason, reply.reason.value.replace("_", " ")),
        "confidence": labels.score(reply.confidence),
        "passages": [await _passage(request, hit, reply) for hit in reply.hits],
        "lineage": _lineage(reply),
        "timings": [(name, labels.duration(getattr(reply.timings_ms, name))) for name in ("retrieve", "generate", "total")],
        "tokens": f"{labels.count(reply.usage.prompt_tokens)} read, {labels.count(reply.usage.completion_tokens)} written",
        "feedback": turn.feedback,
        "corrections": [_correction(one, reply) for one in turn.corrections],
        "signs": labels.signs(review.signs) if review else [],
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
