"""Exact words count, in scripts with and without spaces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.text import words
from retrieval.lexical import LexicalIndex

ROWS = ["reset your password", "error E-1042 when paying", "delivery to Norway", "pay by card", "card declined when paying"]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Reset your PASSWORD!", ["reset", "your", "password"]),
        ("E-1042", ["e", "1042"]),
        ("重置密码", ["重置", "置密", "密码"]),
        ("パスワード", ["パス", "スワ", "ワー", "ード"]),
        ("비밀번호 변경", ["비밀", "밀번", "번호", "변경"]),
        ("私", ["私"]),
        ("用iPhone支付", ["用", "iphone", "支付"]),
        ("Straße ﬁx Ｃａｒｄ", ["straße", "fix", "card"]),
        ("как платить", ["как", "платить"]),
        ("!?… 🙂", []),
        ("", []),
    ],
)
def test_text_becomes_words_and_unspaced_scripts_become_pairs(text: str, tokens: list[str]) -> None:
    assert words(text) == tokens


def test_the_row_with_the_rare_word_scores_highest() -> None:
    scores = LexicalIndex.build(ROWS).scores("what does error 1042 mean")
    assert int(scores.argmax()) == 1
    assert scores[0] == 0


@pytest.mark.parametrize(
    ("rows", "question", "best"),
    [
        (["如何重置密码", "如何支付账单", "送货时间多长"], "我忘了密码", 0),
        (["パスワードを変更する", "配送について", "支払い方法"], "配送はいつ", 1),
        (["비밀번호 변경", "배송 조회", "결제 방법"], "결제가 안 돼요", 2),
    ],
)
def test_a_chinese_japanese_or_korean_question_finds_the_row_that_shares_its_characters(rows: list[str], question: str, best: int) -> None:
    scores = LexicalIndex.build(rows).scores(question)
    assert (int(scores.argmax()), bool(scores[best] > 0)) == (best, True)


def test_a_whole_short_row_scores_near_one_and_unknown_words_lower_every_share() -> None:
    index = LexicalIndex.build(ROWS)
    alone, with_noise = index.scores("delivery norway")[2], index.scores("delivery norway zebra quagga")[2]
    assert alone > 0.4
    assert 0 < with_noise < alone / 1.5


def test_words_repeated_in_the_question_count_once() -> None:
    index = LexicalIndex.build(ROWS)
    assert np.array_equal(index.scores("card card card norway"), index.scores("norway card"))


@pytest.mark.parametrize("question", ["", "zebra", "🙂", "\x00", "\ud800"])
def test_a_question_without_known_words_scores_nothing(question: str) -> None:
    assert LexicalIndex.build(ROWS).scores(question).tolist() == [0] * 5


@pytest.mark.parametrize("rows", [["🙂", "!"], [""]])
def test_rows_without_any_word_never_match(rows: list[str]) -> None:
    assert LexicalIndex.build(rows).scores("hello \0").tolist() == [0] * len(rows)


def test_a_row_without_words_among_others_never_matches() -> None:
    assert LexicalIndex.build(["pay by card", "!!!", "delivery"]).scores("pay")[1:].tolist() == [0, 0]


def test_a_saved_index_scores_the_same_when_opened(tmp_path: Path) -> None:
    built = LexicalIndex.build(ROWS)
    built.save(tmp_path / "words")
    opened = LexicalIndex.load(tmp_path / "words", len(ROWS))
    for question in ("error 1042", "pay card", "nothing"):
        assert np.array_equal(opened.scores(question), built.scores(question))


@settings(max_examples=40)
@given(
    st.lists(st.text(st.sampled_from("ab 码密置"), max_size=12), min_size=1, max_size=8), st.text(st.sampled_from("abc 码密"), max_size=12)
)
def test_a_share_lies_between_zero_and_one(rows: list[str], question: str) -> None:
    scores = LexicalIndex.build(rows).scores(question)
    assert scores.shape == (len(rows),)
    assert bool(np.all((scores >= 0) & (scores <= 1 + 1e-6)))
