"""`transformers serve` in a process of its own: a real OpenAI-compatible server of a real model, without the network."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.servers.chat import listening

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
    with listening(0) as free:
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).parent / "transformers"), "serve", MODEL, "--host", "127.0.0.1", "--port", str(port)]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder), "TRANSFORMERS_VERBOSITY": "warning"}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *command, "--device", "cpu", env=environment, cwd=folder, stdout=asyncio.subprocess.DEVNULL, stderr=pipe
    )
    try:
        async with asyncio.timeout(START_SECONDS), httpx.AsyncClient() as client:
            while not await _is_up(client, port):
                assert process.returncode is None, (await process.communicate())[1].decode()
                await asyncio.sleep(0.2)  # a poll of another process; the timeout above is the assertion
        yield Served(f"http://127.0.0.1:{port}/v1", process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def _is_up(client: httpx.AsyncClient, port: int) -> bool:
    try:
        return (await client.get(f"http://127.0.0.1:{port}/health")).is_success
    except httpx.TransportError:
        return False
