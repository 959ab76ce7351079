"""Examples to rows that trainers read: the prompt is the one that serving builds, and personal data is masked."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from core import prompting
from core.domain import Hit, Passage, Prompt
from core.examples import Example
from core.redaction import redact
from core.text import fold, words
from core.training import faq
from core.training.chance import draw
from core.training.citing import bare, recited

# Platforms whose terms want the operator to know that customers' own words train a model.
GUARDED = frozenset({"slack", "discord"})
NOT_ALLOWED = "in the customer's own words, which training.customer_text does not allow"
NO_LONGER_KEPT = "its FAQ row was taken out"
OUTDATED = "the passages no longer say what it says"
TWICE = "the same question and answer as another"
NOTHING_LEFT = "no passage is left beside the one that is withheld"
_COUNTS = (1, 1, 2, 2, 2, 3, 3)  # how many passages are shown, as often as each stands here
_AT_ONCE = 32
Row = dict[str, Any]
_MOST = 0.7  # of the words, as where an answer is checked before it is given


@dataclass(frozen=True, slots=True)
class Dataset:
    """Rows in the order of their examples, and how many examples were left out for which reason."""

    rows: list[Row] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    prompts: dict[str, Prompt] = field(default_factory=dict)  # what the messages were made of, by the id of the example


class Builder:
    """Builds rows on the knowledge that is served."""

    def __init__(
        self,
        find: Callable[[str], Awaitable[tuple[Hit, ...]]],
        kept: Callable[[str], Awaitable[Passage | None]],
        allowed: frozenset[str],
        candidate: float,
        held_out: frozenset[str] = frozenset(),
    ) -> None:
        """`find` is retrieval, `kept` gives a passage as it is kept now.

        `allowed` are platforms whose customers' own words may be used, `candidate` is that of the policy. The passages of `held_out`
        groups are in no prompt of the others.
        """
        self._find = find
        self._kept = kept
        self._allowed = allowed
        self._candidate = candidate
        self._held_out = held_out

    async def build(self, examples: Iterable[Example], progress: Callable[[], None] = lambda: None) -> Dataset:
        """Return the rows of all examples that may be used; `progress` is called after each."""
        dataset, seen = Dataset(), set[tuple[str, str, bool | None]]()
        async for example, why_not, row, prompt in self._rows(self._attributed(list(examples))):
            same = (fold(example.question).lower(), fold(example.answer).lower(), example.liked)
            reason = why_not or (TWICE if same in seen else "")
            seen.add(same)
            if reason:
                dataset.left_out[reason] += 1
            else:
                dataset.rows.append(row)
                dataset.prompts.update({example.example_id: prompt} if prompt else {})
            progress()
        return dataset

    def _attributed(self, examples: list[Example]) -> list[Example]:
        """Return the examples, those wordings of the FAQ being customers' own that came from them with a correction."""
        own = sorted((one for one in examples if one.own_words), key=self._is_barred)  # what may not be used is believed
        origins = {_asked(one): one.origin for one in own}
        return [
            replace(one, own_words=True, origin=origins[_asked(one)]) if one.source == faq.SOURCE and _asked(one) in origins else one
            for one in examples
        ]

    def _is_barred(self, example: Example) -> bool:
        return example.own_words and example.origin in GUARDED - self._allowed

    async def _rows(self, examples: list[Example]) -> AsyncIterator[tuple[Example, str, Row, Prompt | None]]:
        """Yield what comes of each example, in order; many are retrieved at once, as an embedder works on batches."""
        for start in range(0, len(examples), _AT_ONCE):
            batch = examples[start : start + _AT_ONCE]
            for example, found in zip(batch, await asyncio.gather(*map(self._row, batch)), strict=True):
                yield example, *found

    async def _row(self, example: Example) -> tuple[str, Row, Prompt | None]:
        """Return why an example is left out, or its row and the prompt in it."""
        if self._is_barred(example):
            return NOT_ALLOWED, {}, None
        gold = await self._kept(example.passage_id) if example.passage_id else None
        if example.answer and gold is None:
            return NO_LONGER_KEPT, {}, None
        question = redact(fold(example.question))
        passages, was_found = await self._prompted(example, gold, question)
        if not passages:
            return NOTHING_LEFT, {}, None
        prompt = prompting.build(question, passages)
        if not _still_holds(example, prompt.passages):
            return OUTDATED, {}, None
        public = "\n".join(f"{passage.title} {passage.text} {passage.url or ''}" for passage in prompt.passages)
        answer = _answer(example, redact(example.answer, public), gold, prompt.passages)
        messages = [*prompting.messages(prompt), {"role": "assistant", "content": answer}]
        rejected = recited(redact(example.rejected, public), example.rejected_cites, prompt.passages)
        return "", {"messages": messages, "meta": _meta(example, was_found, rejected)}, prompt

    async def _prompted(self, example: Example, gold: Passage | None, question: str) -> tuple[tuple[Passage, ...], bool]:
        """Return the passages of the prompt, and whether retrieval found the right one: those it was written from, where they are kept."""
        others = self._held_out if example.group not in self._held_out else set()
        shown = [name for name in example.shown if name in example.cites or name not in others]
        passages = [passage for name in shown if (passage := await self._kept(name)) is not None]
        return (tuple(passages), True) if passages else self._passages(example, gold, await self._find(question))

    def _passages(self, example: Example, gold: Passage | None, hits: tuple[Hit, ...]) -> tuple[tuple[Passage, ...], bool]:
        """Return the passages of the prompt, and whether retrieval found the right one.

        What staff corrected is shown as serving would show it. The FAQ's own wordings are nearly always found alone and first, so there
        the nearest wrong passages are put beside the right one, in any order: else a model learns to copy the first passage.
        """
        hidden = {example.withheld} | (self._held_out if example.group not in self._held_out else set())
        seen = tuple(hit for hit in hits if hit.passage.passage_id not in hidden)
        if example.source != faq.SOURCE:
            return _with(gold, tuple(hit.passage for hit in prompting.worth_reading(seen, self._candidate)))
        others = [hit.passage for hit in seen if gold is None or hit.passage.passage_id != gold.passage_id]
        return _mixed(example.example_id, gold, others), len(others) < len(seen)


def _asked(example: Example) -> str:
    return redact(fold(example.question)).lower()


def _mixed(example_id: str, gold: Passage | None, others: list[Passage]) -> tuple[Passage, ...]:
    """Return one to three passages, the right one among them at any place, though most often the first as in serving."""
    count = _COUNTS[draw(f"count {example_id}", len(_COUNTS))]
    if gold is None:
        return tuple(others[:count])
    chosen = others[: count - 1]
    place = 0 if draw(f"first {example_id}", 2) else draw(f"place {example_id}", len(chosen) + 1)
    return (*chosen[:place], gold, *chosen[place:])


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


def _still_holds(example: Example, passages: tuple[Passage, ...]) -> bool:
    """Tell whether an answer may be learnt from: its sources are there and say it. One that was disliked may have said anything."""
    has_sources = {passage.passage_id for passage in passages}.issuperset(example.cites)
    said = bare(example.answer) if example.cites else example.answer
    return has_sources and (not said or example.liked is False or _backed(said, passages))


def _answer(example: Example, said: str, gold: Passage | None, passages: tuple[Passage, ...]) -> str:
    if example.cites:
        return recited(said, example.cites, passages)
    return prompting.cited(said, _number(gold, passages)) if gold and said else prompting.ABSTENTION


def _number(gold: Passage, passages: tuple[Passage, ...]) -> int:
    return [passage.passage_id for passage in passages].index(gold.passage_id) + 1


def _meta(example: Example, was_found: bool, rejected: str) -> Row:
    asked = {"conversation": example.conversation_id} if example.conversation_id else {}  # the FAQ was never asked anything
    liked = {} if example.liked is None else {"liked": example.liked}
    by_model = {"rejected_by_model": example.rejected_by_model} if rejected else {}
    return asked | {
        "id": example.example_id,
        "source": example.source,
        "origin": example.origin,
        "cause": example.cause,
        "own_words": example.own_words,
        "passage_id": example.passage_id or None,
        "group": example.group,
        "passage_was_found": was_found,
        "prompt": prompting.VERSION,
        "rejected": rejected or None,
        **by_model,
        **liked,
    }
