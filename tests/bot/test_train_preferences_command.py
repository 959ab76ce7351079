"""`frontdesk train preferences`, from corrections and thumbs to a version that goes on from the one that serves."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.bootstrap import Frontdesk, frontdesk
from bot.settings import read
from core.corrections import Cause, CorrectionDraft, Ruling, State
from core.domain import Address, Citation, Decision, Hit, Lineage, Passage, Reason, Reply
from core.errors import FrontdeskError, TrainingError
from core.feedback import Feedback
from core.registry import Alias, Kind, Step
from core.training.dataset import NOT_ALLOWED
from core.training.pairs import QUOTED
from tests.bot.test_cli import document, run, write
from tests.bot.test_train_command import ROWS
from tests.contracts.counter import SqlCounter
from tests.core.serving import tiny

RECIPE = """
rank = 4
epochs = 1
looks = 3
batch = 2
learning_rate = 0.005
max_length = 4096
precision = "float32"
held_out = 0.3
"""
HERE = Address("web", "w", "c", "t")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")]


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A tiny model that serves a FAQ."""
    monkeypatch.setenv("FRONTDESK_MODEL", "")
    run("knowledge", "import", str(write("faq.jsonl", ROWS)))
    run("knowledge", "publish")
    base: str = document("models", "import", str(tiny.save(tmp_path / "base")))["model_id"]
    asyncio.run(_promote(base))
    return base


async def _promote(version: str) -> None:
    async with frontdesk(read(), lambda line: None) as graph:
        await graph.model_registry.assign(Kind.GENERATOR, Alias.CHAMPION, version, Step.PROMOTE, "ann")


def test_bad_input_a_prefix_is_no_adapter_to_go_on_from(served: str, tmp_path: Path) -> None:
    from peft import PrefixTuningConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    get_peft_model(base, PrefixTuningConfig(num_virtual_tokens=4, task_type="CAUSAL_LM")).save_pretrained(tmp_path / "prefix")
    told = json.loads((tmp_path / "prefix" / "adapter_config.json").read_text())
    (tmp_path / "prefix" / "adapter_config.json").write_text(json.dumps(told | {"base_model_name_or_path": served}))
    made = document("models", "import", str(tmp_path / "prefix"), "--base", served)["model_id"]
    with pytest.raises(TrainingError, match=rf"{made} is a prefix, and preferences go on from a LoRA or a whole model"):
        run("train", "preferences", "--base", made)


def recipe(method: str) -> str:
    accumulation = 8 if method == "spin" else 1  # how many answers are written at once, too
    Path("recipe.toml").write_text(f'method = "{method}"\naccumulation = {accumulation}\n{RECIPE}', encoding="utf-8")
    return "recipe.toml"


def written(row: dict[str, Any], text: str) -> Reply:
    """What a model wrote, from the passage of a row."""
    passage = Passage(row["id"], row["id"], row["question"], row["answer"])
    cited, lineage = (Citation(row["id"], "", None, 0.9),), Lineage("some@1", "i", "p", "e", "policy")
    return Reply(Decision.ANSWER, Reason.COMPOSED, f"{text} [1]", cited, 0.9, lineage, hits=(Hit(passage, 0.9),))


async def _corrected(state: State, reason: Reason, address: Address, own_words: bool) -> None:
    async with frontdesk(read(), lambda line: None) as graph:
        counter = SqlCounter(graph.database)
        for row in ROWS:
            reply = replace(written(row, "No idea, call 555."), reason=reason)
            turn_id = await counter.ask(row["question"], replace(address, channel_id=f"{state}-{row['id']}"), reply=reply)
            draft = CorrectionDraft(turn_id, row["question"], row["answer"], Cause.WRONG_TEXT, "ann", "console", own_words=own_words)
            correction_id = await counter.corrections.propose(replace(draft, platform=address.platform, workspace_id="w"))
            if state is not State.PENDING:
                await counter.corrections.decide(correction_id, 1, Ruling(state, "bob", "", "default", await _kept(graph, row["id"])))


async def _kept(graph: Frontdesk, passage_id: str) -> Passage:
    entry = await graph.knowledge_store.entry("default", passage_id)
    assert entry is not None
    return entry.passage


def corrected(state: State = State.APPROVED, reason: Reason = Reason.COMPOSED, address: Address = HERE, *, own_words: bool = False) -> None:
    """Each answer of the bot was wrong and has been corrected."""
    asyncio.run(_corrected(state, reason, address, own_words))


async def _judged(*liked: bool) -> None:
    async with frontdesk(read(), lambda line: None) as graph:
        counter = SqlCounter(graph.database)
        for number, row in enumerate(ROWS):
            helpful = liked[number % len(liked)]
            turn_id = await counter.ask(
                row["question"], replace(HERE, channel_id=f"judged-{number}"), reply=written(row, row["answer"] if helpful else "No idea.")
            )
            await counter.feedback.give(Feedback(turn_id, "ann", helpful=helpful))


async def _trace() -> list[tuple[str, str]]:
    async with frontdesk(read(), lambda line: None) as graph:
        return [(one.action, one.result) for one in await graph.audit_log.entries(20) if one.action == "train.preferences"]


def test_each_method_goes_on_from_what_serves_and_makes_a_version_of_its_own(served: str, tmp_path: Path) -> None:
    corrected()
    asyncio.run(_judged(True, False))
    serves = served
    for method, told in (("dpo", "| source: correction |"), ("kto", "| disliked |"), ("spin", "| source: faq |")):
        found = document("train", "preferences", "--recipe", recipe(method), "--out", str(tmp_path / method))
        assert (found["start"], found["base"]) == (serves, served)
        assert found["after"] < found["before"] and found["margin"] > 0 and found["train"] >= 8
        serves = document("models", "import", str(tmp_path / method))["model_id"]
        shown = document("models", "show", serves)
        assert shown["base"].endswith(served) and shown["dataset_sha256"] == found["dataset_sha256"]
        assert shown["recipe"].startswith(f"method={method} ") and "rank=4" in shown["recipe"]
        assert (f"start={found['start']} code=" in shown["recipe"]) == (found["start"] != served)
        assert shown["scores"]["preference_margin"] == found["margin"] and "preference_loss" in shown["scores"]
        assert told in (tmp_path / method / "README.md").read_text()
        asyncio.run(_promote(serves))
    assert asyncio.run(_trace()) == [("train.preferences", "done")] * 3


def test_bad_input_nothing_to_prefer_says_what_to_do_and_leaves_a_trace(served: str) -> None:
    with pytest.raises(TrainingError, match=r"0 pairs to learn from .* approve more, or .*spin"):
        run("train", "preferences")
    corrected(State.PENDING)
    with pytest.raises(TrainingError, match=r"0 pairs to learn from"):  # nobody has approved them
        run("train", "preferences")
    corrected(State.REJECTED)
    with pytest.raises(TrainingError, match=r"0 pairs to learn from"):
        run("train", "preferences")
    corrected(reason=Reason.QUOTED)
    with pytest.raises(TrainingError, match=rf"0 pairs to learn from .* \({len(ROWS)} left out: {QUOTED}"):
        run("train", "preferences")
    with pytest.raises(TrainingError, match=r"There are no thumbs"):
        run("train", "preferences", "--recipe", recipe("kto"))
    asyncio.run(_judged(False))
    with pytest.raises(TrainingError, match=r"judged answers are 👎: .* Wait until some are 👍"):
        run("train", "preferences", "--recipe", recipe("kto"))
    with pytest.raises(TrainingError, match=r"'sft', not dpo or kto or spin\. Run: frontdesk train answers"):
        run("train", "preferences", "--recipe", recipe("sft"))
    with pytest.raises(TrainingError, match=r"'dpo', not sft\. Run: frontdesk train preferences"):
        run("train", "answers", "--recipe", recipe("dpo"))
    with pytest.raises(FrontdeskError, match=r"'extractive' cannot be trained"):
        run("train", "preferences", "--base", "extractive")
    assert asyncio.run(_trace()) == [("train.preferences", "refused")] * 7


def test_bad_input_words_of_customers_who_may_not_be_used_and_of_those_who_are_erased_make_no_pair(served: str) -> None:
    corrected(address=replace(HERE, platform="slack"), own_words=True)
    with pytest.raises(TrainingError, match=rf"0 pairs to learn from .* \({len(ROWS)} left out: {NOT_ALLOWED}"):
        run("train", "preferences")
    corrected()
    assert run("privacy", "erase", "--user", "web:w:ann", "--yes").exit_code == 0
    with pytest.raises(TrainingError, match=rf"0 pairs to learn from .* \({len(ROWS)} left out: {NOT_ALLOWED}"):
        run("train", "preferences")
