"""In-flight batching: one thread writes all answers, a request joins at the next token and leaves when it is done.

Each adapter has a lane: its own rows, slots and prefixes on the one base model. A turn of a lane reads some new prompts in and then
adds to each row.
"""

from __future__ import annotations

import gc
import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import torch

from core.serving import prefix_tuning
from core.serving.batch import Batch, Sizes
from core.serving.hosting import MAX_WAITING, Request, end_tokens, is_out_of_memory, model_closed, queue_full
from core.serving.lora import Adapters
from core.serving.rows import Row

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedModel, PreTrainedTokenizerBase

logger = logging.getLogger(__name__)


class InflightHost:
    """The thread of one base model and its lanes."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, sizes: Sizes = Sizes()) -> None:
        self._model = model
        self._ends = end_tokens(model, tokenizer)
        self._sizes = sizes
        self._room = sizes.rows  # fewer after memory ran out, one more with each answer finished since
        self._changed = threading.Condition()
        self._lanes: list[Lane] = []
        self._errands: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._adapters = Adapters(model)
        self._is_closing = False
        self._thread = threading.Thread(target=self._serve, name="inflight", daemon=True)
        self._thread.start()

    def attach(self, adapter: Path | None = None) -> Lane:
        """Return a lane that writes with `adapter`, a LoRA or a prefix, or with the base alone. Blocks.

        Loading it holds the others up between two tokens.
        """
        lane: Lane = self._between_tokens(lambda: self._attached(adapter))
        return lane

    def detach(self, lane: Lane) -> None:
        """Fail what waits in a lane, finish what runs, and unload its adapter. Blocks."""
        with self._changed:
            lane.is_closing = True
            self._changed.notify()
        lane.emptied.wait()
        self._between_tokens(lambda: self._detached(lane))

    def close(self) -> None:
        """Finish what runs, fail what waits, and end the thread. Blocks."""
        with self._changed:
            self._is_closing = True
            for lane in self._lanes:
                lane.is_closing = True
            self._changed.notify()
        self._thread.join()

    def submit(self, lane: Lane, request: Request) -> None:
        """Queue a request in a lane, or end it at once."""
        with self._changed:
            refusal = model_closed() if lane.is_closing else queue_full() if self._waiting() >= MAX_WAITING else None
            if refusal is None:
                lane.waiting.append(Row(request))
                self._changed.notify()
                return
        request.end(refusal)

    def _waiting(self) -> int:
        return sum(not row.request.cancelled for lane in self._lanes for row in lane.waiting)

    def _between_tokens(self, errand: Callable[[], Any]) -> Any:
        done: Future[Any] = Future()
        with self._changed:
            if self._is_closing:
                raise model_closed()
            self._errands.append((errand, done))
            self._changed.notify()
        return done.result()

    def _serve(self) -> None:
        with torch.inference_mode():
            while self._has_work():
                self._run_errands()
                with self._changed:  # whoever was first is last in the next turn: a busy adapter does not keep another one out
                    self._lanes = self._lanes[1:] + self._lanes[:1]
                for lane in self._lanes:
                    self._turn(lane)

    def _has_work(self) -> bool:
        """Wait for work; False when there will be none."""
        with self._changed:
            while not (self._errands or any(lane.has_work for lane in self._lanes)):
                if self._is_closing:
                    return False
                self._changed.wait()
        return True

    def _run_errands(self) -> None:
        while self._errands:
            errand, done = self._errands.popleft()
            try:
                done.set_result(errand())
            except Exception as error:
                done.set_exception(error)

    def _turn(self, lane: Lane) -> None:
        with self._changed:
            refused = lane.pruned()
        for row in refused:
            row.end(model_closed())
        lane.batch.settle()
        joining: list[Row] = []
        try:
            if lane.waiting or lane.batch.rows:
                self._adapters.use(lane.adapter)
            joining = lane.batch.admit(list(lane.waiting), self._room - sum(len(one.batch.rows) for one in self._lanes))
            with self._changed:  # before they are read in: whoever has a first token waits no more
                for row in joining:
                    lane.waiting.remove(row)
            if joining:
                lane.batch.join(joining)
            joining = []
            running = len(lane.batch.rows)
            if running:
                lane.batch.step()
                self._room = min(self._sizes.rows, self._room + running - len(lane.batch.rows))
        except Exception as error:  # whatever it is, the thread must live for the next
            self._recover(lane, joining, error)
        if lane.is_closing and not (lane.waiting or lane.batch.rows):
            lane.emptied.set()

    def _recover(self, lane: Lane, joining: list[Row], error: Exception) -> None:
        """Begin again with half the rows when memory ran out; all else fails the rows that met it."""
        running = [row for row in lane.batch.clear() if row not in joining]
        with self._changed:
            rows = running + joining
            if not is_out_of_memory(error) or len(rows) <= 1:
                failed = rows
            else:
                failed = []
                lane.waiting.extendleft(reversed([row for row in rows if not row.is_done]))
                self._room = max(1, len(rows) // 2)
                logger.warning("Memory ran out with %s answers at once; going on with %s", len(rows), self._room)
        for row in failed:
            if not row.is_done:
                row.end(error)
        error.__traceback__ = None  # it holds the tensors of the pass that failed
        gc.collect()
        if self._model.device.type == "cuda":
            torch.cuda.empty_cache()

    def _attached(self, adapter: Path | None) -> Lane:
        ahead = prefix_tuning.read(adapter, self._model) if adapter and prefix_tuning.is_one(adapter) else None
        name = self._adapters.add(adapter) if adapter and ahead is None else ""
        lane = Lane(name, Batch(self._model, self._ends, self._sizes, ahead))
        with self._changed:
            self._lanes.append(lane)
        return lane

    def _detached(self, lane: Lane) -> None:
        with self._changed:
            self._lanes.remove(lane)
        if lane.adapter:
            self._adapters.remove(lane.adapter)


class Lane:
    """What waits for an adapter and what runs on it; the thread of the host alone touches `batch`."""

    def __init__(self, adapter: str, batch: Batch) -> None:
        self.adapter = adapter
        self.batch = batch
        self.waiting: deque[Row] = deque()
        self.is_closing = False
        self.emptied = threading.Event()

    @property
    def has_work(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.waiting or self.batch.rows or (self.is_closing and not self.emptied.is_set()))

    def pruned(self) -> list[Row]:
        """Forget who waits and is no longer wanted; of a lane that closes, return all who wait."""
        wanted = [row for row in self.waiting if not row.request.cancelled]
        self.waiting = deque(() if self.is_closing else wanted)
        return wanted if self.is_closing else []
