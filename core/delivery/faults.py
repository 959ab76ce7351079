"""Named points at which a test can kill the process: `FRONTDESK_FAULT=after_send` or `after_send:3` for the third pass."""

from __future__ import annotations

import os
from collections import Counter

VARIABLE = "FRONTDESK_FAULT"
POINTS = ("after_accept", "after_claim", "while_answering", "before_finish", "after_finish", "before_send", "after_send", "after_record")
_passed: Counter[str] = Counter()


def reach(point: str) -> None:
    """Die here, as by SIGKILL, when the environment says so."""
    wanted, _, passes = os.environ.get(VARIABLE, "").partition(":")
    if wanted == point:
        _passed[point] += 1
        if _passed[point] >= int(passes or 1):
            os._exit(137)
