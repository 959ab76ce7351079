"""Processes that start in some 20 ms: forked from one that has everything imported, so that killing them by the hundred is cheap."""

from __future__ import annotations

import multiprocessing
import os
import sys
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
_IMPORTED = [
    "tests.bench.delivery_worker",
    "tests.bench.slack_ack",
    "tests.bench.discord",
    "tests.bench.discord_worker",
    "tests.core.delivery.faulty_process",
]


def quick_to_start() -> ForkServerContext:
    """Return what makes such processes."""
    context = multiprocessing.get_context("forkserver")
    # A child imports the main module again: under pytest that is pytest. A preload that is not found is passed over in silence, and
    # then every child imports for a second: the server sees only PYTHONPATH, not our `sys.path`.
    context.set_forkserver_preload([*_IMPORTED, *(["pytest"] if "pytest" in sys.modules else [])])
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(ROOT)
    try:
        forkserver.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
    return context
