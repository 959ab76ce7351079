"""A run of the learning loop in a process of its own, behind whatever serves: training would starve the answers of the same process."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

logger = logging.getLogger(__name__)

COMMAND = (sys.executable, "-m", "bot", "learn", "--scheduled")
NICE = 15  # the processor is the customers' first
_PATIENCE_SECONDS = 5.0  # to note that it was stopped; what was learnt until the last look is kept


async def learn_apart(command: Sequence[str] = COMMAND) -> None:
    """Run it to its end, its lines in the log; cancelled, stop it: it goes on from there when it is begun again."""
    quiet, pipe = asyncio.subprocess.DEVNULL, asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=quiet, stdout=quiet, stderr=pipe)
    try:
        with suppress(ProcessLookupError, PermissionError):
            os.setpriority(os.PRIO_PROCESS, process.pid, NICE)
        async for line in process.stderr or ():  # type: ignore[union-attr]  # there is a pipe
            logger.info("learning: %s", line.decode(errors="replace").rstrip())
        logger.info("a run of learning has ended with exit status %d", await process.wait())
    finally:
        await _stopped(process)


async def _stopped(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await process.communicate()
    except TimeoutError:
        process.kill()
        await process.communicate()
