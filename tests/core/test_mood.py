"""The mood of a customer is counted from signs that people can check."""

from __future__ import annotations

import pytest

from core.mood import Tone, mood_of


@pytest.mark.parametrize(
    ("texts", "tone", "signs"),
    [
        (["How long does a refund take?"], Tone.CALM, ()),
        (["Is my FAQ on AWS in the EU?"], Tone.CALM, ()),
        (["Where is it??"], Tone.TENSE, ("!! or ??",)),
        (["I am still waiting"], Tone.TENSE, ("impatient words",)),
        (["STILL WAITING"], Tone.ANGRY, ("capital letters", "impatient words")),
        (["this is ridiculous"], Tone.ANGRY, ("strong words",)),
        (["Das ist eine Frechheit"], Tone.ANGRY, ("strong words",)),
        (["ｒｉｄｉｃｕｌｏｕｓ"], Tone.ANGRY, ("strong words",)),
        (["this is ridiculous", "ok", "fine", "thanks"], Tone.CALM, ()),
        ([], Tone.CALM, ()),
    ],
)
def test_signs_make_a_tone(texts: list[str], tone: Tone, signs: tuple[str, ...]) -> None:
    assert mood_of(texts) == (tone, signs)
