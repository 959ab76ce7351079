"""The command line: results on stdout, one clear line on stderr, and the exit status that scripts rely on."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bot.cli import cli
from bot.commands.doctor import clock_check
from bot.settings import read
from core.domain import Actor, Address, Decision, InboundMessage, Lineage, Reason, Reply, utc_now
from core.storage.database import Database, newest_revision
from core.storage.inbox import SqlInbox
from core.storage.outbox import SqlOutbox
from tests.servers.openai import ModelServer
from tests.servers.processes import ROOT

FAQ = [
    {"id": "pay", "question": "How can I pay?", "answer": "By card.", "alternatives": ["payment methods", "do you take cards"]},
    {
        "id": "ship",
        "question": "How long does shipping take?",
        "answer": "Three days.",
        "alternatives": ["delivery time", "when will it arrive"],
    },
    {"id": "back", "question": "How do I return an item?", "answer": "By post.", "alternatives": ["send it back", "return a parcel"]},
]


@pytest.fixture(autouse=True)
def _no_language_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRONTDESK_MODEL", "extractive")


@pytest.fixture
def faq() -> Path:
    return write("faq.jsonl", FAQ)


def write(name: str, rows: list[dict[str, Any]]) -> Path:
    path = Path(name)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def run(*arguments: str) -> Result:
    """Run in this process: the model libraries are imported once for all tests."""
    return CliRunner().invoke(cli, list(arguments), catch_exceptions=False)


def document(*arguments: str) -> Any:
    """Run with --json and return the one document on stdout."""
    done = run(*arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def shell(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run as a person does."""
    command = [sys.executable, "-m", "bot", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment())


def environment() -> dict[str, str]:
    import os

    return os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent.parent)}


def test_import_publish_search_list_and_rollback_in_a_row(faq: Path) -> None:
    (imported,) = document("knowledge", "import", str(faq))
    assert (imported["added"], imported["problems"]) == (3, [])
    first = document("knowledge", "publish")["version"]
    assert document("knowledge", "search", "when does it arrive?")[0]["passage_id"] == "ship"
    write("faq.jsonl", FAQ[:2])
    assert document("knowledge", "import", str(faq))[0]["removed"] == 1
    second = document("knowledge", "publish")["version"]
    assert "back" not in {hit["passage_id"] for hit in document("knowledge", "search", "send it back")}, "answers from a deleted row"
    assert [(row["version"], row["active"]) for row in document("knowledge", "list")] == [(second, True), (first, False)]
    assert first in run("knowledge", "rollback").stdout
    assert "back" in {hit["passage_id"] for hit in document("knowledge", "search", "send it back")}


def test_a_dry_run_reports_and_changes_nothing(faq: Path) -> None:
    faq.write_text(faq.read_text() + '{"question": "no answer"}\n')
    (imported,) = document("knowledge", "import", str(faq), "--dry-run")
    assert [problem["line"] for problem in imported["problems"]] == [4]
    assert "frontdesk knowledge import" in shell("knowledge", "publish").stderr


def test_bad_rows_are_reported_with_file_line_and_reason_and_good_ones_kept(faq: Path) -> None:
    faq.write_text('{"question": "?"}\n' + faq.read_text())
    done = run("knowledge", "import", str(faq))
    assert "faq.jsonl line 1: " in done.stderr
    assert "answer is missing" in done.stderr
    assert document("knowledge", "publish")["passages"] == 3


def test_strict_takes_all_or_nothing(faq: Path) -> None:
    faq.write_text(faq.read_text() + '{"question": "no answer"}\n')
    done = shell("knowledge", "import", "--strict", str(faq))
    assert (done.returncode, done.stdout) == (1, "")
    assert "line 4" in done.stderr
    assert "empty" in shell("knowledge", "publish").stderr


def test_a_file_gone_from_an_imported_folder_is_forgotten(faq: Path) -> None:
    folder = Path("docs")
    folder.mkdir()
    (folder / "a.md").write_text("# Opening hours\nMonday to Friday.")
    (folder / "b.md").write_text("# Parking\nBehind the house.")
    document("knowledge", "import", "docs")
    (folder / "b.md").unlink()
    assert sum(one["removed"] for one in document("knowledge", "import", "docs")) == 1
    assert document("knowledge", "publish")["passages"] == 1


def test_evaluate_prints_every_figure_under_its_key(faq: Path) -> None:
    run("knowledge", "import", str(faq))
    run("knowledge", "publish")
    questions = write("retrieval.jsonl", [{"question": "how to pay", "relevant": ["pay"]}, {"question": "return it", "relevant": ["back"]}])
    figures = document("evaluate", "retrieval", str(questions))
    assert {"recall@1", "recall@5", "recall@10", "mrr@10", "ndcg@10", "questions_per_s", "n", "versions"} == set(figures)
    assert (figures["recall@1"], figures["n"]) == (1.0, 2)
    routes = write("routing.jsonl", [{"question": "how to pay", "expected": "pay"}, {"question": "capital of France", "expected": None}])
    figures = document("evaluate", "routing", str(routes))
    keys = {
        "accuracy",
        "in_scope_accuracy",
        "out_of_scope_recall",
        "mcc",
        "coverage",
        "precision",
        "calibration_error",
        "curve",
        "n",
        "versions",
    }
    assert keys == set(figures)
    assert figures["out_of_scope_recall"] == 1.0


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "line 2"),
        ('{"question": "x"}', "relevant"),
        ("[]", "line 2"),
        ('{"question": 1, "relevant": []}', "question"),
        ('{"question": "x", "relevant": []}', "no relevant id"),
    ],
)
def test_a_wrong_labelled_file_is_named_with_its_line(line: str, told: str) -> None:
    Path("labels.jsonl").write_text('{"question": "x", "relevant": ["pay"]}\n' + line + "\n")
    done = shell("evaluate", "retrieval", "labels.jsonl")
    assert (done.returncode, told in done.stderr, "Traceback" in done.stderr) == (1, True, False)


def test_doctor_says_what_is_fine_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    found = document("doctor")
    names = {"settings", "disk", "database", "clock", "dead letters", "knowledge", "embedder", "model", "console"}
    assert {check["name"] for check in found["checks"]} == names
    assert found["ok"]
    monkeypatch.setenv("FRONTDESK_EMBEDDER", "nobody/nothing")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    done = run("doctor", "--json")
    (embedder,) = (check for check in json.loads(done.stdout)["checks"] if check["name"] == "embedder")
    assert (done.exit_code, embedder["ok"]) == (1, False)
    assert "local folder" in embedder["detail"]


async def doctor(**settings: str) -> dict[str, Any]:
    """What the doctor finds with more settings, in a process of its own: this one serves what it looks at."""
    environment = os.environ | {f"FRONTDESK_{name.upper()}": value for name, value in settings.items()} | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "bot", "doctor", "--json"]
    process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    return dict(json.loads(out))


async def test_doctor_names_each_server_of_a_remote_model_that_does_not_answer_or_serve_it() -> None:
    good, other, gone = ModelServer(), ModelServer(models=("supper",)), ModelServer()
    async with good, other, gone:
        await gone.stop()
        urls = [server.url for server in (good, other, gone)]
        found = await doctor(model="remote:support", remote__urls=",".join(urls))
    endpoints = [(check["ok"], check["detail"]) for check in found["checks"] if check["name"] == "endpoint"]
    assert [ok for ok, _ in endpoints] == [True, False, False]
    assert [url in detail for url, (_, detail) in zip(urls, endpoints, strict=True)] == [True, True, True]
    assert "did you mean 'supper'?" in endpoints[1][1] and "Is the server running?" in endpoints[2][1]


def test_doctor_tells_how_many_messages_and_replies_were_given_up_on_and_where_to_look() -> None:
    reply = Reply(Decision.HANDOFF, Reason.FAILED, "Sorry.", (), 0.0, Lineage("m", "i", "p", "e", "policy"))

    async def give_up() -> None:
        database = Database(read().database)
        await database.upgrade()
        box, out = SqlInbox(database), SqlOutbox(database)
        await box.accept(InboundMessage("m1", Address("test", "w", "c", "t"), Actor("ann"), "poison"))
        claim = await box.claim(60)
        assert claim is not None
        await box.bury(claim, "it explodes", reply)
        delivery = await out.claim(["test"], 60)
        assert delivery is not None
        await out.bury(delivery, "channel is archived")
        await database.close()

    asyncio.run(give_up())
    done = run("doctor", "--json")
    (letters,) = (check for check in json.loads(done.stdout)["checks"] if check["name"] == "dead letters")
    assert (done.exit_code, letters["ok"]) == (1, False)
    for told in ("1 messages and 1 replies", "last_error", "inbox and outbox"):
        assert told in letters["detail"]


@pytest.mark.parametrize(("seconds", "ok", "told"), [(1.9, True, "agree"), (4, False, "4.0 s ahead"), (-4, False, "4.0 s behind")])
def test_doctor_notices_a_database_clock_that_is_off_by_more_than_two_seconds(seconds: float, ok: bool, told: str) -> None:
    before = utc_now()
    check = clock_check(before + timedelta(seconds=seconds), before, before)
    assert (check.ok, told in check.detail, ok or "NTP" in check.detail) == (ok, True, True)


def test_database_commands_tell_the_migration() -> None:
    assert "no migration" in run("db", "current").stdout
    run("db", "upgrade")
    assert run("db", "current").stdout.strip() == newest_revision()


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["knowledge", "import", "missing.csv"], 1, "missing.csv"),
        (["knowledge", "import", "faq.docx"], 1, "faq.docx"),
        (["knowledge", "publish", "--knowledge", "none"], 1, "frontdesk knowledge import"),
        (["knowledge", "rollback"], 1, "no older version"),
        (["knowledge", "rollback", "abc"], 1, "frontdesk knowledge list"),
        (["ask", "x", "--knowledge", "none"], 1, "frontdesk knowledge publish"),
        (["evaluate", "retrieval", "missing.jsonl"], 2, "missing.jsonl"),
        (["knowledge", "improt"], 2, "improt"),
        (["models", "show", "nobody@1"], 1, "frontdesk models list"),
        (["models", "import"], 2, "SOURCE"),
        (["ask"], 2, "QUESTION"),
        (["run", "--port", "99999"], 2, "99999"),
    ],
)
def test_a_mistake_is_one_clear_line_and_never_a_traceback(arguments: list[str], status: int, told: str) -> None:
    Path("faq.docx").write_text("x")
    done = shell(*arguments)
    assert (done.returncode, done.stdout) == (status, "")
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_setting_stops_every_command_with_the_nearest_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRONTDESK_PROT", "9000")
    done = shell("db", "current")
    assert (done.returncode, done.stderr) == (1, "frontdesk: Unknown setting FRONTDESK_PROT. Did you mean FRONTDESK_PORT?\n")


def test_an_unwritable_data_folder_and_an_unreachable_database_are_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("file").write_text("x")
    monkeypatch.setenv("FRONTDESK_DATA_DIR", "file/data")
    done = shell("knowledge", "list")
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    monkeypatch.setenv("FRONTDESK_DATABASE_URL", "postgresql://user:hunter2@127.0.0.1:1/db")
    done = shell("knowledge", "list")
    assert (done.returncode, "Traceback" in done.stderr, "hunter2" in done.stderr) == (1, False, False)
