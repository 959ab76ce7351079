"""Markdown becomes Discord's: it looks the same, pings nobody, shows no preview and makes nothing live but allowed links."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.discord.markdown import MARKDOWN, begin, escape, fence, link, to_plain
from bot.layout import to_text
from bot.parting import fitted, parted, size
from core.markup import Block, CodeBlock, parse
from tests.bot.discord.reader import pings, show
from tests.bot.hostile import EXAMPLES, HOSTILE, PAY

LIMIT = 1900
INVISIBLE = {ord(one): None for one in "\u200b\u2060"}


def rendered(markdown: str, *allowed: str) -> str:
    return to_text(parse(markdown, allowed), MARKDOWN)


@pytest.mark.parametrize(
    ("markdown", "content"),
    [
        ("**bold** and *italic* and `code`", "**bold** and *italic* and `code`"),
        ("# Title\n\ntext", "**Title**\n\ntext"),
        ("- a\n- b\n  - c\n    1. d\n- e", "- a\n- b\n    - c\n        1. d\n- e"),
        ("7. a\n8. b", "7. a\n8. b"),
        ("> said\n> more\n>\n> end", "> said\n> more\n> end"),
        ("> > twice", "> \\> twice"),
        ("```python\nx = 1 < 2\n```", "```python\nx = 1 < 2\n```"),
        ("- a\n\n  ```\n  x\n  ```\n- b", "- a\n```\nx\n```\n- b"),
        (f"[Pay]({PAY}) at {PAY}.", f"[Pay](<{PAY}>) at <{PAY}>."),
        (f"**[Pay]({PAY})**", f"**[Pay](<{PAY}>)**"),
        ("***both***", "***both***"),
        ("snake_case 5 \\* 3", "snake\\_case 5 \\* 3"),
        ("3 < 5 > 4 & a@b.example", "3 < 5 > 4 & a@b.example"),
        ("", ""),
    ],
)
def test_what_is_written_looks_the_same_in_discord(markdown: str, content: str) -> None:
    assert rendered(markdown, PAY) == content


@pytest.mark.parametrize("text", ["# a", " ### a", "-# a", "- a", "* a", "1. a", "12. a", "> a", ">>> a", "\u2060# a"])
def test_a_line_of_plain_words_never_becomes_a_heading_a_list_a_quote_or_small_print(text: str) -> None:
    shown = show(begin(escape(text)))
    assert shown.styles() == set()
    assert shown.text.translate(INVISIBLE) == text.translate(INVISIBLE)


@pytest.mark.parametrize("markdown", ["\\# a", "\\- a", "1\\. a", "\\> a", "x\\\n\\# a", "![# a](x)"])
def test_words_of_an_answer_become_no_heading_list_or_quote_either(markdown: str) -> None:
    assert show(rendered(markdown)).styles() == set()
    assert show(rendered(f"> {markdown}")).styles() <= {"q"}


@pytest.mark.parametrize(
    "text", ["*a*", "**a**", "_a_", "__a__", "~~a~~", "||a||", "`a`", "```a```", "[a](b)", "\\*a*", "a\\", "¯\\_(ツ)_/¯"]
)
def test_marks_in_plain_words_stay_plain(text: str) -> None:
    shown = show(escape(text))
    assert (shown.styles(), shown.links, shown.text) == (set(), [], text)


def test_bad_input_09_tokens_of_discord_are_words_in_code_too() -> None:
    text = "@everyone x@here <@42> <@!42> <@&42> <#42> <id:home> </ask now:42> <:x:42> <a:x:42> <t:42:R> <t:-1>"
    for said in (rendered(text), rendered(f"# {text}"), rendered(f"`{text}`"), rendered(f"```\n{text}\n```"), escape(text), fence(text)):
        assert pings(said) == show(said).tokens == []
    for said in (rendered(f"`{text}`"), escape(text), fence(text)):
        assert show(said).text.translate(INVISIBLE).strip() == text


def test_code_that_pings_nobody_is_left_as_it_is() -> None:
    code = "@app.get('/')\nif a <b: return '</div>' # https://shop.example"
    assert fence(code, "python") == f"```python\n{code}\n```"


def test_bad_input_14_other_links_are_code_and_images_are_captions() -> None:
    assert rendered("![caption](https://evil.test/?q=1)", PAY) == "caption"
    assert rendered("[Pay](https://evil.test)", PAY) == "Pay `https://evil.test`"
    for text in (
        "https:/![/evil.test](x)",
        "discord.gg/evil",
        "discordapp.com/invite/evil",
        "steam://x",
        "discord://x",
        "<https://e.test>",
    ):
        assert show(rendered(text)).previews == show(rendered(text)).links == []


def test_words_that_name_another_host_show_the_real_one() -> None:
    assert rendered(f"[bank.test]({PAY})", PAY) == f"[bank.test](<{PAY}>) (example.com)"


def test_an_address_or_its_words_cannot_end_the_link_early() -> None:
    url = "https://example.com/(a)*b*|c|\\d`e>f<g[h]/@everyone?x=1&y=2"
    for label in ("x", "x](<https://evil.test>) [y", "**x", "a[0]", "a[b", "a]b", "`", "@everyone", "x\\"):
        said = f"**a** {link(url, label)} **b**"
        shown = show(said)
        assert shown.links == ["https://example.com/%28a%29%2Ab%2A%7Cc%7C%5Cd%60e%3Ef%3Cg%5Bh%5D/%40everyone?x=1&y=2"], label
        assert (shown.previews, pings(said)) == ([], [])
        assert "](" not in shown.text  # it was read as one link, with its words


def test_what_follows_a_link_cannot_move_it_elsewhere() -> None:
    for text in (
        "](javascript:x)",
        "](https://evil.test)",
        "`](https://evil.test)`",
        "```\n](<https://evil.test>)\n```",
        "]`(https://evil.test)`",
    ):
        assert set(show(rendered(f"[Pay]({PAY}) {text}\n\n{text}", PAY)).links) == {PAY}


@pytest.mark.parametrize(
    "url", ["", "ftp://x.test/a", "javascript:x", "https://a b", "https://bank.test@evil.test", "https://x.test/" + "a" * 700]
)
def test_what_is_no_address_for_discord_leaves_its_words(url: str) -> None:
    assert link(url, "words") == "words"


@pytest.mark.parametrize("ticks", range(1, 12))
def test_bad_input_20_a_fence_inside_code_does_not_end_it(ticks: int) -> None:
    for code in ("`" * ticks, "x" + "`" * ticks, "`" * ticks + "\ny"):
        said = fence(code)
        assert (said.count("```"), show(said).open_fence) == (2, False)
        assert show(said).text.translate(INVISIBLE) == code


def test_an_empty_code_block_does_not_swallow_what_follows() -> None:
    assert show(rendered("```\n\n```\n\nwords\n\n```\nx\n```")).text.translate(INVISIBLE).split() == ["words", "x"]


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(HOSTILE)
def test_plain_words_are_shown_exactly_and_nothing_in_them_is_live(text: str) -> None:
    said = begin(escape(text))
    shown = show(said)
    assert shown.styles() == set()
    assert not (shown.links or shown.tokens or shown.previews or pings(said))
    assert shown.text.translate(INVISIBLE) == text.translate(INVISIBLE)


LONG: list[tuple[Block, ...]] = [
    parse("\n\n".join(f"Paragraph {number} " + "words " * 60 for number in range(30))),
    parse("**" + "bold & co " * 1500 + "**"),
    parse("`" + "x" * 9000 + "`"),
    parse("```py\n" + "line <@1>\n" * 1500 + "```"),
    parse("*_" * 8000),
    parse("\\*" * 8000),
    parse("\n".join(f"- item {number} " + "&" * 50 for number in range(300))),
    parse("> " + "quoted " * 3000),
    parse(f"[{'words ' * 200}]({PAY}) " * 40, {PAY}),
    (CodeBlock("`" * 5000),),
]


@pytest.mark.parametrize("blocks", LONG)
def test_a_long_answer_is_split_into_parts_that_are_whole(blocks: tuple[Block, ...]) -> None:
    texts = [*parted(blocks, MARKDOWN, LIMIT)]
    assert all(0 < size(text) <= LIMIT for text in texts)
    for text in texts:
        shown = show(text)
        assert not (shown.open_fence or shown.tokens or shown.previews or pings(text))
        assert set(shown.links) <= {PAY}
    whole = "".join("".join(show(text).text.translate(INVISIBLE).split()) for text in texts)
    assert PAY in str(blocks) or whole == "".join(to_plain(blocks).split())


def test_a_fence_that_is_split_is_opened_again_in_its_language() -> None:
    texts = [*parted(parse("```python\n" + "print(1)\n" * 600 + "```"), MARKDOWN, LIMIT)]
    assert len(texts) > 2
    assert all(text.startswith("```python\nprint(1)\n") and text.endswith("print(1)\n```") for text in texts)


@given(st.text(alphabet="ab*_`<@[]|\\# 😀", max_size=300), st.integers(min_value=5, max_value=100))
def test_what_is_made_to_fit_fits_after_escaping(text: str, limit: int) -> None:
    assert size(fitted(text, limit, escape)) <= limit
