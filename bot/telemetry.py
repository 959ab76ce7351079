"""What a running process tells its operator: log lines without control characters, and without anybody's words."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import warnings
from datetime import UTC, datetime

from core.tracing import current_ids

# C0 and C1 but the newline, line and paragraph separators, and what turns the direction of writing around.
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_NOISY = {
    "httpx",
    "httpcore",
    "huggingface_hub",
    "sentence_transformers",
    "transformers",
    "urllib3",
    "faiss",
    "bm25s",
    "alembic",
    "aiosqlite",
    "asyncpg",
    "sqlalchemy",
    "slack_bolt",  # at DEBUG these write what customers said
    "slack_sdk",
    "aiohttp",
    "discord",
    "openai",  # at DEBUG it writes whole prompts
    "httpx2",
    "httpcore2",
}


class _Line(logging.Formatter):
    """One record per line, tracebacks too; what a customer wrote can neither obey a terminal nor look like a record."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        time = self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z")
        line = f"{time} {record.levelname} {record.name}: {record.getMessage()}"
        trace = _traceback(self, record)
        return _clean(f"{line}\n{trace}" if trace else line).replace("\n", " | ")


class _Document(logging.Formatter):
    """One JSON object per line, in ASCII, with the ids of what the code was working for."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the object."""
        document = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **current_ids(),
        }
        if trace := _traceback(self, record):
            document["traceback"] = trace
        return json.dumps({name: _clean(value) for name, value in document.items()})


def configure_logging(level: str, form: str = "auto") -> None:
    """Log to stderr at `level`, as `text`, as `json`, or `auto`: text where a person reads; libraries speak from WARNING on."""
    as_text = sys.stderr.isatty() if form == "auto" else form == "text"
    handler = logging.StreamHandler()
    handler.setFormatter(_Line() if as_text else _Document())
    # Levels are asked here and not of the loggers: bm25s sets its own to DEBUG when it is imported, after this.
    handler.setLevel(level)
    handler.addFilter(_is_worth_a_line)
    logging.basicConfig(level=level, handlers=[handler], force=True)


def quiet_libraries() -> None:
    """Keep model libraries from drawing bars of their own and from calling home; must run before they are imported."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # peft 0.21 and trl 1.16 use a name that transformers 5.23 has given another: nothing that whoever runs this could mend.
    warnings.filterwarnings("ignore", "`(is_)?gradient_checkpointing` is deprecated", FutureWarning)


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING or record.name.partition(".")[0] not in _NOISY


def _clean(text: str) -> str:
    """Every control character but the newline becomes a question mark, also for whoever decodes the JSON at a terminal."""
    return _CONTROL.sub("?", text)


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    """The record's traceback and stack; not `record.exc_text`, which holds what another handler made of it."""
    parts = [formatter.formatException(record.exc_info)] if record.exc_info else []
    if record.stack_info:
        parts.append(formatter.formatStack(record.stack_info))
    return "\n".join(parts)
