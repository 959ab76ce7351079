"""Whatever joins, leaves, fails or is cancelled beside it, an answer is what the model writes alone."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from core.errors import ModelError
from core.serving import hosting
from core.serving.batch import Batch, Sizes
from core.serving.hosting import Request
from core.serving.inflight import InflightHost, Lane
from core.serving.rows import agreed, guess
from tests.core.serving import tiny

SECONDS = 60
PROMPTS = [[(7 * number + 3 * place) % 250 for place in range(20 + 13 * number)] for number in range(8)]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save(tmp_path_factory.mktemp("models") / "tiny")


class Asked(Request):
    """A request that can be waited for in a test's own thread."""

    def __init__(self, input_ids: list[int], max_tokens: int = 24) -> None:
        super().__init__(input_ids, max_tokens, asyncio.new_event_loop())
        self.loop.close()
        self.heard: queue.SimpleQueue[list[int] | str | Exception] = queue.SimpleQueue()
        self.tokens: list[int] = []

    def _send(self, event: list[int] | str | Exception) -> None:
        self.heard.put(event)

    def next_token(self) -> int:
        """Wait for more tokens; return how many there are."""
        event = self.heard.get(timeout=SECONDS)
        assert isinstance(event, list), event
        self.tokens += event
        return len(self.tokens)

    def result(self) -> list[int]:
        """Wait for the end; return all tokens, or raise what it ended with."""
        while isinstance(event := self.heard.get(timeout=SECONDS), list):
            self.tokens += event
        if isinstance(event, Exception):
            raise event
        return self.tokens


class Served:
    """A host on the tiny model, with one lane that has no adapter."""

    def __init__(self, folder: Path, sizes: Sizes = Sizes()) -> None:
        self.model: Any = AutoModelForCausalLM.from_pretrained(folder).eval()
        self.host = InflightHost(self.model, AutoTokenizer.from_pretrained(folder), sizes)
        self.lane = self.host.attach()

    def ask(self, prompt: list[int], max_tokens: int = 24, lane: Lane | None = None) -> Asked:
        asked = Asked(prompt, max_tokens)
        self.host.submit(lane or self.lane, asked)
        return asked

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *_: object) -> None:
        self.host.close()


def generated(model: Any, prompt: list[int], max_tokens: int = 24) -> list[int]:
    """What transformers' own `generate` writes, greedily, without the token that ends it."""
    ids = torch.tensor([prompt])
    with torch.inference_mode():
        whole = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=max_tokens, do_sample=False, pad_token_id=0)
    written: list[int] = whole[0, len(prompt) :].tolist()
    return written[:-1] if written[-1] == model.generation_config.eos_token_id else written


@pytest.fixture(scope="module")
def expected(folder: Path) -> list[list[int]]:
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    return [generated(model, prompt) for prompt in PROMPTS]


@pytest.mark.parametrize("sizes", [Sizes(), Sizes(rows=3, tokens_read=1, guesses=0), Sizes(guesses=200), Sizes(prefix_bytes=0)], ids=str)
def test_every_row_is_what_generate_writes_however_they_are_put_together(folder: Path, expected: list[list[int]], sizes: Sizes) -> None:
    with Served(folder, sizes) as served:
        for _ in range(2):  # the second time prompts are known
            asked = [served.ask(prompt) for prompt in PROMPTS]
            assert [one.result() for one in asked] == expected


def test_a_request_joins_while_another_is_being_written(folder: Path, expected: list[list[int]]) -> None:
    with Served(folder) as served:
        long = served.ask(PROMPTS[1], 600)
        long.next_token()
        assert served.ask(PROMPTS[0]).result() == expected[0]
        so_far = long.next_token()
        assert so_far < 600
        whole = long.result()
    assert whole == generated(served.model, PROMPTS[1], 600)


def test_answers_end_at_their_own_limits_and_their_neighbours_go_on(folder: Path, expected: list[list[int]]) -> None:
    with Served(folder) as served:
        limits = [1, 24, 2, 24, 5, 24, 1, 24]
        asked = [served.ask(prompt, limit) for prompt, limit in zip(PROMPTS, limits, strict=True)]
        assert [one.result() for one in asked] == [tokens[:limit] for tokens, limit in zip(expected, limits, strict=True)]


def test_a_cancelled_row_is_freed_at_the_next_token(folder: Path, expected: list[list[int]]) -> None:
    with Served(folder, Sizes(rows=1)) as served:
        leaving = served.ask(PROMPTS[2], 100_000)
        waiting = served.ask(PROMPTS[0])
        leaving.next_token()
        leaving.cancelled = True
        assert waiting.result() == expected[0]


def test_who_leaves_while_waiting_takes_no_place(folder: Path, expected: list[list[int]]) -> None:
    with Served(folder, Sizes(rows=1)) as served:
        running = served.ask(PROMPTS[2], 100_000)
        left = served.ask(PROMPTS[1])
        left.cancelled = running.cancelled = True
        assert served.ask(PROMPTS[0]).result() == expected[0]
        assert left.heard.empty()


def test_a_full_queue_is_told_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.serving.inflight.MAX_WAITING", 2)
    with Served(folder, Sizes(rows=1)) as served:
        running = served.ask(PROMPTS[0], 100_000)
        running.next_token()
        waiting = [served.ask(PROMPTS[1]) for _ in range(2)]
        with pytest.raises(ModelError, match="requests wait for the model already"):
            served.ask(PROMPTS[2]).result()
        waiting[0].cancelled = True
        waiting.append(served.ask(PROMPTS[2]))  # who has left makes room
        running.cancelled = True
        assert all(one.result() for one in waiting[1:])


def test_who_is_written_takes_no_place_in_the_queue_from_the_first_token_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.serving.inflight.MAX_WAITING", 1)
    join, go_on = Batch.join, threading.Event()

    def held(self: Batch, rows: list[Any]) -> None:
        join(self, rows)
        assert go_on.wait(SECONDS)

    monkeypatch.setattr(Batch, "join", held)
    with Served(folder, Sizes(rows=1)) as served:
        running = served.ask(PROMPTS[0])
        running.next_token()
        waiting = served.ask(PROMPTS[1])
        go_on.set()
        assert running.result() and waiting.result()


# Memory.


def scarce(monkeypatch: pytest.MonkeyPatch, error: Exception, rows: int) -> list[int]:
    """Let forward passes fail that take more than so many rows; return how many rows each pass had."""
    seen: list[int] = []
    choose = Batch._choose

    def limited(self: Batch, first: int, new: list[list[int]], *rest: Any) -> Any:
        seen.append(first + len(new))
        if first + len(new) > rows:
            raise error
        return choose(self, first, new, *rest)

    monkeypatch.setattr(Batch, "_choose", limited)
    return seen


SHORTAGES = [
    MemoryError(), torch.OutOfMemoryError("CUDA out of memory."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
]  # fmt: skip


@pytest.mark.parametrize("error", SHORTAGES, ids=lambda error: type(error).__name__)
def test_when_memory_runs_out_fewer_are_written_at_once_and_nobody_notices(
    folder: Path, expected: list[list[int]], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    scarce(monkeypatch, error, 3)
    with Served(folder) as served:
        asked = [served.ask(prompt) for prompt in PROMPTS]
        assert [one.result() for one in asked] == expected


def test_what_is_too_large_even_alone_fails_and_the_next_is_answered(
    folder: Path, expected: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Served(folder) as served:
        with monkeypatch.context() as patched:
            scarce(patched, MemoryError("no room"), 0)
            with pytest.raises(MemoryError, match="no room"):
                served.ask(PROMPTS[0]).result()
        assert served.ask(PROMPTS[0]).result() == expected[0]


def test_another_failure_fails_those_it_met_and_the_next_is_answered(folder: Path, expected: list[list[int]]) -> None:
    with Served(folder) as served:
        with pytest.raises(IndexError):
            served.ask([10**6]).result()  # no such token
        assert served.ask(PROMPTS[0]).result() == expected[0]


# Prefixes.


def read_in(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many tokens each forward pass was given in its longest row."""
    widths: list[int] = []
    choose = Batch._choose

    def counted(self: Batch, first: int, new: list[list[int]], *rest: Any) -> Any:
        widths.append(max(map(len, new)))
        return choose(self, first, new, *rest)

    monkeypatch.setattr(Batch, "_choose", counted)
    return widths


def test_a_known_beginning_is_not_read_again_and_the_text_is_the_same(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    widths = read_in(monkeypatch)
    prompts = [[*PROMPTS[7][:64], *PROMPTS[number]] for number in range(3)]
    with Served(folder, Sizes(guesses=0)) as served:
        texts = [served.ask(prompt).result() for prompt in prompts]
    assert texts == [generated(served.model, prompt) for prompt in prompts]
    assert [width for width in widths if width > 1] == [len(prompts[0]), len(prompts[1]) - 64, len(prompts[2]) - 64]


def test_prefixes_keep_to_their_memory_and_the_beginning_outlives_the_end() -> None:
    from core.serving.prefixes import Prefixes

    prefixes = Prefixes(max_bytes=10 * 8 * 4)  # ten blocks of eight tokens, four bytes each
    common = list(range(32))
    for number in range(50):
        prompt = [*common, *[100 + number] * 24]
        prefixes.keep(prompt, lambda start, end: torch.zeros(end - start, 1))
        assert prefixes.bytes_held <= 10 * 8 * 4
    assert prefixes.covers([*common, 1, 2, 3]) == 32
    assert prefixes.covers([*common, *[100] * 24, 1]) == 32


# Guesses.


def test_a_guess_is_what_followed_the_same_words_last_time() -> None:
    assert guess([1, 2, 3, 4, 5, 1, 2, 3, 6, 7, 1, 2, 3], 2) == [6, 7]
    assert guess([9, 2, 3, 4, 1, 2, 3], 5) == [4, 1, 2, 3]
    assert guess([1, 2, 3, 4], 5) == []


def test_guesses_count_up_to_the_first_that_the_model_does_not_share() -> None:
    assert [agreed([5, 6, 7], chosen) for chosen in ([5, 6, 7, 8], [5, 6, 1, 2], [1, 2, 3, 4])] == [4, 3, 1]


def test_guessing_saves_passes_and_changes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    widths = read_in(monkeypatch)
    with Served(folder, Sizes(guesses=0)) as served:
        plain = [served.ask(prompt, 200).result() for prompt in PROMPTS]
    passes = len(widths)
    with Served(folder) as served:
        assert [served.ask(prompt, 200).result() for prompt in PROMPTS] == plain
    assert len(widths) - passes < passes  # the tiny model repeats itself


# Adapters.


@pytest.fixture(scope="module")
def adapters(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    from peft import LoraConfig, get_peft_model

    folders = []
    for number in range(2):
        torch.manual_seed(number)
        model = AutoModelForCausalLM.from_pretrained(folder)
        adapted = get_peft_model(model, LoraConfig(r=4, target_modules=["q_proj", "down_proj"], init_lora_weights=False))
        folders.append(tmp_path_factory.mktemp("adapters") / str(number))
        adapted.save_pretrained(folders[-1])
    return folders


def test_adapters_write_their_own_texts_on_one_base_at_the_same_time(folder: Path, adapters: list[Path], expected: list[list[int]]) -> None:
    from peft import PeftModel

    merged = [
        PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(folder), adapter).merge_and_unload().eval() for adapter in adapters
    ]
    texts = [expected, *[[generated(model, prompt) for prompt in PROMPTS] for model in merged]]
    assert texts[0] != texts[1] != texts[2] != texts[0]
    with Served(folder) as served:
        lanes = [served.lane, *[served.host.attach(adapter) for adapter in adapters]]
        for _ in range(2):
            asked = [[served.ask(prompt, lane=lane) for prompt in PROMPTS] for lane in lanes]
            assert [[one.result() for one in row] for row in asked] == texts
        served.host.detach(lanes[1])
        assert served.ask(PROMPTS[0], lane=lanes[2]).result() == texts[2][0]
        assert served.ask(PROMPTS[0]).result() == expected[0]
        with pytest.raises(ModelError, match="closed"):
            served.ask(PROMPTS[0], lane=lanes[1]).result()


@pytest.fixture(scope="module")
def prefix(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prefix of random numbers, of a length that no block of kept beginnings has."""
    from peft import PrefixTuningConfig, get_peft_model

    torch.manual_seed(5)
    adapted = get_peft_model(AutoModelForCausalLM.from_pretrained(folder), PrefixTuningConfig(num_virtual_tokens=5, task_type="CAUSAL_LM"))
    adapted.prompt_encoder["default"].embedding.weight.data *= 5.0  # so that every answer is another one
    made = tmp_path_factory.mktemp("adapters") / "prefix"
    adapted.save_pretrained(made)
    return made


@pytest.mark.parametrize("sizes", [Sizes(), Sizes(rows=3, tokens_read=1, guesses=0), Sizes(prefix_bytes=0)], ids=str)
def test_a_tuned_prefix_stands_before_each_row_beside_loras_and_the_base(
    folder: Path, adapters: list[Path], prefix: Path, expected: list[list[int]], sizes: Sizes
) -> None:
    from peft import PeftModel

    tuned = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(folder), prefix).eval()
    texts = [by_peft(tuned, prompt) for prompt in PROMPTS]
    assert all(text != plain for text, plain in zip(texts, expected, strict=True))
    with Served(folder, sizes) as served:
        lora, lane = served.host.attach(adapters[0]), served.host.attach(prefix)
        for _ in range(2):  # the second time prompts are known
            asked = [[served.ask(prompt, lane=one) for prompt in PROMPTS] for one in (lane, served.lane, lora)]
            found = [[one.result() for one in row] for row in asked]
            assert found[:2] == [texts, expected] and found[2] not in found[:2]
        served.host.detach(lane)
        assert served.ask(PROMPTS[0]).result() == expected[0]


def by_peft(model: Any, prompt: list[int], max_tokens: int = 24) -> list[int]:
    """What peft's model writes when each token is asked of all before it."""
    tokens = list(prompt)
    with torch.inference_mode():
        for _ in range(max_tokens):
            tokens.append(int(model(input_ids=torch.tensor([tokens])).logits[0, -1].argmax()))
            if tokens[-1] == model.generation_config.eos_token_id:
                return tokens[len(prompt) : -1]
    return tokens[len(prompt) :]


def test_an_adapter_joins_while_the_base_is_writing(folder: Path, adapters: list[Path]) -> None:
    with Served(folder) as served:
        running = served.ask(PROMPTS[1], 400)
        running.next_token()
        lane = served.host.attach(adapters[0])
        assert served.ask(PROMPTS[0], lane=lane).result()
        assert running.result() == generated_by_base(folder, PROMPTS[1], 400)


def generated_by_base(folder: Path, prompt: list[int], max_tokens: int) -> list[int]:
    return generated(AutoModelForCausalLM.from_pretrained(folder).eval(), prompt, max_tokens)


def test_a_damaged_or_foreign_adapter_is_refused_and_the_base_writes_on(
    folder: Path, adapters: list[Path], tmp_path: Path, expected: list[list[int]]
) -> None:
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    (pickled / "adapter_config.json").write_bytes((adapters[0] / "adapter_config.json").read_bytes())
    (pickled / "adapter_model.bin").write_bytes(b"cos\nsystem\n")
    cut = tmp_path / "cut"
    cut.mkdir()
    for file in adapters[0].iterdir():
        (cut / file.name).write_bytes(file.read_bytes()[:200] if file.suffix == ".safetensors" else file.read_bytes())
    gone = tmp_path / "gone"
    gone.mkdir()
    (gone / "adapter_config.json").write_text('{"peft_type": "PREFIX_TUNING"}')
    with Served(folder) as served:
        for broken, words in ((pickled, "no other format is opened"), (cut, "cannot be put on its base"), (gone, "cannot be read")):
            with pytest.raises(ModelError, match=words):
                served.host.attach(broken)
            assert served.ask(PROMPTS[0]).result() == expected[0]
        assert served.ask(PROMPTS[0], lane=served.host.attach(adapters[0])).result() != expected[0]


def test_the_queue_is_bounded_for_both_hosts() -> None:
    from core.serving import continuous, inflight

    assert inflight.MAX_WAITING == continuous.MAX_WAITING == hosting.MAX_WAITING
