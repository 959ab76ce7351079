"""A customer who wants a person is recognised, outright or between the lines; one who has a question is not."""

from __future__ import annotations

import pytest

from core.ports import Embedder
from core.text import fold
from retrieval.person_request import PhrasePersonDetector, asks_outright


@pytest.fixture(scope="module")
def detector(embedder: Embedder) -> PhrasePersonDetector:
    return PhrasePersonDetector(embedder)


OUTRIGHT = [
    "Can I speak to a human?", "let me talk to a real person", "I want to talk with your manager", "AGENT", "representative please",
    "connect me to support", "put me through to billing", "transfer me to someone", "get me a supervisor", "I need a human now",
    "real person please", "Is there anybody I can talk to?", "how can I reach a person", "could one of your agents call me",
    "I don't want to talk to a bot", "stop, I refuse to chat with a machine", "this bot is useless", "you don't understand me",
    "My order is late, I am angry and have written five times. Can I please talk to someone?", "ｈｕｍａｎ please", "I\u200b need a human",
]  # fmt: skip
IMPLIED = ["we are going in circles", "this conversation goes nowhere"]
QUESTIONS = [
    "How do I reset my password?", "Where is my invoice?", "Can I pay by card?", "Do you deliver to Norway?", "hello", "thanks!",
    "How do I add a team member?", "How many people fit into the room?", "What does a sales agent earn?", "Can I change my user agent?",
    "I need a refund", "How do I connect my calendar to the app?", "Do you speak French?", "", "🙂", "?",
]  # fmt: skip


@pytest.mark.parametrize("text", OUTRIGHT)
async def test_who_asks_outright_is_recognised_by_pattern_alone(text: str, detector: PhrasePersonDetector) -> None:
    assert asks_outright(fold(text).replace("’", "'"))
    assert await detector.wants_person(text)


async def test_a_typographic_apostrophe_is_one(detector: PhrasePersonDetector) -> None:
    assert await detector.wants_person("I don’t want to talk to a bot")


@pytest.mark.parametrize("text", IMPLIED)
async def test_who_only_implies_it_is_recognised_by_meaning(text: str, detector: PhrasePersonDetector) -> None:
    assert not asks_outright(fold(text))
    assert await detector.wants_person(text)


async def test_one_telling_clause_in_a_long_message_suffices(detector: PhrasePersonDetector) -> None:
    text = (
        "I ordered a blue lamp on Monday, paid with my card, and the parcel says Norway; we are going in circles. The lamp is for my desk"
    )
    assert await detector.wants_person(text)


@pytest.mark.parametrize("text", QUESTIONS)
async def test_who_has_a_question_is_not_taken_for_one_who_wants_a_person(text: str, detector: PhrasePersonDetector) -> None:
    assert not await detector.wants_person(text)


HOSTILE = ["a " * 2000, "the the " * 500 + "bot", "please " * 600, "i want to talk " * 260, "!" * 4000, "don't " * 650, "you are so " * 360]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_long_hostile_text_is_searched_to_its_end(text: str) -> None:
    assert not asks_outright(text)
    assert asks_outright(text + ". I need a human")
