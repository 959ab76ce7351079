"""What the benchmarks ask and index: the packaged sample, a file in the product's format, or generated sentences."""

from __future__ import annotations

import random
from collections.abc import Iterator
from importlib.resources import as_file, files
from pathlib import Path

from core.domain import Passage
from retrieval import documents

_PRODUCTS = "invoice order account parcel subscription voucher router camera laptop booking ticket membership warranty refund".split()
_VERBS = "cancel change find print renew transfer reset activate block combine export delay return share".split()
_PLACES = "the app|the website|my phone|a store|the hotline|an e-mail|the branch in Lyon|the partner portal|another country".split("|")
_TIMES = "after delivery|before payment|during a trial|on a Sunday|within 14 days|after it expired|twice a year|at night".split("|")
_DETAILS = "without a receipt|with two names|for a company|as a gift|for a minor|in another currency|with a broken screen|by proxy".split(
    "|"
)


def knowledge(path: Path | None) -> list[Passage]:
    """Return the passages of a knowledge file, by default of the packaged sample."""
    if path is not None:
        return list(documents.read(path, path.name, strict=True).passages())
    with as_file(files("retrieval") / "sample" / "frontdesk.jsonl") as sample:
        return list(documents.read(sample, sample.name, strict=True).passages())


def without_questions(passages: list[Passage], seed: int) -> tuple[list[Passage], list[str]]:
    """Return the passages with every third alternative held out, and those: questions that nobody has seen, shuffled."""
    held_out = [text for passage in passages for text in passage.alternatives[::3]]
    kept = [_with_alternatives(passage, [text for text in passage.alternatives if text not in set(held_out)]) for passage in passages]
    random.Random(seed).shuffle(held_out)
    return kept, held_out


def _with_alternatives(passage: Passage, alternatives: list[str]) -> Passage:
    fields = {name: getattr(passage, name) for name in Passage.__slots__}
    return Passage(**fields | {"alternatives": tuple(alternatives)})


def sentences(count: int, seed: int) -> list[str]:
    """Return `count` different support questions, made of parts; 14 * 14 * 9 * 8 * 8 combinations times an order number."""
    made = _endless(random.Random(seed))
    return [next(made) for _ in range(count)]


def _endless(source: random.Random) -> Iterator[str]:
    seen: set[str] = set()
    while True:
        product, verb, place, time, detail = (source.choice(part) for part in (_PRODUCTS, _VERBS, _PLACES, _TIMES, _DETAILS))
        number = source.randrange(1000)
        text = f"How do I {verb} {product} number {number} {detail} from {place} {time}?"
        if text not in seen:
            seen.add(text)
            yield text


def write_passages(count: int, path: Path, seed: int = 7) -> None:
    """Write `count` generated passages as JSONL: what a publish of that size is tried with."""
    import json

    with path.open("w", encoding="utf-8") as file:
        for number, question in enumerate(sentences(count, seed)):
            row = {"id": f"row-{number}", "question": question, "answer": f"Open case {number}. {question[9:-1]} takes {number % 9} days."}
            file.write(json.dumps(row) + "\n")
