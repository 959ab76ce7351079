"""`transformers serve` in a process of its own: a real OpenAI-compatible server of a real model, without the network."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

MODEL = "smollm2"
START_SECONDS = 120


@dataclass(eq=False)
class Served:
    """A running server, which answers to the name `MODEL`."""

    url: str
    process: asyncio.subprocess.Process

    async def has_read(self) -> None:
        """Wait until it has a question and begins to work on it."""
        assert self.process.stderr is not None
        async with asyncio.timeout(60):
            while b"Request received" not in (line := await self.process.stderr.readline()):
                assert line, "it ended"

    def kill(self) -> None:
        """SIGKILL."""
        self.process.send_signal(signal.SIGKILL)


@asynccontextmanager
async def transformers_serve(weights: Path, folder: Path) -> AsyncIterator[Served]:
    """Serve the model in `weights` until the block ends; `folder` is for what the process writes."""
    (folder / MODEL).symlink_to(weights)  # the server takes what follows an @ in a name for a revision
    command = [str(Path(sys.executable).parent / "transformers"), "serve", MODEL, "--host", "127.0.0.1", "--port", "0"]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder), "TRANSFORMERS_VERBOSITY": "warning"}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *command, "--device", "cpu", env=environment, cwd=folder, stdout=asyncio.subprocess.DEVNULL, stderr=pipe
    )
    try:
        yield Served(f"{await _address(process)}/v1", process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def _address(process: asyncio.subprocess.Process) -> str:
    """Wait until it serves, and return where: the port is its own choice, one of ours could be taken meanwhile."""
    assert process.stderr is not None
    said = []
    async with asyncio.timeout(START_SECONDS):
        while line := (await process.stderr.readline()).decode():
            if found := re.search(r"running on (http://[\d.:]+)", line):
                return found[1]
            said.append(line)
    raise AssertionError("".join(said))
