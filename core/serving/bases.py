"""Opens models and lets generators that differ only in their adapter share one."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, NamedTuple

from core.errors import ModelError
from core.serving import chat, headroom
from core.serving.hosting import Host, Request, model_closed
from core.serving.weights import Weights

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from core.serving.inflight import InflightHost, Lane


class _Key(NamedTuple):
    folder: Path  # a version and the base of an adapter may have other names for the same files
    device: str
    precision: str


class SharedBases:
    """Models by weights and device, loaded with the first generator that needs one and freed with the last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # two models that load at once would need memory for both
        self._bases: dict[_Key, _Base] = {}

    def open(
        self, weights: Weights, device: str, precision: str, adapter: Path | None, *, anew: bool = False
    ) -> tuple[Host, PreTrainedTokenizerBase]:
        """Return a host of requests to these weights, with an adapter or without. Blocks. Raises `ModelError`.

        `anew` reads them from disk though they are loaded; who uses what is loaded keeps it. A whole model on CUDA is not shared:
        transformers' paged cache takes what memory there is for one owner.
        """
        target = best_device() if device == "auto" else device
        if target == "cuda" and adapter is None:
            from core.serving.continuous import ContinuousHost

            model, tokenizer = load(weights, target, precision)
            return ContinuousHost(model, tokenizer), tokenizer
        base = self._enter(_Key(weights.folder.resolve(), target, precision), weights, anew)
        try:
            return _Place(self, base, base.host.attach(adapter)), base.tokenizer
        except BaseException:
            self.leave(base)
            raise

    def leave(self, base: _Base) -> None:
        """Count a user of a base less; the last one frees it. Blocks."""
        with self._lock:
            base.users -= 1
            if base.users:
                return
            if self._bases.get(base.key) is base:
                del self._bases[base.key]
        base.close()

    def _enter(self, key: _Key, weights: Weights, anew: bool) -> _Base:
        with self._lock:
            base = None if anew else self._bases.get(key)
            if base is None:
                base = self._bases[key] = _Base(key, weights)
            base.users += 1
            return base


class _Base:
    """One loaded model, its host, and how many use it."""

    def __init__(self, key: _Key, weights: Weights) -> None:
        from core.serving.inflight import InflightHost

        model, self.tokenizer = load(weights, key.device, key.precision)
        self.key = key
        self.host: InflightHost = InflightHost(model, self.tokenizer)
        self.users = 0

    def close(self) -> None:
        """End the host, and give its memory back to the system and not only to the allocator."""
        self.host.close()
        del self.host
        headroom.give_back()


class _Place:
    """`Host`: a lane of a shared base."""

    def __init__(self, bases: SharedBases, base: _Base, lane: Lane) -> None:
        self._bases = bases
        self._base = base
        self._lane: Lane | None = lane

    def submit(self, request: Request) -> None:
        """See `Host.submit`."""
        lane = self._lane
        if lane is None:
            request.end(model_closed())
        else:
            self._base.host.submit(lane, request)

    def close(self) -> None:
        """See `Host.close`."""
        lane, self._lane = self._lane, None  # it holds the model
        try:
            if lane is not None:
                self._base.host.detach(lane)
        finally:
            del lane
            self._bases.leave(self._base)


def load(weights: Weights, device: str, precision: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Return a model on `device` and its tokenizer, tried on a chat. Raises `ModelError`.

    `precision` is `float32`, `packed` (bf16, and fewer bits for writing; CPU) or `auto`: packed on a CPU made for bf16, else float32; bf16
    on a GPU.
    """
    from transformers import AutoTokenizer

    weights.verify()
    headroom.require(weights.folder, device, 4 if device == "cpu" or precision == "float32" else 2)
    try:
        tokenizer = AutoTokenizer.from_pretrained(weights.folder, padding_side="left", local_files_only=True)
        model = _opened(weights, device, precision)
        tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token  # Llama and others name none
        chat.encode(tokenizer, chat.SAMPLE)  # a missing or refusing chat template is found now and not with the first question
    except Exception as error:  # the libraries raise anything: a Rust error for cut-off weights, Jinja's for a template
        raise ModelError(f"The model in {weights.folder} cannot be opened on {device}: {error}") from error
    return model, tokenizer


def best_device() -> str:
    """Return `cuda`, `mps` or `cpu`, whichever is there first."""
    try:
        import torch
    except ImportError:  # a process without a worker may be installed without the extra `local`
        return "cpu"
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _opened(weights: Weights, device: str, precision: str) -> PreTrainedModel:
    import torch
    from transformers import AutoModelForCausalLM

    is_exact = device == "cpu" or precision == "float32"
    placement = _placement(device)
    options = {"dtype": torch.float32 if is_exact else torch.bfloat16, "local_files_only": True, "use_safetensors": True}
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(weights.folder, **options, **placement)
    if device == "cpu" and precision != "float32":
        from core.serving import packing

        if precision == "packed" or packing.suits_this_processor():
            packing.pack(model)
    return (model if placement else model.to(device)).eval()


def _placement(device: str) -> dict[str, str]:
    """Return how a model is spread over GPUs: sharded under torchrun (a rank each), else by layers where there are several."""
    import torch

    if device != "cuda":
        return {}
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        return {"tp_plan": "auto"}
    return {"device_map": "auto"} if torch.cuda.device_count() > 1 else {}
