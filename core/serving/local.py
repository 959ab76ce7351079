"""A causal language model in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from core.domain import Generation, Limits, Prompt, Usage
from core.errors import ModelError
from core.prompting import Message, messages
from core.registry import Load
from core.serving.weights import Weights

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_SAMPLE: list[Message] = [{"role": role, "content": "x"} for role in ("system", "user", "assistant", "user")]
_UNFINISHED = "\ufffd"  # what a tokenizer shows for half a character


@dataclass(eq=False)
class Request:
    """One prompt being answered; a host calls `put` and `end` from its own thread."""

    input_ids: list[int]
    max_tokens: int
    loop: asyncio.AbstractEventLoop
    events: asyncio.Queue[list[int] | str | Exception] = field(default_factory=asyncio.Queue)
    cancelled: bool = False

    def put(self, tokens: Sequence[int]) -> None:
        """Hand over new tokens."""
        self._send(list(tokens))

    def end(self, reason: str | Exception) -> None:
        """Finish with `stop` or `length`, or fail with an exception."""
        self._send(reason)

    def _send(self, event: list[int] | str | Exception) -> None:
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.events.put_nowait, event)


class Host(Protocol):
    """Runs requests on a model, many at a time."""

    def submit(self, request: Request) -> None:
        """Queue a request; its events follow."""
        ...

    def close(self) -> None:
        """Stop and free the model."""
        ...


def end_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """Return the ids of the tokens that end an answer."""
    configured: Any = model.generation_config.eos_token_id
    ends = configured if isinstance(configured, list) else [configured]
    return {int(token) for token in [*ends, tokenizer.eos_token_id] if token is not None}


class LocalGenerator:
    """`Generator` on a folder of safetensors, opened at first use."""

    def __init__(self, weights: Weights, device: str = "auto") -> None:
        """`device` is `cpu`, `cuda`, `mps` or `auto`: the best at hand."""
        self._weights = weights
        self._device = device
        self._opening = asyncio.Lock()
        self._opened: tuple[Host, PreTrainedTokenizerBase] | None = None

    @property
    def version(self) -> str:
        """See `Generator.version`."""
        return self._weights.version

    @property
    def is_open(self) -> bool:
        """See `Generator.is_open`."""
        return self._opened is not None

    @property
    def load(self) -> Load:
        """See `Generator.load`."""
        return Load()

    async def open(self) -> None:
        """See `Generator.open`."""
        await self._open()

    async def stream(self, prompt: Prompt, limits: Limits) -> AsyncGenerator[str | Generation, None]:
        """See `Generator.stream`. Raises `ModelError` when the model cannot be opened or fails."""
        host, tokenizer = await self._open()
        input_ids = _encode(tokenizer, messages(prompt))
        request = Request(input_ids, limits.max_tokens, asyncio.get_running_loop())
        host.submit(request)
        try:
            async with aclosing(_pieces(request, tokenizer, self.version)) as pieces:
                async for piece in pieces:
                    yield piece
        finally:
            request.cancelled = True

    async def aclose(self) -> None:
        """See `Generator.aclose`."""
        if self._opened is not None:
            await asyncio.to_thread(self._opened[0].close)
            self._opened = None

    async def _open(self) -> tuple[Host, PreTrainedTokenizerBase]:
        async with self._opening:
            if self._opened is None:
                self._opened = await asyncio.to_thread(_load, self._weights, self._device)
            return self._opened


async def _pieces(request: Request, tokenizer: PreTrainedTokenizerBase, version: str) -> AsyncGenerator[str | Generation, None]:
    tokens: list[int] = []
    shown = ""
    while True:
        event = await request.events.get()
        if isinstance(event, Exception):
            raise ModelError(f"{version} failed: {event}") from event
        if isinstance(event, str):
            text = _decode(tokenizer, tokens)
            if len(text) > len(shown):
                yield text[len(shown) :]
            yield Generation(text.strip(), version, event, Usage(len(request.input_ids), len(tokens)))
            return
        tokens += event
        text = _decode(tokenizer, tokens)
        if not text.endswith(_UNFINISHED) and len(text) > len(shown):
            yield text[len(shown) :]
            shown = text


def _encode(tokenizer: PreTrainedTokenizerBase, chat: list[Message]) -> list[int]:
    """Return the token ids of a chat; the tokenizer's own control tokens inside a message are broken into plain text."""
    plain = [{**message, "content": _without_control(tokenizer, message["content"])} for message in chat]
    encoded: Any = tokenizer.apply_chat_template(plain, add_generation_prompt=True, tokenize=True, return_dict=True)
    return list(encoded["input_ids"])


def _without_control(tokenizer: PreTrainedTokenizerBase, text: str) -> str:
    # Added tokens count too: <think> and <tool_call> of Qwen steer the model although they are not "special".
    for token in {*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()}:
        if len(token.strip()) > 1:
            text = text.replace(token, f"{token[0]} {token[1:]}")
    return text


def _decode(tokenizer: PreTrainedTokenizerBase, tokens: list[int]) -> str:
    return str(tokenizer.decode(tokens, skip_special_tokens=True))


def _load(weights: Weights, device: str) -> tuple[Host, PreTrainedTokenizerBase]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from core.serving.cohort import CohortHost
    from core.serving.continuous import ContinuousHost

    weights.verify()
    target = best_device() if device == "auto" else device
    try:
        tokenizer = AutoTokenizer.from_pretrained(weights.folder, padding_side="left", local_files_only=True)
        dtype = torch.float32 if target == "cpu" else torch.bfloat16  # bf16 is slower than fp32 on the CPUs we measured
        options = {"dtype": dtype, "local_files_only": True, "use_safetensors": True}
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(weights.folder, **options)
        model = model.to(target).eval()
        tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token  # Llama and others name none
        _encode(tokenizer, _SAMPLE)  # a missing or refusing chat template is found now and not with the first question
    except Exception as error:  # the libraries raise anything: a Rust error for cut-off weights, Jinja's for a template
        raise ModelError(f"The model in {weights.folder} cannot be opened on {target}: {error}") from error
    return (ContinuousHost if target == "cuda" else CohortHost)(model, tokenizer), tokenizer


def best_device() -> str:
    """Return `cuda`, `mps` or `cpu`, whichever is there first."""
    try:
        import torch
    except ImportError:  # a process without a worker may be installed without the extra `local`
        return "cpu"
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
