"""The Markdown tree: only what is allowed becomes live, and what is written as Markdown again reads the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.markup import (
    Block,
    Break,
    Code,
    CodeBlock,
    Emphasis,
    Inline,
    Items,
    Link,
    Paragraph,
    Quote,
    Text,
    parse,
    to_markdown,
    urls,
)  # fmt: skip

PAY = "https://example.com/pay"
MARKDOWN = st.text(alphabet="ab1 .*_`[]()<>#-+!\n\\&;~=|:/\"'@", max_size=60)
PLAIN = st.text(alphabet="ab1 .*_`[]()<>#-+!\\&;~=|:/\"'", max_size=25).map(lambda text: " ".join(text.split())).filter(bool)


def links(blocks: tuple[Block, ...]) -> set[str]:
    """Every live address of a tree."""
    found: set[str] = set()
    for block in blocks:
        match block:
            case Paragraph(children):
                found |= inline_links(children)
            case Quote(inner):
                found |= links(inner)
            case Items(items):
                found |= {url for item in items for url in links(item)}
    return found


def inline_links(children: tuple[Inline, ...]) -> set[str]:
    found: set[str] = set()
    for child in children:
        if isinstance(child, Link):
            found |= {child.url} | inline_links(child.children)
        elif isinstance(child, Emphasis):
            found |= inline_links(child.children)
    return found


def paragraph(*children: Inline) -> tuple[Block, ...]:
    return (Paragraph(children),)


def plain(blocks: tuple[Block, ...]) -> str:
    """The words of a tree that is one paragraph without emphasis or links."""
    (block,) = blocks
    assert isinstance(block, Paragraph) and block.level == 0
    assert all(isinstance(child, Text | Code) for child in block.children)
    return "".join(child.text for child in block.children if isinstance(child, Text | Code))


@given(PLAIN)
def test_plain_words_read_the_same_after_a_round_trip(text: str) -> None:
    assert plain(parse(to_markdown(paragraph(Text(text))))) == text


@given(st.text(alphabet="ab `\\*", min_size=1, max_size=20).filter(lambda text: text.strip(" ") == text))
def test_code_reads_the_same_after_a_round_trip(text: str) -> None:
    assert parse(to_markdown(paragraph(Text("x "), Code(text)))) == paragraph(Text("x "), Code(text))


@given(st.text(alphabet="ab `~\n#>", max_size=40).map(lambda text: text.strip("\n")).filter(bool))
def test_a_code_block_reads_the_same_after_a_round_trip(text: str) -> None:
    assert parse(to_markdown((CodeBlock(text, "python"),))) == (CodeBlock(text, "python"),)


TREES = [
    (Paragraph((Text("Title"),), level=2), Paragraph((Text("one"), Break(), Text("two")))),
    paragraph(Text("a "), Emphasis((Text("b"),)), Text(" "), Emphasis((Text("c"),), strong=True)),
    paragraph(Text("see "), Link((Text("the page"),), PAY), Text(" or "), Link((Text(PAY),), PAY)),
    (Items(((Paragraph((Text("one"),)),), (Paragraph((Text("two"),)), CodeBlock("x = 1\n\ny = 2")))),),
    (Items(((Paragraph((Text("three"),)),), (Paragraph((Text("four"),)),)), start=3),),
    (Quote((Paragraph((Text("said"),)), Quote((Paragraph((Text("before"),)),)))), Paragraph((Text("after"),))),
]


@pytest.mark.parametrize("tree", TREES)
def test_a_tree_reads_the_same_after_a_round_trip(tree: tuple[Block, ...]) -> None:
    assert parse(to_markdown(tree), {PAY}) == tree


@given(MARKDOWN)
def test_no_address_that_is_not_allowed_ever_becomes_live(markdown: str) -> None:
    text = f"{markdown}https://evil.test/x {markdown} [pay]({PAY})"
    once = parse(text, {PAY})
    assert links(once) <= {PAY}
    assert links(parse(to_markdown(once), {PAY})) <= {PAY}


def test_an_allowed_address_is_a_link_bare_or_with_words() -> None:
    assert parse(f"[Pay]({PAY}) at {PAY}.", {PAY}) == paragraph(
        Link((Text("Pay"),), PAY), Text(" at "), Link((Text(PAY),), PAY), Text(".")
    )  # fmt: skip


def test_an_address_with_brackets_stays_one_link_after_a_round_trip() -> None:
    url = "https://example.com/a_(b"
    assert parse(to_markdown(paragraph(Link((Text("b"),), url))), {url}) == paragraph(Link((Text("b"),), url))


@pytest.mark.parametrize("url", ["https://evil.test/pay", f"{PAY}/more", f"{PAY}?x=1", "//evil.test", "/relative", "mailto:a@b.c"])
def test_bad_input_14_any_other_link_becomes_words_and_code(url: str) -> None:
    assert parse(f"[Pay]({url})", {PAY}) == paragraph(Text("Pay "), Code(url))


@pytest.mark.parametrize(
    "image", ["![caption](https://evil.test/?q=secret)", f"![caption]({PAY})", "![caption][r]\n\n[r]: https://evil.test/x"]
)
def test_bad_input_14_an_image_leaves_its_caption_and_no_address(image: str) -> None:
    assert parse(image, {PAY}) == paragraph(Text("caption"))


def test_bad_input_14_an_image_inside_a_link_leaves_no_live_address() -> None:
    blocks = parse(f"[![caption](https://evil.test/a.png)](https://evil.test/b) [![x](https://evil.test/c)]({PAY})", {PAY})
    assert links(blocks) == {PAY}
    assert "a.png" not in to_markdown(blocks)


def test_bad_input_14_a_link_whose_words_name_another_address_shows_that_one_as_code() -> None:
    assert parse(f"[https://bank.test]({PAY})", {PAY}) == paragraph(Link((Code("https://bank.test"),), PAY))


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<b>bold</b>", "<!-- -->", "<svg/onload=x>"])
def test_bad_input_13_html_stays_visible_text(text: str) -> None:
    assert plain(parse(text)) == text


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "JaVaScRiPt:alert(1)", "vbscript:x", "data:text/html;base64,PHg+", "file:///etc/passwd"]
)
def test_bad_input_13_a_script_address_is_text_even_when_someone_allowed_it(url: str) -> None:
    assert links(parse(f"[x]({url}) <{url}>", {url})) == set()


def test_bad_input_09_pings_are_words_before_and_after_a_round_trip() -> None:
    text = "@everyone @here <@&role> <!channel> <!subteam^S1> <@U123>"
    assert plain(parse(text)) == plain(parse(to_markdown(parse(text)))) == text


@pytest.mark.parametrize(
    "markdown",
    ["```\nx", "~~~\n```", "`" * 4001, "``` " * 1000, "`a" * 2000, "> " * 500 + "x", "- " * 500 + "x", "*" * 2000 + "a",
     "[" * 2000, "](" * 2000, "![" * 1000 + "](x)" * 1000, "|a|b|\n|-|-|\n|1|2|", "&#0;&#x110000;", "\\", "#" * 100,
     "1234567890. x", "<" * 2000],
)  # fmt: skip
def test_bad_input_20_unbalanced_fences_and_bombs_are_read_and_written_again(markdown: str) -> None:
    once = parse(markdown)
    assert isinstance(to_markdown(parse(to_markdown(once))), str)
    assert links(once) == set()


def test_bad_input_20_an_unfinished_fence_is_closed_by_writing_it_again() -> None:
    assert to_markdown(parse("before\n\n```python\nx = 1")) == "before\n\n```python\nx = 1\n```"


def test_bad_input_20_a_fence_inside_code_gets_a_longer_one_around_it() -> None:
    assert to_markdown((CodeBlock("```\nx\n```"),)) == "````\n```\nx\n```\n````"


def test_urls_end_before_the_punctuation_of_their_sentence() -> None:
    assert urls(f"See {PAY}, (or https://example.com/b). <HTTP://EXAMPLE.COM/c>") == {PAY, "https://example.com/b", "HTTP://EXAMPLE.COM/c"}


def test_a_list_keeps_its_first_number_and_an_empty_answer_is_empty() -> None:
    assert parse("7. a\n8. b") == (Items(((Paragraph((Text("a"),)),), (Paragraph((Text("b"),)),)), start=7),)
    assert parse("") == parse(" \n ") == ()


def test_an_allowed_address_beyond_ascii_stays_a_link() -> None:
    url = "https://shop.example/größe?q=ü"
    assert parse(f"[sizes]({url})", {url}) == (Paragraph((Link((Text("sizes"),), url),)),)
