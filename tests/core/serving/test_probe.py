"""A model serves only after it has answered golden questions: rightly, in time, and not like a broken one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from core.errors import ModelError
from core.serving.canned import CannedGenerator
from core.serving.extractive import ExtractiveGenerator
from core.serving.probe import Golden, probe, read
from tests.core.serving.versions import Versioned

GOLDEN = (
    Golden("How long?", "You have 30 days.", ("30 days",)),
    Golden("How to pay?", "By card or PayPal.", ("card", "PayPal")),
)


async def test_right_answers_pass_and_the_report_says_how_fast() -> None:
    said = await probe(CannedGenerator("Within 30  days. [1]", "With *PayPal*. [1]"), GOLDEN)
    assert re.match(r"probe 2 of 2 in \d+\.\d", said)


async def test_half_of_them_are_enough_and_less_is_not() -> None:
    assert "1 of 2" in await probe(CannedGenerator("30 days", "no idea at all"), GOLDEN)
    with pytest.raises(ModelError, match=r"0 of 2 golden questions answered right, 50% are needed. The last answer began 'no idea'"):
        await probe(CannedGenerator("whenever", "no idea"), GOLDEN)


@pytest.mark.parametrize(("text", "why"), [("!!! ???", "with nothing"), ("30 days days days days days days days days", "repeats itself")])
async def test_what_a_broken_model_writes_is_refused_whatever_words_it_holds(text: str, why: str) -> None:
    with pytest.raises(ModelError, match=why):
        await probe(CannedGenerator(text, text), GOLDEN)


async def test_a_model_that_hangs_is_refused_after_its_time() -> None:
    import asyncio

    with pytest.raises(ModelError, match="no answer to 'How long\\?' within 0 s"):
        await probe(Versioned("slow@1", asyncio.Event()), GOLDEN, seconds=0.05)


async def test_every_shipped_question_is_answered_by_its_passage() -> None:
    golden = read()
    assert len(golden) >= 4
    assert f"{len(golden)} of {len(golden)}" in await probe(ExtractiveGenerator(), golden)


@pytest.mark.parametrize("line", ["{", "[]", '{"question": "q"}', '{"question": "q", "passage": "p", "says": 3}'])
def test_a_file_that_is_none_is_refused_with_its_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "golden.jsonl"
    path.write_text('{"question": "q", "passage": "p", "says": ["p"]}\n' + line)
    with pytest.raises(ModelError, match=r"golden.jsonl, line 2, is no golden question"):
        read(path)
    with pytest.raises(ModelError, match="which cannot be read"):
        read(tmp_path / "missing.jsonl")
    path.write_text("")
    with pytest.raises(ModelError, match="holds no golden question"):
        read(path)
