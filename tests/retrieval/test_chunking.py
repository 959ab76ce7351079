"""Documents become passages at their headings, none longer than a model can read, none lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.domain import Passage
from retrieval.chunking import MAX_WORDS, html_to_markdown, markdown_passages


def passages(text: str, name: str = "guide.md") -> list[Passage]:
    return list(markdown_passages(name, text))


def titles(text: str) -> list[tuple[str, str]]:
    return [(passage.title, passage.text) for passage in passages(text)]


def test_a_heading_starts_a_passage_that_is_titled_by_its_path() -> None:
    text = "intro\n# Shop\nwelcome\n## Pay\nby card\n### Card\nvisa\n## Ship\nby post\n# Legal\nnone\n"
    assert titles(text) == [
        ("guide.md", "intro"), ("Shop", "welcome"), ("Shop > Pay", "by card"), ("Shop > Pay > Card", "visa"),
        ("Shop > Ship", "by post"), ("Legal", "none"),
    ]  # fmt: skip


def test_a_passage_belongs_to_its_document_and_is_no_curated_answer() -> None:
    (passage,) = markdown_passages("guide.md", "# A\ntext", "https://example.com/guide")
    assert (passage.document_id, passage.url, passage.curated) == ("guide.md", "https://example.com/guide", False)


def test_a_level_that_is_left_out_changes_nothing() -> None:
    assert titles("# A\n### C\nc\n## B\nb\n") == [("A > C", "c"), ("A > B", "b")]


def test_headings_with_a_line_below_are_headings() -> None:
    assert titles("Shop\n====\nwelcome\n\nPay\n---\nby card\n") == [("Shop", "welcome"), ("Shop > Pay", "by card")]


def test_a_hash_in_code_is_no_heading() -> None:
    text = "# A\n```sh\n# comment\nrun\n```\n\n    # indented\n\n~~~\n## x\n```\n~~~\ntext with `# code`\n"
    ((title, body),) = titles(text)
    assert title == "A"
    assert all(kept in body for kept in ("# comment", "# indented", "## x", "`# code`"))


def test_a_fence_that_never_closes_takes_the_rest_as_code() -> None:
    assert [title for title, _ in titles("# A\ntext\n```\n# B\nmore\n")] == ["A"]


def test_a_heading_in_a_list_or_quote_starts_no_passage() -> None:
    assert [title for title, _ in titles("# A\n> # quoted\n> text\n\n- # item\n")] == ["A"]


def test_markup_in_a_heading_is_no_part_of_its_title() -> None:
    assert titles("# *Pay* with `card` ![x](y)\ntext")[0][0] == "Pay with card x"


def test_front_matter_is_dropped_and_a_rule_on_top_is_not_taken_for_it() -> None:
    assert titles("---\ntitle: Shop\ntags:\n  - a\n---\n# A\ntext\n") == [("A", "text")]
    assert titles("---\r\ntitle: Shop\r\n---\r\ntext\r\n") == [("guide.md", "text")]
    assert "Important." in titles("---\nImportant.\n\n---\ntext\n")[0][1]


def test_a_document_without_heading_is_titled_by_its_name() -> None:
    assert titles("just text") == [("guide.md", "just text")]


def test_a_heading_without_words_below_gives_no_passage() -> None:
    assert titles("# A\n\n---\n\n## B\ntext\n# C\n") == [("A > B", "text")]


def test_a_heading_without_words_is_untitled() -> None:
    assert titles("#\ntext") == [("untitled", "text")]


def test_headings_that_repeat_are_numbered_and_none_takes_the_number_of_another() -> None:
    text = "# Step\na\n# Step\nb\n# Step 2\nc\n# Step 2\nd\n# !!!\ne\n# ???\nf\n"
    ids = [passage.passage_id for passage in passages(text)]
    assert ids[:3] == ["guide.md#step", "guide.md#step-2", "guide.md#step-2-2"]
    assert len(set(ids)) == 6


def test_ids_of_a_deep_path_are_short_and_still_differ() -> None:
    found = passages("# A\na\n# B\nb\n# " + "long " * 60 + "\nc\n", name="folder/" * 40 + "guide.md")
    assert all(len(passage.passage_id) <= 200 for passage in found)
    assert len({passage.passage_id for passage in found}) == 3


def test_ids_of_other_scripts_keep_their_letters() -> None:
    assert [passage.passage_id for passage in passages("# Как платить?\nx\n# 支払い\ny\n")] == ["guide.md#как-платить", "guide.md#支払い"]


def test_a_section_of_500_words_is_cut_between_paragraphs() -> None:
    paragraphs = [" ".join(f"p{n}w{m}" for m in range(100)) for n in range(5)]
    found = passages("# A\n" + "\n\n".join(paragraphs))
    assert [passage.text for passage in found] == ["\n\n".join(paragraphs[:2]), "\n\n".join(paragraphs[2:4]), paragraphs[4]]
    assert {passage.title for passage in found} == {"A"}


def test_a_paragraph_of_500_words_is_cut_between_sentences() -> None:
    sentences = [" ".join(f"s{n}w{m}" for m in range(49)) + " end." for n in range(10)]
    found = passages("# A\n" + " ".join(sentences))
    assert [passage.text for passage in found] == [" ".join(sentences[start : start + 4]) for start in (0, 4, 8)]


def test_a_sentence_of_500_words_is_cut_between_words() -> None:
    sentence = [f"w{n}" for n in range(500)]
    found = [passage.text.split() for passage in passages("# A\n" + " ".join(sentence))]
    assert [len(words) for words in found] == [220, 220, 60]
    assert [word for words in found for word in words] == sentence


def test_long_code_keeps_its_lines_when_it_is_cut() -> None:
    lines = [f"set option_{n} = {n}" for n in range(100)]
    found = passages("# A\n```\n" + "\n".join(lines) + "\n```\n")
    assert len(found) > 1
    assert all(line in "\n".join(passage.text for passage in found).split("\n") for line in lines[:50])


def test_a_chinese_section_without_spaces_is_cut_at_its_sentences() -> None:
    sentence = "您可以在账户设置页面重置密码" * 5 + "。"
    found = passages("# 密码\n" + sentence * 30)
    assert len(found) > 3
    assert all(len(passage.text) <= 2 * MAX_WORDS and passage.text.endswith("。") for passage in found)
    assert "".join(passage.text for passage in found) == sentence * 30


def test_a_word_without_end_is_cut() -> None:
    found = passages("# A\n" + "x" * 100_000)
    assert "".join(passage.text for passage in found) == "x" * 100_000
    assert max(len(passage.text) for passage in found) == MAX_WORDS * 40


@given(
    st.lists(st.sampled_from(["word", "End. ", "\n\n", "\n", " ", "# Head\n", "```\n", "重置密码", "。", "many words " * 90]), max_size=40)
)
def test_no_word_is_lost_and_no_passage_is_too_long(parts: list[str]) -> None:
    text = "start\n\n" + "".join(parts)
    found = passages(text)
    assert all(len(passage.text.split()) <= MAX_WORDS for passage in found)
    assert len({passage.passage_id for passage in found}) == len(found)
    for word in ("word", "End.", "many", "重置"):
        kept = sum((passage.text.count(word)) for passage in found)
        assert kept + sum(line.count(word) for line in text.split("\n") if line.startswith("#")) >= text.count(word)


def test_html_headings_lists_and_tables_become_markdown() -> None:
    page = "<main><h1>A</h1><p>one <b>two</b></p><ul><li>x</li></ul><h2>B</h2><pre># code</pre></main><p>outside</p>"
    markdown, url = html_to_markdown(page)
    assert titles(markdown)[0][0] == "A"
    assert [title for title, _ in titles(markdown)] == ["A", "A > B"]
    assert "outside" not in markdown
    assert url is None
