"""Recognises a customer who asks for a person, or has given up on the bot.

Two deterministic judges, either suffices: patterns for what people ask outright ("put me through to ..."), which also find it
inside a longer complaint; and, for what they only imply ("we are going in circles"), a Gaussian-process classifier over embedded
example phrases, asked clause by clause because a long message dilutes its one telling clause. Figures are in ARCHITECTURE.md.
"""

from __future__ import annotations

import asyncio
import json
import re
from functools import cached_property
from importlib.resources import files

import numpy as np

from core.ports import Embedder, Vectors
from core.text import fold

_KERNEL_WIDTH = 3.0
_NOISE = 0.1
_IMPLIED = 0.35  # posterior mean of a clause (-1..1); lower, "talk faster" and "are you a person?" pass: precision 0.94 at 0.3, 0.88 at 0.2
_MAX_CLAUSES = 12  # a telling clause comes early; each costs an embedding
_CLAUSE_END = re.compile(r"[.,;!?\n]+|\b(?:but|and|so|because)\b", re.IGNORECASE)

_PERSON = (
    r"(?:humans?(?: beings?)?|persons?|people|agents?|operators?|representatives?|reps?|advis[eo]rs?|consultants?|managers?"
    r"|supervisors?|boss|employees?|workers?|colleagues?|specialists?|experts?|technicians?|receptionist|someone|somebody|anyone"
    r"|anybody|staff|customer (?:service|support|care)|(?:\w+ )?(?:team|department|desk|office))\b"
)
_WHICH = (
    r"(?:(?:a|an|the|your|any|some|one|another|real|human|actual|live|normal|other|different|proper|qualified|of|in|from"
    r"|non-?robotic)\s+)*"
)
_TALK = r"(?:speak|talk|chat|have a (?:word|chat|talk|conversation)|get in touch|speaking|talking|chatting)(?: \w+ly)?"
_WISH = (
    r"(?:let me|(?:can|could|may|should) (?:i|we)|i(?:'d| would| should| must| have to)?(?: \w+)?"
    r" (?:like|want|wish|prefer|need|love|rather)"
    r"|i (?:should|must|wanna)|i'd|would (?:like|prefer)|need (?:to|2)|want to"
    r"|how (?:can|do) i|what do i (?:need|have) to do|possible|please|until i|just)"
)
_MACHINE = r"(?:machine|robot|bot|chat ?bot|computer|automated system|virtual (?:agent|assistant)|ai)s?\b"
_USELESS = (
    r"(?:stupid|dumb|useless|idiotic|terrible|awful|horrible|rubbish|worthless|pointless|hopeless|going nowhere|no help"
    r"|not (?:working|helping|helpful|going anywhere|leading anywhere|understanding))"
)
_NOT_A_PERSON = r"(?!you\b|me\b|my\b|him\b|her\b|it\b|them\b|about\b|french|spanish|german|english)"

_OUTRIGHT = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # "let me talk to ...", also a department: whoever comes after "to"
        rf"\b{_WISH}\b[^.?!]{{0,25}}?\b{_TALK} (?:to|with|2|w) {_NOT_A_PERSON}\w+",
        rf"^\W*(?:(?:ok|okay|hi|hello|no|yes|yeah)\W+)*{_TALK} (?:to|with) {_NOT_A_PERSON}(?!a \w+ accent)\w+",
        # "put me through to ...", "connect me with ..."
        r"\b(?:put|pass|transfer|connect|hand|forward|switch|redirect|escalate|direct|patch) (?:me|us|my case|the call)"
        r"(?: (?:through|over|on|back))? (?:to|with) \w+",
        rf"\bget (?:me|us) (?:(?:through|over) )?to {_WHICH}{_PERSON}",
        # "give me a person", "get me your manager", "I need a human"
        r"\b(?:give|get|find|bring|fetch|want|need|demand|prefer) (?:me )?(?:a |an |the |your )?(?:real |actual |live |other )*"
        r"(?:humans?|person|agent|operator|representative|rep|manager|supervisor|boss|someone else|somebody else)\b"
        r"(?: (?:being|agent|help|assistance|contact))?(?=\W*(?:$|please|now|on|to|instead|already|right|asap|who|not)|[,.!])",
        r"\bget (?:me )?(?:someone|somebody|anyone)(?: else)? (?:on the (?:line|phone)|to (?:help|talk|speak|call|assist))",
        r"\b(?:human|real|live|actual) (?:person|human|agent|operator|assistance|support|help|please|pls|now)\b"
        r"(?<!a real person)(?<!real live person)",
        rf"^\W*(?:{_WHICH})(?:human|agent|operator|representative|manager|supervisor)\W*(?:please|pls|now|asap|\W)*$",
        r"\b\w+ (?:team|department|desk|staff) (?:please|pls)\W*$",
        # "can somebody else take a look?", "could one of your agents call me?"
        rf"\b(?:can|could|would|will) {_WHICH}{_PERSON} (?:else\b|(?:from|of|in|on) your\b|(?:please )?(?:call|phone|contact|ring) me)",
        r"\b(?:can|could|would|will) (?:another|a different|a real|an actual|a human|a live) (?:agent|person|colleague|human)\b",
        r"\bhow (?:can|do|could) (?:i|we) (?:reach|contact|get (?:hold of|to|through to|in touch with)|find|call) "
        rf"{_WHICH}(?:humans?|person|people|agents?|representative|operator|someone|somebody|staff|manager)\b",
        rf"\b(?:is|are) there (?:a |an |any |some)?{_WHICH}{_PERSON}[^.?!]*\b(?:talk|speak|chat)",
        r"\b(?:call|ring|phone) me(?: back| please| asap| now)?\W*$",
        # no machine, no you
        r"(?:don'?t|do not|won'?t|not|never|refuse to|stop|tired of|sick of|hate|instead of|rather than|why am i|enough)\b[^.?!]{0,60}"
        rf"\b(?:with|to|by|of|from|this|these) (?:(?:a|an|these|this|some|the|your|any|stupid|dumb) )*{_MACHINE}",
        r"\b(?:don'?t|do not|won'?t|not|stop) (?:want (?:to )?|wanna |like to |wish to )?(?:talk|speak|chat)(?:ing)? (?:to|with) you\b",
        # the bot has failed
        r"\b(?:bot|robot|assistant|machine|chatbot|chat|conversation|you)\b(?:'s| is|'re| are)?"
        r"(?: (?:all|so|really|just|completely|very|a))* " + _USELESS,
        r"\byou(?: really)? (?:don'?t|do not|didn'?t|can ?not|can'?t|never|are not|aren'?t)"
        r" (?:seem to )?(?:understand|help(?:ing)?|solve|resolve"
        r"|listen(?:ing)?)(?: me| this| it| anything)?\W*(?:$|[.,!;])",
    )
)


class PhrasePersonDetector:
    """`PersonDetector` from patterns and example phrases."""

    def __init__(self, embedder: Embedder) -> None:
        """Example phrases are embedded at first use (275 of them, about 0.5 s)."""
        self._embedder = embedder

    async def wants_person(self, text: str) -> bool:
        """See `PersonDetector.wants_person`."""
        folded = fold(text).replace("’", "'")
        if asks_outright(folded):
            return True
        vectors = await asyncio.gather(*map(self._embedder.embed, _clauses(folded)))
        return bool(await asyncio.to_thread(self._implies, np.stack(vectors)))

    def _implies(self, clauses: Vectors) -> bool:
        phrases, weights = self._fitted
        return bool((_kernel(clauses @ phrases.T) @ weights).max() > _IMPLIED)

    @cached_property
    def _fitted(self) -> tuple[Vectors, Vectors]:
        examples = json.loads(files("retrieval").joinpath("person_phrases.json").read_text(encoding="utf-8"))
        wanting, other = examples["wants_a_person"], examples["wants_something_else"]
        phrases = self._embedder.encode([*wanting, *other])
        targets = np.concatenate([np.ones(len(wanting)), -np.ones(len(other))])
        covariance = _kernel(phrases @ phrases.T) + _NOISE * np.eye(len(phrases))
        return phrases, np.linalg.solve(covariance, targets).astype(np.float32)


def asks_outright(folded: str) -> bool:
    """Tell whether one of the patterns finds a request for a person in a folded text."""
    return any(pattern.search(folded) for pattern in _OUTRIGHT)


def _clauses(text: str) -> list[str]:
    """Return the text and, where it has several, its clauses of more than one word."""
    parts = [part for part in map(str.strip, _CLAUSE_END.split(text)) if len(part.split()) > 1]
    return [text, *parts][:_MAX_CLAUSES] if len(parts) > 1 else [text]


def _kernel(cosines: Vectors) -> Vectors:
    return np.asarray(np.exp(-2 * _KERNEL_WIDTH * (1 - cosines)), np.float32)
