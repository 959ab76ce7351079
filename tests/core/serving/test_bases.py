"""Generators that differ in their adapter share one loaded base; it is freed with the last of them."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from core import prompting
from core.domain import Generation, Limits, Passage
from core.errors import ModelError
from core.registry import Load
from core.serving import bases
from core.serving.bases import SharedBases
from core.serving.local import LocalGenerator
from core.serving.weights import Weights, resolve
from tests.core.serving import tiny

PROMPT = prompting.build("How do I pay?", (Passage("p", "d", "Pay", "By card."),))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    folder = tiny.save(tmp_path_factory.mktemp("models") / "tiny")
    return resolve(str(folder), folder)


@pytest.fixture(scope="module")
def adapter(base: Weights, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from peft import LoraConfig, get_peft_model

    folder = tmp_path_factory.mktemp("adapter")
    model = AutoModelForCausalLM.from_pretrained(base.folder)
    get_peft_model(model, LoraConfig(r=4, target_modules=["q_proj", "down_proj"], init_lora_weights=False)).save_pretrained(folder)
    return folder


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[weakref.ref[object]]:
    """Every model that was loaded, as long as somebody holds it."""
    models: list[weakref.ref[object]] = []
    load = bases.load

    def counted(*arguments: object) -> object:
        model, tokenizer = load(*arguments)  # type: ignore[arg-type]
        models.append(weakref.ref(model))
        return model, tokenizer

    monkeypatch.setattr(bases, "load", counted)
    return models


async def text(generator: LocalGenerator) -> str:
    async with asyncio.timeout(60):
        end = [piece async for piece in generator.stream(PROMPT, Limits(12))][-1]
    assert isinstance(end, Generation) and end.model_version == generator.version
    return end.text


async def test_one_base_is_loaded_for_all_adapters_and_freed_with_the_last(
    base: Weights, adapter: Path, loaded: list[weakref.ref[object]]
) -> None:
    shared = SharedBases()
    plain = LocalGenerator(base, "cpu", version="plain@1", bases=shared, precision="float32")
    tuned = LocalGenerator(base, "cpu", version="tuned@1", adapter=adapter, bases=shared, precision="float32")
    texts = await asyncio.gather(text(plain), text(tuned))
    assert texts[0] != texts[1]
    await plain.aclose()
    again = LocalGenerator(base, "cpu", bases=shared, precision="float32")
    assert [await text(tuned), await text(again)] == [texts[1], texts[0]]
    assert len(loaded) == 1
    await tuned.aclose()
    await again.aclose()
    gc.collect()
    assert loaded[0]() is None


async def test_an_adapter_that_cannot_be_had_leaves_no_base_behind(
    base: Weights, tmp_path: Path, loaded: list[weakref.ref[object]]
) -> None:
    shared = SharedBases()
    with pytest.raises(ModelError, match=r"holds no adapter_model\.safetensors"):
        await LocalGenerator(base, "cpu", adapter=tmp_path, bases=shared).open()
    generator = LocalGenerator(base, "cpu", bases=shared)
    assert await text(generator)
    assert len(loaded) == 2
    await generator.aclose()


async def test_who_gives_up_while_a_model_loads_leaves_it_to_the_next(base: Weights, loaded: list[weakref.ref[object]]) -> None:
    generator = LocalGenerator(base, "cpu")
    opening = asyncio.create_task(generator.open())
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert not generator.is_open
    assert await text(generator)
    assert len(loaded) == 1
    await generator.aclose()
    abandoned = LocalGenerator(base, "cpu")
    opening = asyncio.create_task(abandoned.open())
    await asyncio.sleep(0)
    opening.cancel()
    await asyncio.wait([opening])
    await abandoned.aclose()
    gc.collect()
    assert [model() for model in loaded] == [None, None]


async def test_the_load_is_what_waits_what_runs_and_what_was_written_in_30_seconds(base: Weights) -> None:
    now = 100.0
    generator = LocalGenerator(base, "cpu", clock=lambda: now)
    await generator.open()
    now += 31  # the rehearsal is forgotten
    assert generator.load == Load()
    stream = generator.stream(PROMPT, Limits(60))
    await anext(stream)
    assert (generator.load.waiting, generator.load.running) == (0, 1)
    asking = asyncio.create_task(text(generator))
    await asyncio.sleep(0)
    assert generator.load.waiting == 1
    await asking
    await stream.aclose()
    assert (generator.load.waiting, generator.load.running) == (0, 0)
    assert generator.load.tokens_per_second >= 12 / 30
    now += 31
    assert generator.load == Load()
    await generator.aclose()
