"""One run of training, alone in its process so that its peak of memory is its own: `ours`, or `trl` with the defaults of trl and peft.

    python -m tests.bench.training_speed ours|trl ROWS.jsonl

Prints one JSON document: seconds from the first step to the last, and the peak of the resident set in bytes.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from bot.settings import Settings
from bot.telemetry import quiet_libraries
from core.serving import bases, chat, headroom, weights
from core.training.answers import Job, fit
from core.training.encoding import Codec, encoded
from core.training.progress import Progress
from core.training.recipe import Recipe

Row = dict[str, Any]


class Run(NamedTuple):
    """What a run took."""

    seconds: float
    peak_bytes: int


def main() -> None:
    """Train once and tell."""
    quiet_libraries()
    rows = [json.loads(line) for line in Path(sys.argv[2]).read_text("utf-8").splitlines()]
    seconds = {"ours": _ours, "trl": _trl}[sys.argv[1]](rows)
    print(json.dumps(Run(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)._asdict()))


def codec_of(tokenizer: Any) -> Codec:
    """Return how serving turns text into token ids."""
    return Codec(partial(chat.encode, tokenizer), partial(chat.encode_answer, tokenizer))


def _ours(rows: list[Row]) -> float:
    model, tokenizer = _loaded()
    every = encoded(rows, codec_of(tokenizer), 4096)
    times: dict[int, float] = {}

    def watch(now: Progress) -> None:
        times.setdefault(now.step, time.perf_counter())

    with tempfile.TemporaryDirectory() as folder:
        recipe = Recipe(epochs=1, looks=1, max_length=4096)
        job = Job("base", recipe, "0" * 64, every, every[:1], Path(folder) / "out")
        fit(job, model, tokenizer, headroom.free_bytes("cpu"), watch)
    return times[job.steps] - times[0]


def _trl(rows: list[Row]) -> float:
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import TrainerCallback
    from trl import SFTConfig, SFTTrainer

    times: list[float] = []

    class Clock(TrainerCallback):
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            times.append(time.perf_counter())

        def on_step_end(self, *_: Any, **__: Any) -> None:
            times.append(time.perf_counter())

    model, tokenizer = _loaded()
    told = [{"prompt": row["messages"][:-1], "completion": row["messages"][-1:]} for row in rows]
    with tempfile.TemporaryDirectory() as folder:
        arguments = SFTConfig(output_dir=folder, num_train_epochs=1, use_cpu=True, report_to=[], save_strategy="no", disable_tqdm=True)
        plain = Recipe()  # the same adapter: what differs is how it is trained
        lora = LoraConfig(r=plain.rank, lora_alpha=plain.alpha, target_modules=list(plain.targets), task_type="CAUSAL_LM")
        kept = Dataset.from_list(told)
        SFTTrainer(
            model=model, args=arguments, train_dataset=kept, processing_class=tokenizer, peft_config=lora, callbacks=[Clock()]
        ).train()
    return times[-1] - times[0]


def _loaded() -> tuple[Any, Any]:
    return bases.load(weights.resolve(weights.SMOLLM, Settings().model_dir), "cpu", "float32")


if __name__ == "__main__":
    main()
