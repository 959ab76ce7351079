"""A report as a file: what it says first, the numbers beside each plot, and that nothing in it runs."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from core.learning import Interval, Loss, Report
from core.training.findings import findings
from core.training.report import html, markdown
from tests.bot.console.browsing import chromium_browser, window
from tests.bot.console.test_pages import LOOKS
from tests.core.training.reports import HOSTILE, report

ATTACKED = report(4, HOSTILE, {HOSTILE: HOSTILE, "model": HOSTILE})


class _Reader(HTMLParser):
    """Notes the elements of a page, and what of them could fetch or run something."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.dangerous: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.dangerous += [(tag, name) for name, _ in attrs if name.startswith("on") or name in ("href", "src", "style", "action")]


def test_the_first_sentence_tells_the_outcome() -> None:
    said = html(report(), "Run")
    assert said.index("is better in") < said.index("<h2>Figures")
    outcome = findings(report()).outcome
    assert outcome.startswith("On the same 60 questions the new version is better in “ROUGE-L” (+0.4"), outcome
    assert "and worse in “Abstains rightly” (-0.067)" in outcome and outcome in markdown(report(), "Run")


@pytest.mark.parametrize(("differences", "said"), [
    ({}, "Nothing could be compared"),
    ({"rouge_l": Interval(0.01, -0.1, 0.1)}, "there is no clear difference between the versions in “ROUGE-L”."),
    ({"rouge_l": Interval(-0.2, -0.3, -0.1)}, "is worse in “ROUGE-L” (-0.200) and better in nothing that was compared."),
    ({"loss": Interval(-0.2, -0.3, -0.1)}, "is better in “Held-out loss” (-0.200)"),
])  # fmt: skip
def test_an_interval_that_holds_zero_says_nothing_and_lower_is_better_for_a_loss(differences: dict[str, Interval], said: str) -> None:
    assert said in findings(Report({"n": 9}, {"n": 9}, differences)).outcome


def test_every_number_of_a_plot_stands_in_a_table_too() -> None:
    for said in (html(report(), "Run"), markdown(report(), "Run")):
        for text in ("+0.459", "+0.402 to +0.503", "0.767", "60", "0.1908", "support-llm@3f9a1c2b7d04", "I don't know", "lora_rank=16"):
            assert text.replace("'", "&#39;") in said or text in said, text
    tables = re.findall(r"<table>.*?</table>", html(report(), "Run"), re.DOTALL)
    assert len(tables) == 3 and all("<caption>" in one and 'scope="col"' in one and 'scope="row"' in one for one in tables)


def test_a_report_of_nothing_and_losses_that_are_no_numbers_are_shown() -> None:
    for one in (Report({}, {}, {}), Report({"n": 0, "rouge_l": None}, {"x": float("nan")}, {}, (Loss(1, float("nan"), float("inf")),))):
        assert "nan" not in html(one, "") and "inf" not in markdown(one, "").replace("infinit", "")


def test_bad_input_13_hostile_text_in_a_report_is_no_markup() -> None:
    reader = _Reader()
    reader.feed(html(ATTACKED, HOSTILE))
    assert reader.dangerous == [] and reader.elements.isdisjoint({"script", "img", "a", "link", "iframe", "form"})
    assert "{{ 7 * 7 }}" in html(ATTACKED, HOSTILE)
    read = [token for block in MarkdownIt("commonmark", {"html": True}).enable("table").parse(markdown(ATTACKED, HOSTILE))
            for token in (block, *(block.children or ()))]  # fmt: skip
    kinds = {token.type for token in read}
    assert kinds.isdisjoint({"html_inline", "html_block", "link_open", "image"}), kinds
    assert [token.content for token in read if token.type == "inline" and token.content.startswith("head")] == []
    assert len([token for token in read if token.type == "fence"]) == 4 * len(ATTACKED.samples)


@pytest.mark.slow
@pytest.mark.parametrize("look", LOOKS)
async def test_a_report_can_be_read_by_everybody_and_runs_nothing(tmp_path: Path, look: str) -> None:
    async with chromium_browser() as browser:
        here = await window(browser, "", **LOOKS[look])
        for name, one in {"report": report(), "attacked": replace(ATTACKED, losses=report().losses)}.items():
            (tmp_path / f"{name}.html").write_text(html(one, HOSTILE if name == "attacked" else "Learning run"), encoding="utf-8")
            await here.tab.goto(f"file://{tmp_path}/{name}.html")
            await here.look(f"{name}-{look}")
            assert await here.tab.evaluate("window.hacked") is None
