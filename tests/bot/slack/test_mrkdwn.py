"""Markdown becomes mrkdwn that looks the same, pings nobody and makes nothing live but allowed links."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.layout import to_text
from bot.parting import cut, size
from bot.slack.mrkdwn import MRKDWN, escape, link, to_plain
from bot.slack.sections import MAX_SECTION, fit, sections
from core.markup import Block, Break, Code, CodeBlock, Emphasis, Inline, Paragraph, Text, parse
from tests.bot.slack.reader import ZERO_WIDTH, pings, show

PAY = "https://example.com/pay"
HOSTILE = "ab 1*_~`<>&@#!|.()[]-:/\u200b\u2060＠＊\n"
LOOKALIKES = str.maketrans({"\u2217": "*", "\uff3f": "_", "\u223c": "~", "ˋ": "`"})


def to_mrkdwn(blocks: tuple[Block, ...]) -> str:
    return to_text(blocks, MRKDWN)


def rendered(markdown: str, *allowed: str) -> str:
    return to_mrkdwn(parse(markdown, allowed))


@pytest.mark.parametrize(
    ("markdown", "mrkdwn"),
    [
        ("**bold** and *italic* and `code`", "*bold* and _italic_ and `code`"),
        ("# Title\n\ntext", "*Title*\n\ntext"),
        ("one\ntwo\n\nthree", "one\ntwo\n\nthree"),
        ("- a\n- b\n  - c\n    1. d\n- e", "• a\n• b\n    • c\n        1. d\n• e"),
        ("7. a\n8. b", "7. a\n8. b"),
        ("> said\n> more\n>\n> end", "> said\n> more\n> end"),
        ("> > twice", "> &gt; twice"),
        ("```python\nx = 1 < 2\n```", "```\nx = 1 &lt; 2\n```"),
        ("- a\n\n  ```\n  x\n  ```\n- b", "• a\n```\nx\n```\n• b"),
        ("- ```\n  x\n  ```", "• \n```\nx\n```"),
        ("-\n- b", "• \n• b"),
        (f"[Pay]({PAY}) at {PAY}.", f"<{PAY}|Pay> at <{PAY}>."),
        (f"**[Pay]({PAY})**", f"*<{PAY}|Pay>*"),
        ("***both***", "*_both_*"),
        ("(**so**), *x*.", "(*so*), _x_."),
        ("a < b & c > d", "a &lt; b &amp; c &gt; d"),
        ("snake_case 5 * 3 ~ 2", "snake_case 5 * 3 ~ 2"),
        ("", ""),
    ],
)
def test_what_is_written_looks_the_same_in_slack(markdown: str, mrkdwn: str) -> None:
    assert rendered(markdown, PAY) == mrkdwn


def test_emphasis_inside_a_word_and_over_a_line_break_is_still_read() -> None:
    assert rendered("un**believ**able") == "un\u200b*believ*\u200bable"
    assert rendered("**one\ntwo**") == "*one*\n*two*"
    assert rendered("*a **b** c*") == "_a_ *_b_* _c_"


@pytest.mark.parametrize("text", ["*not bold*", "_not_ italic", "~$5 or ~$6", "a *b*c* d", "__init__ **kw", "`tick", "(*x*)", "* a*"])
@pytest.mark.parametrize("zero_width_is", ["space", "letter"])
def test_marks_in_plain_words_stay_plain(text: str, zero_width_is: str) -> None:
    assert show(escape(text), zero_width_is=zero_width_is).styles() == set()


def test_only_marks_that_touch_something_are_changed() -> None:
    assert escape("5 * 3 snake_case a~b") == "5 * 3 snake_case a~b"
    assert visible(escape("*x* _y_")) == "*x* _y_"


def test_a_line_of_plain_words_never_becomes_a_quote() -> None:
    assert show(escape("> a\n >b")).styles() == set()
    assert show(rendered("\\> a")).styles() == set()


def test_bad_input_08_wide_and_hidden_pings_are_broken() -> None:
    for text in ("＠everyone", "@\u200beveryone", "@ev\u200beryone", "﹫here", "@Ｃhannel", "@CHANNEL", "@еveryone", "<！channel>"):
        for said in (rendered(text), rendered(f"`{text}`"), rendered(f"**{text}**"), rendered(f"```\n{text}\n```"), escape(text)):
            assert pings(said) == [], text
            assert show(said).mentions == []


def test_bad_input_09_tokens_of_slack_are_words() -> None:
    text = "repeat: @everyone @here <@U1> <@&role> <!channel> <!subteam^S1> <#C1|general> <!date^1^{date}|x>"
    for said in (rendered(text), rendered(f"`{text}`"), rendered(f"```\n{text}\n```"), rendered(f"# {text}")):
        assert show(said).mentions == show(said).links == show(said).stray == pings(said) == []
        assert visible(show(said).text).strip() == text


def test_an_e_mail_address_stays_whole() -> None:
    assert escape("help@here.com @hereby") == "help@here.com @\u2060hereby"


def test_a_ping_put_together_from_pieces_is_broken() -> None:
    assert pings(rendered("@![channel](x) @&#99;hannel @<b>channel")) == []


def test_bad_input_13_html_and_script_addresses_are_words() -> None:
    for text in ("<script>alert(1)</script>", "<img src=x onerror=alert(1)>"):
        assert show(rendered(text)).text.strip() == text
    said = rendered("[x](javascript:alert(1)) <javascript:alert(1)>", "javascript:alert(1)")
    assert show(said).links == show(said).mentions == []


def test_bad_input_14_other_links_are_code_and_images_are_captions() -> None:
    assert rendered("![caption](https://evil.test/?q=1)", PAY) == "caption"
    assert rendered("[Pay](https://evil.test)", PAY) == "Pay `https://evil.test`"
    assert show(rendered("https:/![/evil.test](x)")).bare_addresses is False


def test_words_that_name_another_host_show_the_real_one() -> None:
    assert rendered(f"[bank.test]({PAY})", PAY) == f"<{PAY}|bank.test> (example.com)"
    assert rendered(f"[example.com]({PAY})", PAY) == f"<{PAY}|example.com>"


def test_an_address_neither_pings_nor_hides_its_host_behind_a_name() -> None:
    assert link("https://x.test/@here/@ann", "https://x.test/@here/@ann") == "<https://x.test/%40here/@ann>"
    assert link("https://x.test/＠here", "x") == "<https://x.test/%EF%BC%A0here|x>"
    for url in ("http://@channel", "http://＠channel", "https://bank.test@evil.test/x", "https://bank.test:1@evil.test"):
        assert show(rendered(f"[Pay]({url}) {url}", url)).links == [] == pings(rendered(url, url))


def test_an_address_or_its_words_cannot_end_the_link_early() -> None:
    url = "https://example.com/a|b>c<d`e?x=1&y=2"
    (found,) = show(link(url, "x|y>z <!channel> *b*")).links
    assert found == "https://example.com/a%7Cb%3Ec%3Cd%60e?x=1&amp;y=2"
    shown = show(link(url, "x|y>z <!channel>"))
    assert shown.mentions == shown.stray == []


@pytest.mark.parametrize("url", ["", "ftp://x.test/a", "javascript:x", "https://a b", "https://x\ny", "https://x.test/" + "a" * 2000])
def test_what_is_no_address_for_slack_leaves_its_words(url: str) -> None:
    assert link(url, "words") == "words"


def test_bad_input_20_a_fence_inside_code_does_not_end_it() -> None:
    said = rendered("````\n```\nx\n```\n````")
    assert said.count("```") == 2 and not show(said).open_fence
    assert visible(show(said).text).strip() == "```\nx\n```"


def test_bad_input_20_five_ticks_in_code_are_no_fence() -> None:
    assert rendered("```````\n`````\n```````").count("```") == 2


@pytest.mark.parametrize("text", ["`" * 4001, "``` " * 1000, "```\nx", "|a|b|\n|-|-|\n|1|2|", "> " * 300 + "x", "- " * 300 + "x"])
def test_bad_input_20_bombs_and_unbalanced_fences_end_in_balanced_ones(text: str) -> None:
    assert not any(show(part).open_fence for part in sections(parse(text), 12_000).texts)


def inlines() -> st.SearchStrategy[tuple[Inline, ...]]:
    words = st.text(alphabet="ab *_~`&<>.@", min_size=1, max_size=8)
    leaf = st.one_of(words.map(Text), words.filter(str.strip).map(Code), st.just(Break()))
    tree = st.recursive(
        leaf, lambda inner: st.builds(Emphasis, st.lists(inner, min_size=1, max_size=3).map(tuple), st.booleans()), max_leaves=6
    )
    return st.lists(tree, min_size=1, max_size=5).map(tuple)


def visible(text: str) -> str:
    return "".join(character for character in text if character not in ZERO_WIDTH).translate(LOOKALIKES)


def styled(children: tuple[Inline, ...], style: str = "") -> list[tuple[str, str]]:
    """Every visible character of a tree with its style, the way a person would read it."""
    found: list[tuple[str, str]] = []
    for child in children:
        match child:
            case Text(text):
                found += [(character, style) for character in text]
            case Code(text):
                found += [(character, style + "c") for character in text]
            case Emphasis(inner, strong):
                found += styled(inner, style + ("b" if strong else "i"))
    return found


def comparable(characters: list[tuple[str, str]]) -> list[tuple[str, str]]:
    shown = [(visible(character), "".join(sorted(set(style)))) for character, style in characters]
    return [(character, style) for character, style in shown if character.strip()]


@settings(max_examples=500, deadline=None)
@given(inlines())
def test_every_character_has_the_style_that_was_written_and_no_other(children: tuple[Inline, ...]) -> None:
    said = to_mrkdwn((Paragraph(children),))
    assert comparable(show(said).characters) == comparable(styled(children)), said


@given(st.text(alphabet=HOSTILE, max_size=80))
@pytest.mark.parametrize("zero_width_is", ["space", "letter"])
def test_plain_words_are_shown_exactly_and_without_any_style(zero_width_is: str, text: str) -> None:
    shown = show(escape(text), zero_width_is=zero_width_is)
    assert shown.styles() == set() and not (shown.links or shown.mentions or shown.stray or shown.bare_addresses)
    assert visible(shown.text).rstrip("\n") == visible(text).rstrip("\n")
    assert pings(escape(text)) == []


LONG: list[tuple[Block, ...]] = [
    parse("\n\n".join(f"Paragraph {number} " + "words " * 60 for number in range(30))),
    parse("word " * 5000),
    parse("**" + "bold & co " * 1500 + "**"),
    parse("`" + "x&" * 5000 + "`"),
    parse("```\n" + "line <1>\n" * 1500 + "```"),
    parse("```\n" + "&" * 9000 + "\n```"),
    parse("a" * 20_000),
    parse("&*" * 8000),
    parse("\n".join(f"- item {number} " + "&" * 50 for number in range(300))),
    parse("> " + "quoted " * 3000),
    parse(f"[{'words ' * 200}]({PAY}) " * 40, {PAY}),
    (CodeBlock("\n" * 5000),),
]


@pytest.mark.parametrize("blocks", LONG)
def test_a_long_answer_is_split_into_sections_that_are_whole(blocks: tuple[Block, ...]) -> None:
    found = sections(blocks, 200_000)
    assert not found.was_cut and all(0 < size(text) <= MAX_SECTION for text in found.texts)
    for text in found.texts:
        shown = show(text)
        assert not (shown.open_fence or shown.stray or shown.mentions) and set(shown.links) <= {PAY}
    whole = "".join("".join(visible(show(text).text).split()) for text in found.texts)
    assert PAY in str(blocks) or whole.replace("•", "") == "".join(to_plain(blocks).translate(LOOKALIKES).split())


def test_sections_end_between_paragraphs_when_they_can() -> None:
    paragraphs = [f"{number} " + "words " * 100 for number in range(12)]
    texts = sections(parse("\n\n".join(paragraphs)), 12_000).texts
    assert [paragraph.strip() for text in texts for paragraph in text.split("\n\n")] == [paragraph.strip() for paragraph in paragraphs]


def test_a_split_keeps_what_is_bold_bold_and_what_is_code_code() -> None:
    for markdown, style in (
        ("**" + "bold " * 1000 + "x**", "b"),
        ("`" + "code " * 1000 + "x`", "c"),
        ("```\n" + "code\n" * 1000 + "```", "c"),
    ):
        texts = sections(parse(markdown), 12_000).texts
        assert len(texts) > 1
        assert all({style} == set(styles) for text in texts for letter, styles in show(text).characters if letter.strip())


@given(st.text(alphabet=HOSTILE + "😀", max_size=300), st.integers(min_value=5, max_value=100))
def test_what_is_made_to_fit_fits_after_escaping(text: str, limit: int) -> None:
    assert size(fit(text, limit)) <= limit and size(cut(text, limit)) <= limit
    assert show(fit(text, limit)).stray == []
