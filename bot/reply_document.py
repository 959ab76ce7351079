"""A reply as JSON: the document of `frontdesk ask --json`, also sent by the chat page."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from core.domain import Reply


def reply_document(reply: Reply) -> dict[str, Any]:
    """Return the document that README.md describes; its keys are stable."""
    lineage = asdict(reply.lineage)
    return {
        "decision": reply.decision.value,
        "text": reply.text,
        "citations": [asdict(citation) for citation in reply.citations],
        "confidence": reply.confidence,
        "lineage": {name: lineage[name] for name in ("model", "index", "prompt", "embedder")},
        "timings_ms": asdict(reply.timings_ms),
        "usage": asdict(reply.usage),
    }
