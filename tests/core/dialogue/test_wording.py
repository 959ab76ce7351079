"""What Frontdesk says in its own name."""

from __future__ import annotations

import pytest

from core.dialogue import wording
from core.domain import Hit, Passage


@pytest.mark.parametrize(
    ("said", "reply"),
    [
        ("Hi", wording.GREETING),
        ("hello there!!!", wording.GREETING),
        ("👋 Hey", wording.GREETING),
        ("Good morning, team", wording.GREETING),
        ("¡Buenos días!", wording.GREETING),
        ("buenos dias", wording.GREETING),
        ("Olá", wording.GREETING),
        ("你好", wording.GREETING),
        ("ＨＩ", wording.GREETING),
        ("Thanks a lot!", wording.THANKS),
        ("ok, thank you so much", wording.THANKS),
        ("thanks, that's all", wording.THANKS),
        ("thanks, that’s all", wording.THANKS),
        ("merci", wording.THANKS),
        ("Bye bye", wording.FAREWELL),
        ("bye-bye", wording.FAREWELL),
        ("see you later", wording.FAREWELL),
        ("¡Adiós!", wording.FAREWELL),
        ("Tschüss", wording.FAREWELL),
    ],
)
def test_a_courtesy_gets_a_courtesy(said: str, reply: str) -> None:
    assert wording.small_talk(said) == reply


@pytest.mark.parametrize(
    "said", ["Hi, how do I pay?", "thanks but it failed", "hide my profile", "goodbye email template", "", "?", "hello world app"]
)
def test_a_courtesy_with_more_behind_it_is_a_question(said: str) -> None:
    assert wording.small_talk(said) is None


def test_a_hand_over_names_another_way_to_reach_the_team_when_there_is_one() -> None:
    assert wording.hand_over(wording.PERSON, "") == f"Of course. {wording.FOLLOW_UP}"
    assert wording.hand_over(wording.PERSON, "help@example.com").endswith(" You can also reach us at help@example.com.")


def test_asking_back_lists_the_meanings_and_offers_a_person() -> None:
    offered = tuple(Hit(Passage(title, "d", title, "x"), 0.4) for title in ("Pay by card", "Pay by bank"))
    assert "- Pay by card\n- Pay by bank\n\nOr ask for a person." in wording.clarification(offered)
    assert "more than one" in wording.clarification(offered)
    assert "more than one" not in wording.clarification(offered[:1])


def test_a_cut_message_is_told_the_limit() -> None:
    assert "4,000" in wording.CUT
