"""A language model on other machines."""

from __future__ import annotations

import asyncio
import difflib
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass

from core.domain import Generation, Limits, Prompt, Usage
from core.errors import ModelError
from core.prompting import Message, messages
from core.registry import Load
from core.serving.endpoints import Ending, Endpoint, EndpointPool, Server, ServerError, Visit
from core.serving.traffic import Traffic

logger = logging.getLogger(__name__)

_MAX_TOKEN_CHARS = 40  # on average: a server that goes on beyond `max_tokens` is cut off here
_CHARS_PER_TOKEN = 4  # of English, for servers that do not count
_KNOWN_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds that an endpoint is waited for: less than `resilient.Patience` has, so that who was slow is known here."""

    first_piece: float = 10.0  # while another endpoint could be asked instead
    first_piece_of_last: float = 25.0
    between_pieces: float = 9.0
    trial: float = 40.0  # for the one token by which a server shows that it serves a model: Ollama loads it first


class RemoteGenerator:
    """`Generator` that asks the endpoints of a pool until one begins to write; what was shown is never followed by a second text."""

    def __init__(self, pool: EndpointPool, model_name: str, version: str, adapter_path: str = "", timing: Timing = Timing()) -> None:
        """`model_name` is its name at the servers, `version` its name in lineages.

        With `adapter_path`, a LoRA adapter at that path of the server is loaded under `model_name` where that is not served yet.
        """
        self._pool = pool
        self._model_name = model_name
        self._version = version
        self._adapter_path = adapter_path
        self._timing = timing
        self._traffic = Traffic()
        self._is_open = False

    @property
    def version(self) -> str:
        """See `Generator.version`."""
        return self._version

    @property
    def is_open(self) -> bool:
        """See `Generator.is_open`: an endpoint has shown that it serves the model."""
        return self._is_open

    @property
    def load(self) -> Load:
        """See `Generator.load`: requests that wait for their first piece, and that are being written."""
        return self._traffic.load

    async def open(self) -> None:
        """See `Generator.open`: at least one endpoint must serve the model."""
        problems = await self.look()
        told = [problem for problem in problems.values() if problem]
        if len(told) == len(problems):
            raise ModelError("; ".join(told))
        for problem in told:
            logger.warning("%s", problem)
        self._is_open = True

    async def look(self) -> Mapping[str, str]:
        """Return what is wrong with each endpoint, by its address; empty where the model is served."""
        servers = [endpoint.server for endpoint in self._pool.endpoints]
        found = await asyncio.gather(*(self._problem(server) for server in servers))
        return {server.url: problem for server, problem in zip(servers, found, strict=True)}

    async def stream(self, prompt: Prompt, limits: Limits) -> AsyncGenerator[str | Generation, None]:
        """See `Generator.stream`. Raises `ModelError` when no endpoint begins, or when one breaks off."""
        chat = messages(prompt)
        tried: list[Endpoint] = []
        problems = []
        while (visit := self._pool.visit(tried)) is not None:
            tried.append(visit.endpoint)
            has_begun = False
            try:
                async with aclosing(self._answer(visit, chat, limits)) as pieces:
                    async for piece in pieces:
                        has_begun = True
                        yield piece
                return
            except ServerError as error:
                if has_begun:
                    raise
                logger.info("%s; the next endpoint is asked", error)
                problems.append(str(error))
                await self._restore(visit.endpoint.server, error)
        raise ModelError("; ".join(problems) or self._pool.why_none())

    async def aclose(self) -> None:
        """See `Generator.aclose`."""
        await self._pool.aclose()

    async def _answer(self, visit: Visit, chat: list[Message], limits: Limits) -> AsyncGenerator[str | Generation, None]:
        """Yield what one endpoint writes, each piece in time, and note what came of it."""
        server = visit.endpoint.server
        patience = self._timing.first_piece if visit.has_alternative else self._timing.first_piece_of_last
        written: list[str] = []
        room = limits.max_tokens * _MAX_TOKEN_CHARS
        with visit, self._traffic.request() as request:
            async with aclosing(server.write(self._model_name, chat, limits.max_tokens)) as pieces:
                while isinstance(piece := await _next(pieces, patience, server), str):
                    request.begun()
                    self._traffic.wrote(1)
                    written.append(piece)
                    yield piece
                    patience = self._timing.between_pieces
                    room -= len(piece)
                    if room < 0:
                        piece = Ending("length", None)
                        break
            visit.succeeded()
            self._is_open = True
            yield self._generation(written, piece, chat, limits)

    def _generation(self, written: list[str], ending: Ending, chat: list[Message], limits: Limits) -> Generation:
        usage = ending.usage
        if usage is None:  # most servers send a piece a token
            read = sum(len(message["content"]) for message in chat) // _CHARS_PER_TOKEN
            usage = Usage(read, min(len(written), limits.max_tokens))
        self._traffic.wrote(usage.completion_tokens - len(written))
        return Generation("".join(written).strip(), self._version, ending.reason, usage)

    async def _problem(self, server: Server) -> str:
        try:
            known = await server.models()
        except ServerError:  # `transformers serve` fails at its list where the hub was never used; the trial says what is the matter
            known = ()
        if self._model_name in known:
            return ""
        try:
            if self._adapter_path:
                await server.load_adapter(self._model_name, self._adapter_path)
            else:
                await self._try_out(server)
        except ServerError as error:
            return f"{error}{_meant(self._model_name, known)}"
        return ""

    async def _try_out(self, server: Server) -> None:
        """Have it write one token: `transformers serve` lists no folders, Ollama takes names without their tag, llama.cpp any name."""
        async with aclosing(server.write(self._model_name, [{"role": "user", "content": "Hello"}], 1)) as pieces:
            await _next(pieces, self._timing.trial, server)

    async def _restore(self, server: Server, error: ServerError) -> None:
        """Load the adapter again after a restart of the server, for the next question."""
        if not (error.lacks_model and self._adapter_path):
            return
        try:
            await server.load_adapter(self._model_name, self._adapter_path)
        except ServerError as problem:
            logger.warning("%s", problem)


async def _next(pieces: AsyncGenerator[str | Ending, None], seconds: float, server: Server) -> str | Ending:
    try:
        async with asyncio.timeout(seconds):
            return await anext(pieces)
    except TimeoutError:
        raise ServerError(f"{server.url} wrote nothing for {seconds:g} s") from None


def _meant(name: str, known: tuple[str, ...]) -> str:
    """Return the nearest known name, or some of those that there are, in brackets."""
    if not known:
        return ""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if close:
        return f" (did you mean {close[0]!r}?)"
    return f" (it serves {', '.join(map(repr, known[:_KNOWN_SHOWN]))}{' and more' if len(known) > _KNOWN_SHOWN else ''})"
