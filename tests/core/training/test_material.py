"""Examples from the FAQ, their two parts, and data that nothing can be learnt from."""

from __future__ import annotations

import json
import re
from collections import Counter
from importlib.resources import files
from typing import Any

import pytest

from core import prompting
from core.dialogue.grounding import ground
from core.domain import Generation, Hit, Passage
from core.errors import TrainingError
from core.examples import Example
from core.text import fold
from core.training import parts, split
from core.training.dataset import NOTHING_LEFT, Builder, Dataset
from core.training.faq import FaqExamples

SHIPPED = [json.loads(line) for line in (files("core.training") / "shipped" / "faq.jsonl").read_text("utf-8").splitlines()]
FAQ = tuple(Passage(row["id"], row["id"], row["question"], row["answer"], tuple(row["alternatives"])) for row in SHIPPED)


async def examples(passages: tuple[Passage, ...] = FAQ) -> tuple[Example, ...]:
    async def kept() -> tuple[Passage, ...]:
        return passages

    return await FaqExamples(kept).examples()


async def built(passages: tuple[Passage, ...] = FAQ, share: float = 0.2) -> tuple[Dataset, frozenset[str]]:
    async def find(question: str) -> tuple[Hit, ...]:
        start = sum(map(ord, question)) % len(passages)
        return tuple(Hit(passage, 0.5) for passage in (*passages[start:], *passages[:start])[:5])

    async def kept(passage_id: str) -> Passage | None:
        return next((passage for passage in passages if passage.passage_id == passage_id), None)

    found = await examples(passages)
    held_out = split.held_out(found, share)
    return await Builder(find, kept, frozenset(), 0.15, held_out).build(found), held_out


async def test_every_wording_is_an_example_and_some_have_to_be_answered_without_their_row() -> None:
    found = await examples()
    assert len(found) == sum(1 + len(row["alternatives"]) for row in SHIPPED)
    withheld = [one for one in found if one.withheld]
    assert 0.06 < len(withheld) / len(found) < 0.15
    assert all(not one.answer and not one.passage_id for one in withheld)
    assert await examples() == found


async def test_the_right_answers_are_such_that_the_output_guard_lets_them_pass() -> None:
    dataset, _ = await built()
    for row in dataset.rows:
        number, answer = row["meta"]["passage_id"], row["messages"][-1]["content"]
        if number is None:
            assert prompting.abstains(answer)
            continue
        gold = next(passage for passage in FAQ if passage.passage_id == number)
        prompt = prompting.build("And?", (gold,))
        assert ground(Generation(answer, "m"), prompt) is not None, answer
        assert answer.count("[") >= 1 and answer.endswith("]")


async def test_distractors_stand_before_and_behind_the_right_passage_and_a_withheld_one_stands_nowhere() -> None:
    dataset, _ = await built()
    numbers = Counter(row["messages"][-1]["content"][-2] for row in dataset.rows if row["meta"]["passage_id"])
    assert numbers["1"] > numbers["2"] > numbers["3"] > 0
    by_id = {passage.passage_id: passage for passage in FAQ}
    for row in dataset.rows:
        if not row["meta"]["passage_id"]:
            assert f"] {by_id[row['meta']['group']].title}\n" not in row["messages"][-2]["content"]


def test_a_long_passage_is_answered_with_the_whole_sentences_that_a_prompt_shows_of_it() -> None:
    passage = Passage("p", "p", "How?", " ".join(f"This is sentence number {number} of it." for number in range(40)))
    shown = prompting.shown(passage)
    assert not shown.endswith(".")


async def test_what_is_withheld_with_nothing_beside_it_is_left_out() -> None:
    async def find(_question: str) -> tuple[Hit, ...]:
        return (Hit(FAQ[0], 0.9),)

    async def kept(_passage_id: str) -> Passage | None:
        return None

    example = Example("e", "What?", "", "faq", "knowledge", own_words=False, withheld=FAQ[0].passage_id)
    dataset = await Builder(find, kept, frozenset(), 0.15).build([example])
    assert (dataset.rows, dataset.left_out) == ([], {NOTHING_LEFT: 1})


def test_the_mark_comes_after_the_first_sentence_and_at_the_end() -> None:
    assert prompting.cited("It takes 4 days.", 2) == "It takes 4 days. [2]"
    assert prompting.cited("It takes four days. Then call us. Bye.", 1) == "It takes four days. [1] Then call us. Bye. [1]"
    assert prompting.cited("1. Open the menu now. 2. Go", 1) == "1. Open the menu now. [1] 2. Go [1]"


async def test_parts_share_no_group_no_question_and_no_answer_and_passages_that_judge_are_in_no_other_prompt() -> None:
    dataset, held_out = await built()
    found = parts.parts(dataset, held_out)
    train, judged = ({row["meta"]["group"] for row in part} for part in (found.train, found.held_out))
    assert train.isdisjoint(judged) and judged <= held_out
    titles = {passage.title for passage in FAQ if passage.passage_id in held_out}
    assert not any(f"] {title}\n" in row["messages"][-2]["content"] for row in found.train for title in titles)
    assert 0.1 < len(found.held_out) / len(dataset.rows) < 0.3


async def test_a_row_that_comes_later_moves_no_other_to_the_other_side() -> None:
    before = split.held_out(await examples(FAQ[:100]), 0.2)
    after = split.held_out(await examples(FAQ), 0.2)
    assert before == {group for group in after if group in {passage.passage_id for passage in FAQ[:100]}}


def test_near_duplicates_are_one_cluster_and_others_are_not() -> None:
    texts = {
        "a": "How long does delivery take? It takes three days within the country.",
        "b": "how long does a delivery take? It takes three days within the country",
        "c": "How do I cancel my order? Press Cancel in your account.",
    }
    assert split.clusters(texts) == {"a": "a", "b": "a", "c": "c"}


async def test_clusters_miss_none_of_those_that_comparing_all_pairs_would_find() -> None:
    texts = {passage.passage_id: f"{passage.title} {passage.text}" for passage in FAQ} | {
        f"copy-{passage.passage_id}": f"{passage.title} {' '.join(passage.text.split()[:-2])}" for passage in FAQ[::7]
    }
    leaders = split.clusters(texts)
    bags = {name: frozenset(fold(text).lower().split()) for name, text in texts.items()}
    long = [passage.passage_id for passage in FAQ[::7] if len(bags[passage.passage_id]) > 20]
    assert long and all(leaders[f"copy-{passage_id}"] == leaders[passage_id] for passage_id in long)
    assert len(set(leaders.values())) >= len(FAQ) - 2


async def test_the_hash_of_a_dataset_changes_with_any_row() -> None:
    dataset, held_out = await built()
    found = parts.parts(dataset, held_out)
    assert found.sha256 == parts.parts(dataset, held_out).sha256
    assert found._replace(train=found.train[1:]).sha256 != found.sha256


async def test_what_would_be_judged_though_it_is_learnt_elsewhere_is_left_out() -> None:
    dataset, held_out = await built()
    found = parts.parts(dataset, held_out)
    twin = json.loads(json.dumps(found.train[0]))
    twin["meta"]["group"] = found.held_out[0]["meta"]["group"]
    again = parts.parts(Dataset([*dataset.rows, twin], dataset.left_out), held_out)
    assert again.left_out[parts.LEAKED] == found.left_out[parts.LEAKED] + 1


async def test_bad_input_no_data_or_hardly_any_is_refused_with_what_to_do() -> None:
    dataset, held_out = await built()
    found = parts.parts(dataset, held_out)
    for useless in (parts.Parts((), (), Counter()), found._replace(train=found.train[:3]), found._replace(held_out=())):
        with pytest.raises(TrainingError, match=r"examples to learn from .* Import more FAQ rows, or approve more corrections"):
            parts.refuse_useless(useless)
    parts.refuse_useless(found)


async def test_bad_input_one_sided_data_is_refused() -> None:
    dataset, held_out = await built()
    found = parts.parts(dataset, held_out)
    silent = tuple(replace_answer(row, prompting.ABSTENTION) for row in found.train)
    with pytest.raises(TrainingError, match=r"\d+ of \d+ answers abstain: .* Add examples with other answers"):
        parts.refuse_useless(found._replace(train=silent))
    same = tuple(replace_answer(row, "Please call us. [1]") for row in found.train)
    with pytest.raises(TrainingError, match="answers are the same"):
        parts.refuse_useless(found._replace(train=same))


async def test_bad_input_conflicting_answers_are_told() -> None:
    dataset, _ = await built(FAQ[:20])
    row = next(row for row in dataset.rows if row["meta"]["passage_id"])
    assert parts.conflicts([row, replace_answer(row, "Something else. [1]")]) and not parts.conflicts([row, row])


async def test_the_faq_that_is_shipped_contradicts_itself_nowhere() -> None:
    dataset, _ = await built()
    assert parts.settled(dataset) == dataset and dataset.prompts  # by which runs are compared


async def test_bad_input_conflicting_answers_of_the_faq_are_left_out_and_counted() -> None:
    dataset, _ = await built(FAQ[:20])
    faq = next(row for row in dataset.rows if row["meta"]["passage_id"])
    found = parts.settled(Dataset([*dataset.rows, said(faq, "faq", "other", "Something else. [1]")]))
    assert faq not in found.rows and len(found.rows) == len(dataset.rows) - 1
    assert found.left_out == {parts.CONTRADICTED: 2}


async def test_bad_input_conflicting_answers_of_corrections_are_refused_with_the_questions_and_what_to_do() -> None:
    dataset, _ = await built(FAQ[:20])
    faq = next(row for row in dataset.rows if row["meta"]["passage_id"])
    one, other = said(faq, "correction", "shipping", "Yes, it does. [1]"), said(faq, "correction", "returns", "No, never. [1]")
    with pytest.raises(
        TrainingError, match=r"answer 1 question differently: '.+' \(FAQ rows returns, shipping\).*Take the FAQ row"
    ) as told:
        parts.settled(Dataset([*dataset.rows, one, other]))
    assert parts._question(faq) in str(told.value)
    theirs = one | {"meta": one["meta"] | {"own_words": True}}
    with pytest.raises(TrainingError, match=r"differently: a customer's question \(FAQ rows returns, shipping\)") as told:
        parts.settled(Dataset([*dataset.rows, theirs, other]))
    assert parts._question(faq) not in str(told.value)


async def test_bad_input_conflicting_answers_are_settled_for_whoever_knows_better() -> None:
    dataset, _ = await built(FAQ[:20])
    faq = next(row for row in dataset.rows if row["meta"]["passage_id"])
    older, newer = (said(faq, "correction", "p", f"{answer} [1]") for answer in ("By post.", "By courier."))
    reviewed = [said(faq, "review", "p", f"{answer} [1]") for answer in ("By pigeon.", "By train.")]
    for rows, believed in (
        ([faq, older, newer, *reviewed], [newer]),
        ([faq, *reviewed], [faq]),
        (reviewed, reviewed[1:]),
        ([faq, said(faq, "review", "p", faq["messages"][-1]["content"])], None),
    ):
        assert parts.settled(Dataset(list(rows))).rows == (rows if believed is None else believed)


async def test_answers_of_one_conversation_are_on_one_side() -> None:
    dataset, held_out = await built()
    before = parts.parts(dataset, held_out)
    judged, learnt = before.held_out[0], before.train[:2]
    for number, row in enumerate((judged, *learnt)):
        row["meta"]["conversation"] = "c1" if number < 2 else "c2"
    found = parts.parts(dataset, held_out)
    assert found.held_out == before.held_out
    assert found.train == before.train[1:]
    assert found.left_out[parts.SPLIT] == 1


def said(row: dict[str, Any], source: str, passage_id: str, answer: str) -> dict[str, Any]:
    """The question of a row as somebody else answers it, from another passage."""
    meta = {**row["meta"], "source": source, "passage_id": passage_id, "id": f"{source} {passage_id} {answer}"}
    return replace_answer({**row, "meta": meta}, answer)


def replace_answer(row: dict[str, object], answer: str) -> dict[str, object]:
    return {**row, "messages": [*row["messages"][:-1], {"role": "assistant", "content": answer}]}  # type: ignore[index]


def test_the_shipped_faq_is_of_imaginary_companies_and_of_no_data_to_measure_with() -> None:
    assert len(SHIPPED) > 100
    assert len({row["id"] for row in SHIPPED}) == len(SHIPPED)
    assert all("example" in address for row in SHIPPED for address in re.findall(r"[\w.]+@[\w.-]+\.\w+", row["answer"]))
