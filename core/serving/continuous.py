"""Batching for a GPU: transformers' continuous batching with a paged cache and shared prefixes."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

from transformers import GenerationConfig
from transformers.generation.configuration_utils import ContinuousBatchingConfig

from core.serving.hosting import MAX_WAITING, Request, end_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


_CACHE_SHARE = 0.45  # of what is free beside the weights: the next version is loaded, and has its own cache, while this one still writes


class ContinuousHost:
    """`Host` on `ContinuousBatchingManager`: a request joins the running batch at the next token."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, config: ContinuousBatchingConfig | None = None) -> None:
        self._running: dict[str, _Running] = {}
        self._ends = end_tokens(model, tokenizer)
        generation = GenerationConfig(do_sample=False, eos_token_id=sorted(self._ends))
        generation.pad_token_id = tokenizer.pad_token_id
        self._manager = model.init_continuous_batching(
            generation_config=generation,
            continuous_batching_config=config or ContinuousBatchingConfig(max_queue_size=MAX_WAITING, max_memory_percent=_CACHE_SHARE),
        )
        self._manager.start()
        self._count = 0

    def submit(self, request: Request) -> None:
        """See `Host.submit`."""
        self._count += 1
        request_id = f"request-{self._count}"
        self._running[request_id] = _Running(request)
        self._manager.register_result_handler(request_id, self._deliver)
        try:
            if not self._manager.is_running():  # its thread ends with the first pass that runs out of memory, and all requests with it
                self._manager.start()
            self._manager.add_request(request.input_ids, request_id, max_new_tokens=request.max_tokens, streaming=True)
        except (RuntimeError, ValueError) as error:  # the queue is full, or the manager has stopped
            del self._running[request_id]
            request.end(error)

    def close(self) -> None:
        """See `Host.close`."""
        import torch

        self._manager.stop(block=True)
        del self._manager
        gc.collect()
        if torch.cuda.is_available():  # what torch keeps for later counts as taken when the next model asks what is free
            torch.cuda.empty_cache()

    def _deliver(self, output: Any) -> None:
        running = self._running[output.request_id]
        if running.request.cancelled:
            self._manager.cancel_request(output.request_id)
            del self._running[output.request_id]
            return
        running.put([token for token in output.generated_tokens if token not in self._ends])
        if output.is_finished():
            del self._running[output.request_id]
            stopped = bool(output.generated_tokens) and output.generated_tokens[-1] in self._ends
            running.request.end(RuntimeError(output.error) if output.error else "stop" if stopped else "length")


class _Running:
    """A request and how many of its tokens were handed over."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self._sent = 0

    def put(self, tokens: list[int]) -> None:
        """Hand over what is new in all tokens so far."""
        if len(tokens) > self._sent:
            self.request.put(tokens[self._sent :])
            self._sent = len(tokens)
