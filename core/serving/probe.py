"""Golden questions that a model must answer before it serves customers: what it writes, and how long it takes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from core import prompting
from core.domain import Generation, Limits, Passage, Prompt
from core.errors import ModelError
from core.ports import Generator
from core.text import says_something, words

LONGEST_SECONDS = 60.0  # for one answer of 64 tokens: a busy pair of cores takes 10
PASS_SHARE = 0.5  # the untuned 135M model passes 3 of the 4 shipped questions
_MAX_TOKENS = 64
_MOST_REPEATED = 0.5  # a model that is broken says one word again and again


@dataclass(frozen=True, slots=True)
class Golden:
    """A question with the passage that answers it, and what an answer must say one of."""

    question: str
    passage: str
    says: tuple[str, ...]


def read(path: Path | None = None) -> tuple[Golden, ...]:
    """Return the golden questions of a JSONL file, one `{"question", "passage", "says": [...]}` a line; None: the shipped ones.

    Raises `ModelError` that names the line.
    """
    try:
        text = (path or files("core.serving") / "golden.jsonl").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"golden_questions names {path}, which cannot be read: {error}") from error
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            row = json.loads(line)
            found.append(Golden(str(row["question"]), str(row["passage"]), tuple(str(one) for one in row["says"])))
        except (ValueError, LookupError, TypeError) as error:
            raise ModelError(f"{path}, line {number}, is no golden question: {error}") from error
    if not found:
        raise ModelError(f"{path} holds no golden question.")
    return tuple(found)


async def probe(generator: Generator, golden: Sequence[Golden], seconds: float = LONGEST_SECONDS) -> str:
    """Ask all golden questions at once, and return in words how it went. Raises `ModelError` that says why the model must not serve."""
    started = time.perf_counter()
    told = await asyncio.gather(*(_answer(generator, one, seconds) for one in golden), return_exceptions=True)
    for one in told:  # not before all have ended: whoever is refused is closed next
        if isinstance(one, BaseException):
            raise one
    texts = [str(one) for one in told]
    passed = sum(_says(text, one) for text, one in zip(texts, golden, strict=True))
    if passed < PASS_SHARE * len(golden):
        raise ModelError(
            f"{generator.version} failed its probe: {passed} of {len(golden)} golden questions answered right, "
            f"{PASS_SHARE:.0%} are needed. The last answer began {texts[-1][:80]!r}."
        )
    return f"probe {passed} of {len(golden)} in {time.perf_counter() - started:.1f} s"


def _says(text: str, one: Golden) -> bool:
    said = " ".join(words(text))
    return any(" ".join(words(wanted)) in said for wanted in one.says)


async def _answer(generator: Generator, one: Golden, seconds: float) -> str:
    passage = Passage("golden", "golden", one.question, one.passage)
    prompt = prompting.build(one.question, (passage,))
    try:
        async with asyncio.timeout(seconds):
            text = await _whole(generator, prompt)
    except TimeoutError as error:
        raise ModelError(f"{generator.version} failed its probe: no answer to {one.question!r} within {seconds:.0f} s.") from error
    if not says_something(text):
        raise ModelError(f"{generator.version} failed its probe: it answers {one.question!r} with nothing.")
    if _is_broken(text):
        raise ModelError(f"{generator.version} failed its probe: it repeats itself, {text[:80]!r}.")
    return text


async def _whole(generator: Generator, prompt: Prompt) -> str:
    async with aclosing(generator.stream(prompt, Limits(_MAX_TOKENS))) as pieces:
        async for piece in pieces:
            if isinstance(piece, Generation):
                return piece.text
    raise ModelError(f"{generator.version} ended without a result")


def _is_broken(text: str) -> bool:
    said = words(text)
    return len(said) >= 8 and max(said.count(word) for word in set(said)) > _MOST_REPEATED * len(said)
