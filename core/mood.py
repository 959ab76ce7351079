"""How a customer sounds: counted signs in what they wrote, no model. It sorts work for people and decides nothing else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from core.text import fold

_ANGRY_WORDS = re.compile(
    r"\b(?:angry|furious|fed up|ridiculous|unacceptable|outrageous|terrible|horrible|awful|useless|worst|scam|fraud|lawyer|sue|disgusting"
    r"|pathetic|wtf|bullshit|fuck\w*|shit\w*|damn|crap|complain\w*|wütend|unverschämt|frechheit|inakzeptabel|katastrophe|anwalt|scheiß\w*"
    r"|inadmissible|scandaleux|inaceptable|vergüenza|estafa|inaccettabile|vergogna)\b"
)
_TENSE_WORDS = re.compile(
    r"\b(?:still|again|already|waiting|waited|annoy\w*|frustrat\w*|disappoint\w*|not help\w*|doesn't help|does not help|no help"
    r"|nobody|urgent\w*|asap|immediately"
    r"|immer noch|schon wieder|dringend|enttäuscht|toujours|encore|urgence|todavía|otra vez|ancora)\b"
)
_MARKS = re.compile(r"[!?]{2,}")
_SHOUTED = re.compile(r"\b[A-Z]{4,}\b")
_RECENT = 3  # messages; what was said before has perhaps been settled


class Tone(StrEnum):
    """How somebody sounds."""

    CALM = "calm"
    TENSE = "tense"
    ANGRY = "angry"


class Mood(NamedTuple):
    """A tone and the signs that gave it, for people who want to know why."""

    tone: Tone
    signs: tuple[str, ...] = ()


def mood_of(texts: Sequence[str]) -> Mood:
    """Return how the last three of `texts` sound: one sign is tense, a strong word or two different signs are angry."""
    said = "\n".join(fold(text) for text in texts[-_RECENT:])
    found = {
        "strong words": bool(_ANGRY_WORDS.search(said.lower())),
        "capital letters": len(_SHOUTED.findall(said)) >= 2,
        "!! or ??": bool(_MARKS.search(said)),
        "impatient words": bool(_TENSE_WORDS.search(said.lower())),
    }
    signs = tuple(sign for sign, is_there in found.items() if is_there)
    if found["strong words"] or len(signs) > 1:
        return Mood(Tone.ANGRY, signs)
    return Mood(Tone.TENSE if signs else Tone.CALM, signs)
