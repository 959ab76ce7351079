"""How a customer sounds: a few plain signs of anger, no model."""

from __future__ import annotations

import re

from core.text import fold

_LEAST_SHOUTED = 12  # letters in capitals that are a shout and no abbreviation
_COMPLAINTS = re.compile(
    r"\b(?:angry|annoy(?:ed|ing)|awful|complain(?:t|ing)?|disappoint(?:ed|ing)|frustrat(?:ed|ing)|furious|garbage|horrible|idiots?|joke"
    r"|lawyer|nonsense|pathetic|refund me|ridiculous|rubbish|scam|stupid|terrible|unacceptable|useless|wasted?|worst|wtf"
    r"|sauer|unversch[äa]mt|nutzlos|schlecht(?:e|er|es)?|l[äa]cherlich|frechheit|d[ée]ç?c?u|nul|inadmissible|inaceptable|p[ée]simo|in[úu]til)\b",
    re.IGNORECASE,
)
_INSISTENCE = re.compile(r"[!?]{3,}|\b(?:third|fourth|fifth|3rd|4th|5th) time\b|\bstill (?:not|no|waiting|broken)\b", re.IGNORECASE)


def sounds_unhappy(text: str) -> bool:
    """Tell whether `text` complains, shouts or insists; good for the order of a queue, not for a decision."""
    said = fold(text)
    letters = [letter for letter in said if letter.isalpha()]
    shouts = len(letters) >= _LEAST_SHOUTED and sum(letter.isupper() for letter in letters) > len(letters) * 0.7
    return shouts or bool(_COMPLAINTS.search(said) or _INSISTENCE.search(said))
