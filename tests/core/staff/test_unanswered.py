"""Questions without an answer come in groups, the largest first, and those that are answered by now say so."""

from __future__ import annotations

from dataclasses import dataclass

from core.domain import Hit, Passage, Reason, utc_now
from core.errors import SnapshotError
from core.members import EVERYWHERE, Scope
from core.staff.unanswered import Unanswered, by_words
from core.unanswered import Question

PAY = Passage("pay", "pay", "How do I pay?", "By card.")


@dataclass
class Log:
    texts: list[str]

    async def questions(self, scope: Scope, limit: int) -> tuple[Question, ...]:
        return tuple(Question(str(number), text, utc_now(), "web", Reason.LOW_CONFIDENCE) for number, text in enumerate(self.texts))[:limit]

    async def answer_by_staff(self, turn_id: str) -> str:
        return ""


async def find(question: str) -> tuple[Hit, ...]:
    return (Hit(PAY, 0.9 if "pay" in question else 0.2),)


async def test_the_largest_group_comes_first_with_its_different_wordings() -> None:
    desk = Unanswered(Log(["Ship?", "How do I pay", "how do I  PAY", "Ship?", "ship?"]), by_words, None, 0.69)
    ship, pay = await desk.groups(EVERYWHERE)
    assert ([one.turn_id for one in ship.questions], ship.central.text, ship.wordings) == (["0", "3", "4"], "Ship?", ("Ship?",))
    assert (len(pay.questions), pay.answer) == (2, None)


async def test_what_is_answered_by_now_says_by_what() -> None:
    groups = await Unanswered(Log(["How do I pay?", "Ship?"]), by_words, find, 0.69).groups(EVERYWHERE)
    assert [one.answer and one.answer.passage for one in groups] == [PAY, None]


async def test_nothing_is_no_group() -> None:
    assert await Unanswered(Log([]), by_words, find, 0.69).groups(EVERYWHERE) == ()


async def test_where_nothing_is_published_the_questions_are_shown_all_the_same() -> None:
    async def missing(question: str) -> tuple[Hit, ...]:
        raise SnapshotError("nothing is published")

    async def no_embedder(texts: object) -> list[list[int]]:
        raise SnapshotError("nothing is published")

    (group,) = await Unanswered(Log(["Ship?"]), no_embedder, missing, 0.69).groups(EVERYWHERE)
    assert (group.central.text, group.answer) == ("Ship?", None)
