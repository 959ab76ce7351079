"""What bootstrap builds fits together as it is configured."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.bootstrap import frontdesk
from bot.bootstrap_models import generator_of
from bot.settings import read
from core import prompting
from core.domain import Limits, Passage
from core.errors import ModelError
from tests.core.serving import tiny


async def test_the_configured_model_is_served_with_a_retry_and_a_breaker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tiny.save(tmp_path / "tiny")
    monkeypatch.setenv("FRONTDESK_MODEL", str(folder))
    prompt = prompting.build("How do I pay?", (Passage("p", "d", "Pay", "By card."),))
    async with frontdesk(read(), lambda line: None) as graph:
        generator = await generator_of(graph)
        next(folder.glob("*.safetensors")).unlink()
        errors = []
        for _ in range(4):
            with pytest.raises(ModelError) as caught:
                await anext(generator.stream(prompt, Limits()))
            errors.append(str(caught.value))
    assert ["was not asked" in error for error in errors] == [False, False, True, True]


async def test_a_configured_fallback_answers_while_the_model_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken, whole = tiny.save(tmp_path / "broken"), tiny.save(tmp_path / "whole")
    monkeypatch.setenv("FRONTDESK_MODEL", str(broken))
    monkeypatch.setenv("FRONTDESK_FALLBACK_MODEL", str(whole))
    prompt = prompting.build("How do I pay?", (Passage("p", "d", "Pay", "By card."),))
    async with frontdesk(read(), lambda line: None) as graph:
        generator = await generator_of(graph)
        next(broken.glob("*.safetensors")).unlink()
        pieces = [piece async for piece in generator.stream(prompt, Limits(8))]
        await generator.aclose()
    assert pieces[-1].model_version.startswith("whole@")  # type: ignore[union-attr]
