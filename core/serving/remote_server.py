"""One OpenAI-compatible server (vLLM, SGLang, llama.cpp, Ollama, `transformers serve`), and what goes wrong there in words."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from core.domain import Usage
from core.errors import ModelError
from core.prompting import Message
from core.serving.endpoints import Ending, ServerError

if TYPE_CHECKING:
    from openai import APIStatusError, AsyncOpenAI
    from openai.types.chat import ChatCompletionChunk

_CONNECT_SECONDS = 3.0
_SILENCE_SECONDS = 60.0  # a backstop: how long a model may take is for the generator to know
_LOOK_SECONDS = 5.0  # for lists and health
_ADAPTER_SECONDS = 60.0  # vLLM answers when the adapter is in memory
_BUSY_SECONDS = 2.0  # with 429 and no Retry-After
_MAX_BUSY_SECONDS = 60.0  # whatever Retry-After says: by then it is worth another question
_REASONS = {"stop": "stop", "eos": "stop", "length": "length"}
_NO_KEY = "none"  # the library wants one, servers without keys ignore it
_NO_ROUTE = {404, 405}


class OpenAIServer:
    """`Server` behind the `openai` library, which is imported at first use (0.5 s); the key goes nowhere but into its header."""

    def __init__(self, url: str, api_key: str = "") -> None:
        """`url` ends in /v1."""
        self.url = url.rstrip("/")
        self._api_key = api_key
        self._client: AsyncOpenAI | None = None
        self._takes_stream_options = True

    async def write(self, model: str, chat: Sequence[Message], max_tokens: int) -> AsyncGenerator[str | Ending, None]:
        """See `Server.write`."""
        reason, usage = "", None
        async with self._told(model) as client:
            stream = await self._begun(client, {"model": model, "messages": list(chat), "max_tokens": max_tokens})
            async with stream:  # leaving it early closes the connection, and the server stops writing
                async for chunk in stream:
                    piece, ended = _read(chunk)
                    reason, usage = ended or reason, _usage(chunk) or usage
                    if piece:
                        yield piece
        if reason not in _REASONS:
            what = f"ended its answer with {reason[:40]!r}" if reason else "broke its answer off"
            raise ServerError(f"{self.url} {what}: the log of the server says why")
        yield Ending(_REASONS[reason], usage)

    async def models(self) -> tuple[str, ...]:
        """See `Server.models`."""
        async with self._told() as client:
            try:
                listed = await client.with_options(timeout=_LOOK_SECONDS).get("/models", cast_to=object)
            except _library().APIStatusError as error:
                if error.status_code in _NO_ROUTE:
                    return ()
                raise
            return tuple(str(model["id"]) for model in _fields(listed)["data"])

    async def is_healthy(self) -> bool:
        """See `Server.is_healthy`: vLLM, SGLang, llama.cpp and transformers have /health, the list of models stands in for others."""
        try:
            async with self._told() as client:
                try:
                    await client.with_options(timeout=_LOOK_SECONDS).get(self.url.removesuffix("/v1") + "/health", cast_to=str)
                except _library().APIStatusError as error:
                    if error.status_code not in _NO_ROUTE:
                        raise
                    await self.models()
        except ModelError:
            return False
        return True

    async def load_adapter(self, name: str, path: str) -> None:
        """See `Server.load_adapter`; a way of vLLM only."""
        async with self._told(name) as client:
            asked = client.with_options(timeout=_ADAPTER_SECONDS)
            try:
                await asked.post("/load_lora_adapter", body={"lora_name": name, "lora_path": path}, cast_to=str)
            except _library().APIStatusError as error:
                if error.status_code in _NO_ROUTE:
                    raise ServerError(
                        f"{self.url} cannot load the adapter {name!r}: start vLLM with --enable-lora and with "
                        "VLLM_ALLOW_RUNTIME_LORA_UPDATING=True in its environment, or name the adapter in --lora-modules.",
                        blamed=False,
                    ) from None
                said = " ".join(str(error.message).split())[:200]  # about a path of the operator, no customer has a part in it
                raise ServerError(f"{self.url} did not load the adapter {name!r} from {path} ({said})", blamed=False) from None

    async def aclose(self) -> None:
        """See `Server.aclose`."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _begun(self, client: AsyncOpenAI, question: dict[str, Any]) -> Any:
        """Return the stream of an answer; a server that refuses the wish for usage is asked without, and then never again with."""
        if self._takes_stream_options:
            try:
                return await _ask(client, question | {"stream_options": {"include_usage": True}})
            except (_library().BadRequestError, _library().UnprocessableEntityError):
                pass
        stream = await _ask(client, question)
        self._takes_stream_options = False
        return stream

    @asynccontextmanager
    async def _told(self, model: str = "") -> AsyncIterator[AsyncOpenAI]:
        """Give the client; whatever it raises is told as a `ServerError`."""
        client = await self._opened()
        try:
            yield client
        except (ServerError, GeneratorExit, asyncio.CancelledError):
            raise
        except Exception as error:
            # Without the cause: a server may repeat in an error what a customer wrote, and causes are logged.
            raise self._fault(error, model) from None

    async def _opened(self) -> AsyncOpenAI:
        if self._client is None:
            try:
                library: Any = await asyncio.to_thread(importlib.import_module, "openai")
            except ImportError as error:
                raise ModelError("Models on another machine need the library openai. Run: pip install 'frontdesk[remote]'") from error
            self._client = self._client or library.AsyncOpenAI(
                base_url=self.url,
                api_key=self._api_key or _NO_KEY,
                # Servers close idle connections (uvicorn after 5 s, or a 500): a question sent just then is lost. New ones cost 1 ms.
                default_headers={"Connection": "close"},
                max_retries=0,  # the pool decides who is asked again, and knows what was shown
                timeout=library.Timeout(_SILENCE_SECONDS, connect=_CONNECT_SECONDS),
                http_client=library.DefaultAsyncHttpxClient(follow_redirects=False),  # questions go where they were meant to go
            )
        return self._client

    def _fault(self, error: Exception, model: str) -> ServerError:
        library = _library()
        if isinstance(error, library.APIStatusError):
            return self._refusal(error, model)
        if isinstance(error, library.APITimeoutError):
            return ServerError(f"{self.url} did not answer in time")
        if isinstance(error, library.APIConnectionError):
            return ServerError(f"{self.url} cannot be reached, or broke off. Is the server running?")
        if isinstance(error, library.APIError):
            return ServerError(f"{self.url} reported an error while it wrote: its log says why")
        kind = type(error).__name__
        return ServerError(f"{self.url} sent what is no answer of an OpenAI-compatible server ({kind}). Is the address right?")

    def _refusal(self, error: APIStatusError, model: str) -> ServerError:
        status, wait = error.status_code, _retry_after(error)
        if status == 429:
            return ServerError(f"{self.url} has too much to do (429)", blamed=False, busy_seconds=wait or _BUSY_SECONDS)
        if status in {401, 403}:
            return ServerError(f"{self.url} refuses the key ({status}): set remote.api_key")
        if status == 404:
            return ServerError(f"{self.url} does not serve {model!r} (404). See: frontdesk doctor", blamed=False, lacks_model=True)
        if status < 400:
            return ServerError(f"{self.url} sends us elsewhere ({status}), where we do not follow: set remote.urls to the new address")
        if status < 500:
            return ServerError(
                f"{self.url} refused the request for {model!r} ({status}): is that its name there, and its context 2,000 tokens or more?",
                blamed=False,
            )
        return ServerError(f"{self.url} failed ({status}): its log says why", busy_seconds=wait)


def _library() -> Any:
    import openai

    return openai


async def _ask(client: AsyncOpenAI, question: dict[str, Any]) -> Any:
    return await client.chat.completions.create(**question, stream=True, temperature=0)


def _read(chunk: ChatCompletionChunk) -> tuple[str, str]:
    """Return the text of a chunk and why the answer ends with it, both often empty; thoughts and calls of tools are passed over."""
    if not chunk.choices:  # the one with the usage
        return "", ""
    choice = chunk.choices[0]
    piece = choice.delta.content or "" if choice.delta else ""
    if not isinstance(piece, str):  # the library takes any JSON for a chunk
        raise TypeError
    # Half of a surrogate pair cannot be stored or sent by anybody.
    return piece.encode("utf-8", "replace").decode("utf-8"), str(choice.finish_reason or "")


def _usage(chunk: ChatCompletionChunk) -> Usage | None:
    """Return what a server counted, in its last chunk or, as vLLM can, so far."""
    counted = chunk.usage
    return Usage(int(counted.prompt_tokens), int(counted.completion_tokens)) if counted else None


def _fields(listed: object) -> dict[str, Any]:
    if not isinstance(listed, dict):
        raise TypeError
    return listed


def _retry_after(error: APIStatusError) -> float:
    """Return the seconds that a refusal asks us to wait, 0 when it does not."""
    given = error.response.headers.get("retry-after", "")
    try:
        seconds = float(given)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(given) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            return 0.0
    return min(max(0.0, seconds), _MAX_BUSY_SECONDS)  # in this order NaN is 0
