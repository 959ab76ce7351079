"""Turns as lines of files: CSV that no spreadsheet takes for a formula, and JSON lines. Pure, and one turn at a time."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator
from typing import Any

from core.search import FoundTurn

FIELDS = (
    "asked_at", "platform", "workspace_id", "channel_id", "thread_id", "turn_id", "conversation_id", "actor_id", "question", "decision",
    "reason", "answer", "confidence", "model", "index", "prompt", "policy", "embedder", "total_ms", "prompt_tokens", "completion_tokens",
    "helpful", "sources",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # as OWASP lists them


async def csv_lines(turns: AsyncIterator[FoundTurn]) -> AsyncIterator[str]:
    """Yield a header and one row for each turn."""
    yield _csv(FIELDS)
    async for one in turns:
        document = turn_document(one)
        document["sources"] = " | ".join(source["title"] for source in document["sources"])
        yield _csv([_cell(document[name]) for name in FIELDS])


async def jsonl_lines(turns: AsyncIterator[FoundTurn]) -> AsyncIterator[str]:
    """Yield one JSON object for each turn."""
    async for one in turns:
        yield json.dumps(turn_document(one), ensure_ascii=False) + "\n"


def turn_document(one: FoundTurn) -> dict[str, Any]:
    """Return a turn by the names of `FIELDS`."""
    record, reply = one.record, one.record.reply
    values = (
        record.asked_at.isoformat(timespec="milliseconds"), record.address.platform, record.address.workspace_id, record.address.channel_id,
        record.address.thread_id, record.turn_id, one.conversation_id, record.actor_id, record.question, reply.decision.value,
        reply.reason.value, reply.text, reply.confidence, reply.lineage.model, reply.lineage.index, reply.lineage.prompt,
        reply.lineage.policy, reply.lineage.embedder, reply.timings_ms.total, reply.usage.prompt_tokens, reply.usage.completion_tokens,
        one.helpful, [{"title": citation.title, "url": citation.url, "score": citation.score} for citation in reply.citations],
    )  # fmt: skip
    return dict(zip(FIELDS, values, strict=True))


def _csv(cells: Any) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue()


def _cell(value: Any) -> Any:
    """A spreadsheet runs what looks like a formula, so a text that does gets an apostrophe in front."""
    if value is None or isinstance(value, bool):
        return {None: "", True: "yes", False: "no"}[value]
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
