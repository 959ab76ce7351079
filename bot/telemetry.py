"""What a running process tells its operator: log lines without control characters, and without anybody's words."""

from __future__ import annotations

import logging
import os
import re
import textwrap
from typing import Any

_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_NOISY = ("httpx", "httpcore", "huggingface_hub", "sentence_transformers", "transformers", "urllib3", "faiss", "alembic")


class _Line(logging.Formatter):
    """One record per line; what a customer wrote can neither reach a terminal as control bytes nor look like a record."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # the name is logging's
        """Return the line."""
        return _CONTROL.sub("?", super().formatMessage(record)).replace("\n", " ")

    def formatException(self, ei: Any) -> str:  # noqa: N802
        """Return the traceback, indented."""
        return textwrap.indent(_CONTROL.sub("?", super().formatException(ei)), "    ")


def configure_logging(level: str) -> None:
    """Log to stderr at `level`; libraries speak from WARNING on."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Line("%(asctime)s %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S%z"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)


def quiet_libraries() -> None:
    """Keep model libraries from drawing bars of their own and from calling home; must run before they are imported."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
