"""Rows of FAQ files: good ones become passages, bad ones a reason and a line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain import Passage
from core.text import clean, says_something
from retrieval import faq_rows
from retrieval.faq_rows import Row, csv_rows, json_list, jsonl, yaml_list
from retrieval.problems import BadRowError, RowProblem


def split(rows: Iterable[Row]) -> tuple[list[Passage], list[tuple[int | None, str]]]:
    rows = list(rows)
    bad = [(row.line, row.reason) for row in rows if isinstance(row, RowProblem)]
    return [row[1] for row in rows if not isinstance(row, RowProblem)], bad


def csv_text(text: str) -> tuple[list[Passage], list[tuple[int | None, str]]]:
    return split(csv_rows(io.StringIO(text, newline="")))


def reason_of(**fields: object) -> str:
    (_, ((line, reason),)) = split(jsonl([json.dumps({"question": "q", "answer": "a"} | fields)]))
    assert line == 1
    return reason


def test_all_columns_of_a_row_are_kept() -> None:
    fields = {
        "id": "pay-1", "question": "How do I pay?", "answer": "By card.", "alternatives": ["paying", "How do I pay?", "paying", "  "],
        "url": "https://example.com/pay", "category": "money", "locale": "en", "tags": ["card"], "unknown": 1,
    }  # fmt: skip
    ((passage,), bad) = split(jsonl([json.dumps(fields)]))
    assert bad == []
    assert passage == Passage(
        "pay-1", "pay-1", "How do I pay?", "By card.", ("paying",), "https://example.com/pay", "money", "en", ("card",), curated=True
    )


def test_a_row_without_id_gets_one_that_depends_on_its_question_only() -> None:
    rows = [{"question": "q", "answer": "a"}, {"question": "q", "answer": "b"}, {"question": "r", "answer": "a"}]
    first, second, third = split(jsonl(map(json.dumps, rows)))[0]
    assert first.passage_id == second.passage_id
    assert first.passage_id != third.passage_id


@pytest.mark.parametrize(("given_id", "kept"), [(12, "12"), (12.5, "12.5"), ("007", "007"), (" x ", "x"), ("x" * 200, "x" * 200)])
def test_an_id_may_be_a_number(given_id: object, kept: str) -> None:
    ((passage,), _) = split(jsonl([json.dumps({"id": given_id, "question": "q", "answer": "a"})]))
    assert passage.passage_id == passage.document_id == kept


@pytest.mark.parametrize("empty", [None, "", " ", "\x00"])
def test_an_empty_id_is_none(empty: str | None) -> None:
    ((passage,), _) = split(jsonl([json.dumps({"id": empty, "question": "q", "answer": "a"})]))
    assert passage.passage_id.startswith("q-")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"id": "x" * 201}, "id String should have at most 200 characters"),
        ({"id": True}, "id Input should be a valid string"),
        ({"id": [1]}, "id Input should be a valid string"),
        ({"question": "x" * 2001}, "question String should have at most 2000 characters"),
        ({"answer": "x" * 50_001}, "answer String should have at most 50000 characters"),
        ({"answer": "  \n"}, "answer is empty"),
        ({"answer": "🙂"}, "answer is empty"),
        ({"answer": None}, "answer is missing"),
        ({"question": None, "answer": ""}, "question is missing; answer is empty"),
        ({"url": "ftp://example.com"}, "url is no http(s) address"),
    ],
)
def test_a_bad_field_is_named_with_what_is_wrong(fields: dict[str, object], reason: str) -> None:
    assert reason_of(**fields) == reason


def test_lone_surrogates_and_controls_are_removed_from_every_field() -> None:
    line = (
        '{"id": "\\ud800i\\u0000d", "question": "q\\udfff?", "answer": "a\\ud83d b\\u001b[31m",'
        ' "tags": ["\\ud800t"], "alternatives": ["\\ud800alt"]}'
    )
    ((passage,), bad) = split(jsonl([line]))
    assert bad == []
    assert (passage.passage_id, passage.title, passage.text, passage.tags, passage.alternatives) == ("id", "q?", "a b", ("t",), ("alt",))
    json.dumps([passage.title, passage.text], ensure_ascii=False).encode()


def test_a_pair_of_surrogates_is_the_character_it_stands_for() -> None:
    ((passage,), _) = split(jsonl(['{"question": "q", "answer": "a \\ud83d\\ude42"}']))
    assert passage.text == "a 🙂"


def test_bad_jsonl_lines_are_reported_with_their_numbers_and_the_others_read() -> None:
    good = '{"question": "q%d", "answer": "a"}'
    passages, bad = split(jsonl([good % 1, "", "{", "[1]", "null", '"text"', good % 2, "\ufeffx", "\x00"]))
    assert [passage.title for passage in passages] == ["q1", "q2"]
    assert [line for line, _ in bad] == [3, 4, 5, 6, 8, 9]


def test_bad_input_67_json_that_is_no_list_is_refused() -> None:
    for text in ('{"question": "q", "answer": "a"}', '"x"', "1"):
        with pytest.raises(BadRowError, match="is no list of objects"):
            list(json_list(text))


def test_bad_input_67_broken_json_names_line_and_column() -> None:
    with pytest.raises(BadRowError, match=r"at line 2, column 34"):
        list(json_list('[{"question": "q", "answer": "a"},\n {"question": "r", "answer": "b" "x"}]'))


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_bad_input_67_nan_and_infinity_are_no_json(constant: str) -> None:
    _, bad = split(jsonl([f'{{"question": "q", "answer": "a", "extra": {constant}}}']))
    assert bad == [(1, f"holds {constant}, which is no JSON value")]
    with pytest.raises(BadRowError, match=f"holds {constant}"):
        list(json_list(f"[{constant}]"))


def test_bad_input_67_a_number_of_5_000_digits_is_a_bad_row() -> None:
    passages, bad = split(jsonl([f'{{"id": {"9" * 5000}, "question": "q", "answer": "a"}}', '{"question": "q", "answer": "a"}']))
    assert (len(passages), bad) == (1, [(1, "holds a number that is too long")])


def test_bad_input_67_a_key_that_comes_twice_is_a_bad_row() -> None:
    assert split(jsonl(['{"question": "q", "answer": "a", "answer": "b"}']))[1] == [(1, "has the key 'answer' twice")]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"question": 1}, "question Input should be a valid string"),
        ({"answer": ["a"]}, "answer Input should be a valid string"),
        ({"answer": {"text": "a"}}, "answer Input should be a valid string"),
        ({"alternatives": "one"}, "alternatives Input should be a valid list"),
        ({"alternatives": ["one", 2]}, "alternatives.1 Input should be a valid string"),
        ({"tags": {"a": 1}}, "tags Input should be a valid list"),
    ],
)
def test_bad_input_67_a_wrong_type_is_named(fields: dict[str, object], reason: str) -> None:
    assert reason_of(**fields) == reason


def test_bad_input_67_items_of_a_json_list_are_counted() -> None:
    passages, bad = split(json_list('[{"question": "q", "answer": "a"}, 5, {"question": "q"}]'))
    assert (len(passages), bad) == (1, [(2, "is no object with question and answer"), (3, "answer is missing")])


def test_yaml_rows_are_reported_at_their_line() -> None:
    passages, bad = split(yaml_list("# faq\n- question: q\n  answer: a\n\n- question: r\n- answer: 1\n- question: s\n  answer: b\n"))
    assert [passage.title for passage in passages] == ["q", "s"]
    assert [line for line, _ in bad] == [5, 6]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("{question: q, answer: !!python/object/apply:os.system [id]}", "is no plain YAML"),
        ("{question: q, question: r, answer: a}", "has the key 'question' twice"),
        ("{question: 2001-99-99, answer: a}", "is no plain YAML"),
        ("{[a]: b, question: q, answer: a}", "is no plain YAML"),
        ("{question: yes, answer: a}", "question Input should be a valid string"),
        (f"{{question: q, answer: a, id: {'9' * 5000}}}", "is no plain YAML"),
        ("&row {question: *row, answer: a}", "question Input should be a valid string"),
    ],
)
def test_a_yaml_row_that_is_not_plain_is_a_bad_row_and_the_next_one_is_read(row: str, reason: str) -> None:
    passages, ((line, found),) = split(yaml_list(f"- {row}\n- {{question: good, answer: a}}\n"))
    assert [passage.title for passage in passages] == ["good"]
    assert line == 1
    assert found.startswith(reason)


@pytest.mark.parametrize("text", ["a: b", "text", "- a\n---\n- b\n", "- 'open", "- a\x00b", "- [", "- *nowhere"])
def test_a_yaml_file_that_is_no_list_is_refused(text: str) -> None:
    with pytest.raises(BadRowError, match="YAML"):
        list(yaml_list(text))


def test_yaml_merges_of_merges_are_refused_before_they_grow() -> None:
    levels = "".join(f"- &a{n}\n  <<: [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
    with pytest.raises(BadRowError, match="merges mappings with << at line 3"):
        list(yaml_list("- &a0 {question: q, answer: a}\n" + levels))


def test_yaml_references_to_references_do_not_grow() -> None:
    levels = "".join(f"  b{n}: &b{n} [{','.join([f'*b{n - 1}'] * 9)}]\n" for n in range(1, 12))
    _, bad = split(yaml_list(f"- b0: &b0 [x]\n{levels}  question: q\n  answer: *b11\n"))
    assert bad == [(1, "answer Input should be a valid string")]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_csv_delimiter_and_line_end_are_found(delimiter: str, end: str) -> None:
    lines = [["question", "answer", "alternatives"], ["q", "a", "x| y ||q"], ["r", "b", ""]]
    passages, bad = csv_text(end.join(delimiter.join(line) for line in lines) + end)
    assert bad == []
    assert [(p.title, p.text, p.alternatives) for p in passages] == [("q", "a", ("x", "y")), ("r", "b", ())]


def test_csv_columns_are_found_by_name_in_any_order_and_case_behind_empty_lines() -> None:
    passages, bad = csv_text('\n\r\n "ANSWER" , Question ,extra\na,q,1\n'.replace(' "ANSWER" ', "ANSWER "))
    assert (bad, [(passage.title, passage.text) for passage in passages]) == ([], [("q", "a")])


def test_csv_lines_are_counted_through_empty_lines_and_quoted_line_ends() -> None:
    _, bad = csv_text('\nquestion,answer\n\n"q","a\nb\n\nc"\nbroken\n')
    assert bad == [(8, "answer is missing")]


def test_bad_input_66_missing_columns_are_named_with_the_ones_there_without_control_characters() -> None:
    with pytest.raises(BadRowError) as refusal:
        csv_text("frage,\x1b]0;owned\x07answer\nq,a\n")
    assert str(refusal.value) == "has no column question; its columns are frage, answer"


def test_bad_input_66_a_column_that_comes_twice_is_refused() -> None:
    with pytest.raises(BadRowError, match="'question' twice"):
        csv_text("question,answer,Question\nq,a,r\n")


def test_bad_input_66_a_quote_left_open_costs_its_line_and_not_the_rest() -> None:
    passages, bad = csv_text('question,answer\nq,"never closed\n' + "".join(f"q{n},a\n" for n in range(500)))
    assert len(passages) == 500
    assert [line for line, _ in bad] == [2]
    assert "quote left open" in bad[0][1]


def test_bad_input_66_rows_between_an_open_quote_and_the_next_one_are_reported_as_left_out() -> None:
    passages, bad = csv_text('question,answer\nq,"never closed\nr,b\ns,"c"\nt,d\n')
    assert [passage.title for passage in passages] == ["t"]
    assert [line for line, _ in bad] == [2]
    assert "Lines 2 to 4 were left out" in bad[0][1]


def test_a_quote_inside_a_csv_cell_is_a_character_and_opens_nothing() -> None:
    passages, bad = csv_text('question,answer\nHow big?,5" screen\nr,b\nAnd this?,7" screen\n')
    assert bad == []
    assert [passage.text for passage in passages] == ['5" screen', "b", '7" screen']


@pytest.mark.parametrize("cells", ["x" * 131_073, '"' + "x\n" * 65_536 + '"'], ids=["one line", "many lines"])
def test_bad_input_66_a_field_over_131_072_characters_is_a_bad_row(cells: str) -> None:
    passages, bad = csv_text(f"question,answer\nq,{cells}\nr,b\n")
    assert "r" in [passage.title for passage in passages]
    assert bad[0][0] == 2


def test_bad_input_66_nul_characters_are_removed() -> None:
    ((passage,), bad) = csv_text("question,answer\nq\x00?,a\x00b\n")
    assert (passage.title, passage.text, bad) == ("q?", "ab", [])


def test_bad_input_66_empty_answers_too_many_and_too_few_cells_are_bad_rows() -> None:
    passages, bad = csv_text("question,answer\nq,\nr\ns, \nt,u,v\nw,x\n")
    assert [passage.title for passage in passages] == ["w"]
    assert [(line, reason.split(";")[0]) for line, reason in bad] == [
        (2, "answer is missing"), (3, "answer is missing"), (4, "answer is empty"), (5, "has 3 cells, the header has 2"),
    ]  # fmt: skip


def test_bad_input_66_formulas_and_html_are_text() -> None:
    passages, bad = csv_text('question,answer\n"=HYPERLINK(""x"")",@SUM(1+1)\n<b>q</b>,<script>alert(1)</script>\n')
    assert bad == []
    assert [(p.title, p.text) for p in passages] == [('=HYPERLINK("x")', "@SUM(1+1)"), ("<b>q</b>", "<script>alert(1)</script>")]


CELL = st.text(st.sampled_from('ab",;\t\n 5'), max_size=12)


@given(st.lists(st.tuples(CELL, CELL), max_size=8), st.sampled_from(",;\t"))
def test_whatever_a_csv_writer_wrote_is_read_back(rows: list[tuple[str, str]], delimiter: str) -> None:
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=delimiter)
    writer.writerows([("question", "answer"), *rows])
    file.seek(0)
    passages, _ = split(csv_rows(file))
    expected = [(clean(q), clean(a)) for q, a in rows if says_something(q) and says_something(a)]
    assert [(passage.title, passage.text) for passage in passages] == expected


@given(st.text(st.characters(codec=None), max_size=200), st.sampled_from([csv_rows, jsonl]))
def test_no_text_at_all_breaks_a_reader(text: str, reader: object) -> None:
    content = ("question,answer\n" if reader is csv_rows else "") + text
    for row in (csv_rows if reader is csv_rows else jsonl)(io.StringIO(content, newline="")):
        assert isinstance(row, RowProblem) or row[1].text


@given(st.text(st.sampled_from("ab-:[]{}&*!|>'\"#%\n 1<,?"), max_size=60))
def test_no_yaml_breaks_the_reader(text: str) -> None:
    try:
        rows = list(yaml_list(text))
    except BadRowError:
        return
    assert all(isinstance(row, RowProblem) or row[1].text for row in rows)


FIELD = st.sampled_from(["question", "answer", "id", "url", "tags", "alternatives", "locale"])
SCALAR = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
JSON = st.recursive(SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELD, inner, max_size=7), max_leaves=12)


@given(JSON)
def test_any_json_value_is_a_row_or_a_reason(value: object) -> None:
    ((row),) = jsonl([json.dumps(value)])
    assert isinstance(row, RowProblem) or row[1].text


def test_the_longest_answer_fits_into_a_csv_row() -> None:
    ((passage,), bad) = csv_text(f'question,answer\nq,"{"a" * 50_000}"\n')
    assert (len(passage.text), bad) == (50_000, [])
    assert faq_rows.MAX_ROW_CHARS > 50_000
