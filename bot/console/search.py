"""Search over everything that was asked and answered, and its export."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response, StreamingResponse

from bot.console import labels
from bot.console.auth import at_least, console_of
from bot.console.filters import NONE, Asked, asked_in, number_in
from bot.console.inbox import excerpt
from bot.console.pages import page
from bot.console.parts import Console
from bot.console.turn_files import csv_lines, jsonl_lines
from core.domain import Decision
from core.members import Member, Role
from core.search import FoundTurn, Term, terms_of

_ON_A_PAGE = 30
_BEFORE = 80  # characters that are shown before what was found
Reading = Annotated[Member, Depends(at_least(Role.VIEWER))]
Exporting = Annotated[Member, Depends(at_least(Role.EDITOR))]


def add_routes(router: APIRouter, _console: Console) -> None:
    """Add the page and the two files."""

    @router.get("/search")
    async def search(request: Request, member: Reading) -> Response:
        asked, reading = asked_in(request), console_of(request).reading
        found = await reading.find(member, asked.wanted, _ON_A_PAGE + 1, number_in(request, "before"))
        shown, terms = found[:_ON_A_PAGE], terms_of(asked.wanted.text)
        return page(
            request,
            "search.html",
            asked=asked,
            choices=await _choices(request, member),
            rows=[_row(one, terms) for one in shown],
            next_page=asked.address(before=shown[-1].number) if len(found) > _ON_A_PAGE else "",
            may_export=member.role >= Role.EDITOR,
        )

    @router.get("/search/export.csv")
    async def as_csv(request: Request, member: Exporting) -> Response:
        return _file(request, member, asked_in(request), "csv")

    @router.get("/search/export.jsonl")
    async def as_jsonl(request: Request, member: Exporting) -> Response:
        return _file(request, member, asked_in(request), "jsonl")


def _file(request: Request, member: Member, asked: Asked, form: str) -> Response:
    turns = console_of(request).reading.export(member, asked.wanted, form)
    lines, kind = (csv_lines(turns), "text/csv") if form == "csv" else (jsonl_lines(turns), "application/x-ndjson")
    headers = {"content-disposition": f'attachment; filename="turns.{form}"'}
    return StreamingResponse(lines, media_type=f"{kind}; charset=utf-8", headers=headers)


async def _choices(request: Request, member: Member) -> dict[str, list[tuple[str, str]]]:
    found = await console_of(request).reading.choices(member)
    return {
        "platform": [(name, name) for name in sorted({platform for platform, _ in found.workspaces})],
        "workspace": [(":".join(place), " · ".join(place)) for place in found.workspaces],
        "decision": [(decision.value, labels.DECISIONS[decision].text) for decision in Decision],
        "model": [(NONE, "no model"), *((name, name) for name in found.models)],
        "feedback": [("helpful", "helpful"), ("unhelpful", "not helpful")],
    }


def _row(one: FoundTurn, terms: tuple[Term, ...]) -> dict[str, Any]:
    record = one.record
    return {
        "turn_id": record.turn_id,
        "conversation_id": one.conversation_id,
        "asked_at": record.asked_at,
        "place": f"{record.address.platform} · {record.address.workspace_id}",
        "question": marked(record.question, terms),
        "answer": marked(record.reply.text, terms),
        "decision": labels.decision(record.reply),
        "confidence": labels.score(record.reply.confidence),
        "helpful": one.helpful,
        "is_erased": not (record.question or record.reply.text),
    }


def marked(text: str, terms: tuple[Term, ...]) -> list[tuple[str, bool]]:
    """Return an excerpt around the first word that was looked for, in parts, and whether each is such a word."""
    line = " ".join(text.split())
    if not terms:
        return [(excerpt(line), False)]
    wanted = re.compile("|".join(map(_pattern, terms)), re.IGNORECASE)
    first = wanted.search(line)
    start = max(0, first.start() - _BEFORE) if first else 0
    shown = ("…" if start else "") + excerpt(line[start:])
    parts, end = [], 0
    for hit in wanted.finditer(shown):
        parts += [(shown[end : hit.start()], False), (hit.group(), True)]
        end = hit.end()
    return [part for part in [*parts, (shown[end:], False)] if part[0]]


def _pattern(term: Term) -> str:
    ending = r"\w*" if term.is_start else r"(?!\w)"
    return r"(?<!\w)" + r"\W+".join(map(re.escape, term.words)) + ending
