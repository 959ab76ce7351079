"""Examples to rows that trainers read: the prompt is the one that serving builds, and personal data is masked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from core import prompting
from core.domain import Hit, Passage
from core.examples import Example
from core.redaction import redact
from core.text import fold, words

# Platforms whose terms want the operator to know that customers' own words train a model.
GUARDED = frozenset({"slack", "discord"})
NOT_ALLOWED = "in the customer's own words, which training.customer_text does not allow"
NO_LONGER_KEPT = "its FAQ row was taken out"
OUTDATED = "the passages no longer say what it says"
TWICE = "the same question and answer as another"
Row = dict[str, Any]
_MOST = 0.7  # of the words, as where an answer is checked before it is given


@dataclass(frozen=True, slots=True)
class Dataset:
    """Rows in the order of their examples, and how many examples were left out for which reason."""

    rows: list[Row] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


class Builder:
    """Builds rows on the knowledge that is served."""

    def __init__(
        self,
        find: Callable[[str], Awaitable[tuple[Hit, ...]]],
        kept: Callable[[str], Awaitable[Passage | None]],
        allowed: frozenset[str],
        candidate: float,
    ) -> None:
        """`find` is retrieval, `kept` gives a passage as it is kept now.

        `allowed` are platforms whose customers' own words may be used, `candidate` is that of the policy.
        """
        self._find = find
        self._kept = kept
        self._allowed = allowed
        self._candidate = candidate

    async def build(self, examples: Iterable[Example], progress: Callable[[], None] = lambda: None) -> Dataset:
        """Return the rows of all examples that may be used; `progress` is called after each."""
        dataset, seen = Dataset(), set[tuple[str, str]]()
        for example in examples:
            reason, row = await self._row(example)
            same = (fold(example.question).lower(), fold(example.answer).lower())
            if not reason and same in seen:
                reason = TWICE
            seen.add(same)
            if reason:
                dataset.left_out[reason] += 1
            else:
                dataset.rows.append(row)
            progress()
        return dataset

    async def _row(self, example: Example) -> tuple[str, Row]:
        """Return why an example is left out, or its row."""
        if example.own_words and example.origin in GUARDED - self._allowed:
            return NOT_ALLOWED, {}
        gold = await self._kept(example.passage_id) if example.passage_id else None
        if example.answer and gold is None:
            return NO_LONGER_KEPT, {}
        question = redact(fold(example.question))
        hits = prompting.worth_reading(await self._find(question), self._candidate)
        passages, was_found = _with(gold, tuple(hit.passage for hit in hits))
        prompt = prompting.build(question, passages)
        if example.answer and not _backed(example.answer, prompt.passages):
            return OUTDATED, {}
        public = "\n".join(f"{passage.title} {passage.text} {passage.url or ''}" for passage in prompt.passages)
        answer = f"{redact(example.answer, public)} [{_number(gold, passages)}]" if gold and example.answer else prompting.ABSTENTION
        messages = [*prompting.messages(prompt), {"role": "assistant", "content": answer}]
        return "", {"messages": messages, "meta": _meta(example, was_found, redact(example.rejected, public))}


def _with(gold: Passage | None, passages: tuple[Passage, ...]) -> tuple[tuple[Passage, ...], bool]:
    """Return the passages with the right one among them, as it is kept now, and whether it was found.

    A model that is taught to answer what no passage says learns to make things up, so it takes the last place where it was not.
    """
    if gold is None:
        return passages, True
    if any(passage.passage_id == gold.passage_id for passage in passages):
        return tuple(gold if passage.passage_id == gold.passage_id else passage for passage in passages), True
    return (*passages[: prompting.MAX_PASSAGES - 1], gold), False


def _backed(answer: str, passages: tuple[Passage, ...]) -> bool:
    """Tell whether the passages still hold every number and most words of an answer: they may have changed since it was given."""
    held, said = {word for one in passages for word in words(f"{one.title} {one.text}")}, words(answer)
    numbers = [word for word in said if any(sign.isdigit() for sign in word)]
    return all(word in held for word in numbers) and sum(word in held for word in said) >= _MOST * len(said)


def _number(gold: Passage, passages: tuple[Passage, ...]) -> int:
    return [passage.passage_id for passage in passages].index(gold.passage_id) + 1


def _meta(example: Example, was_found: bool, rejected: str) -> Row:
    return {
        "id": example.example_id,
        "source": example.source,
        "origin": example.origin,
        "cause": example.cause,
        "own_words": example.own_words,
        "passage_id": example.passage_id or None,
        "passage_was_found": was_found,
        "prompt": prompting.VERSION,
        "rejected": rejected or None,
    }
