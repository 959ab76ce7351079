"""Log lines: one record a line, nothing that a terminal would obey, and the ids of what the code was working for."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import text

from bot.telemetry import configure_logging
from core.storage.database import Database
from core.tracing import current_ids, log_context

FORMS = pytest.mark.parametrize("form", ["text", "json"])
logger = logging.getLogger("bot")


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before


def records(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def fail(reason: str) -> None:
    """Log a traceback that holds `reason`."""
    try:
        raise ValueError(reason)
    except ValueError:
        logger.exception("it failed")


@FORMS
def test_bad_input_18_an_escape_sequence_reaches_the_log_without_a_control_byte(capsys: pytest.CaptureFixture[str], form: str) -> None:
    configure_logging("INFO", form)
    hostile = "\x1b]0;owned\x07\x1b[31mred\x9b2J\r\n\x00\u202eback"
    with log_context(conversation_id=hostile):
        logger.warning("question %s", hostile)
        fail(hostile)
    written = capsys.readouterr().err
    shown = [written, *(str(value) for line in written.splitlines() if form == "json" for value in json.loads(line).values())]
    assert "owned" in written
    for told in shown:
        assert not any((ord(letter) < 32 and letter != "\n") or 127 <= ord(letter) < 160 or letter == "\u202e" for letter in told)


@FORMS
def test_a_text_of_two_lines_cannot_forge_a_second_record(capsys: pytest.CaptureFixture[str], form: str) -> None:
    configure_logging("INFO", form)
    logger.warning("question %s", 'x\n2026-01-01T00:00:00+0000 ERROR bot: all is lost\u2028{"level": "ERROR"}\n')
    assert len(capsys.readouterr().err.splitlines()) == 1


@FORMS
def test_a_traceback_stands_in_the_line_of_its_record(capsys: pytest.CaptureFixture[str], form: str) -> None:
    configure_logging("INFO", form)
    fail("for this\nreason")
    (line,) = capsys.readouterr().err.splitlines()
    assert "it failed" in line
    assert "ValueError: for this" in line
    assert "reason" in line


def test_the_traceback_of_a_json_record_is_a_field_of_its_own_with_its_lines(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", "json")
    fail("reason")
    (record,) = records(capsys)
    assert record["message"] == "it failed"
    assert record["traceback"].splitlines()[0] == "Traceback (most recent call last):"
    assert record["traceback"].splitlines()[-1] == "ValueError: reason"


def test_what_another_handler_made_of_a_traceback_does_not_reach_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", "text")
    first = logging.StreamHandler(io.StringIO())  # formats before ours, and leaves its text in the record
    logging.getLogger().handlers.insert(0, first)
    fail("\x1b[31mred")
    assert first.stream.getvalue().count("\x1b") == 1
    assert "\x1b" not in capsys.readouterr().err


def test_a_json_record_says_when_how_bad_who_and_what(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", "json")
    logging.getLogger("core.delivery").info("answered %d in %s", 3, "Zürich")
    (record,) = records(capsys)
    assert datetime.fromisoformat(record.pop("time")).utcoffset() is not None
    assert record == {"level": "INFO", "logger": "core.delivery", "message": "answered 3 in Zürich"}


def test_a_record_names_the_ids_of_the_block_it_was_written_in(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", "json")
    with log_context(workspace="w", conversation_id="c"):
        with log_context(turn_id="t"):
            logger.info("inner")
        logger.info("outer")
    logger.info("outside")
    always = {"time", "level", "logger", "message"}
    ids = [{name: record[name] for name in record.keys() - always} for record in records(capsys)]
    assert ids == [{"workspace": "w", "conversation_id": "c", "turn_id": "t"}, {"workspace": "w", "conversation_id": "c"}, {}]


async def test_conversations_that_are_answered_at_once_keep_their_own_ids() -> None:
    together = asyncio.Barrier(20)

    async def work(name: str) -> str:
        with log_context(conversation_id=name):
            await together.wait()
            return (await asyncio.to_thread(current_ids))["conversation_id"]

    names = [str(number) for number in range(20)]
    assert await asyncio.gather(*map(work, names)) == names
    assert current_ids() == {}


def test_ids_are_forgotten_when_the_block_fails() -> None:
    with pytest.raises(ValueError, match="x"), log_context(turn_id="t"):
        raise ValueError("x")
    assert current_ids() == {}


def test_a_pipe_gets_json(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO")
    logger.info("hello")
    assert records(capsys)[0]["message"] == "hello"


def test_a_terminal_gets_text(monkeypatch: pytest.MonkeyPatch) -> None:
    controller, terminal = os.openpty()
    with open(terminal, "w") as stderr, open(controller, "rb") as screen:  # noqa: PTH123  # they are descriptors
        monkeypatch.setattr(sys, "stderr", stderr)
        configure_logging("INFO")
        logger.info("hello")
        shown = screen.readline().decode()
    assert shown.endswith(" INFO bot: hello\r\n")


async def test_a_failing_statement_does_not_quote_what_a_customer_wrote(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", "json")
    written_by_a_customer = "my card is 4111-1111"
    try:
        async with database.write() as connection:
            await connection.execute(text("INSERT INTO nowhere VALUES (:text)"), {"text": written_by_a_customer})
    except Exception:
        logger.exception("it failed")
    logged = capsys.readouterr().err
    assert "nowhere" in logged
    assert written_by_a_customer not in logged


@pytest.mark.parametrize(
    "library",
    ["slack_sdk.web.async_client", "slack_sdk.socket", "slack_bolt.frontdesk", "aiohttp.client", "openai._base_client", "httpcore2.http11"],
)
def test_what_customers_said_in_slack_is_not_in_the_log_even_at_debug(capsys: pytest.CaptureFixture[str], library: str) -> None:
    configure_logging("DEBUG", "json")
    logging.getLogger(library).debug("Received a new message: %s", "canary-words")
    assert capsys.readouterr().err == ""


def test_libraries_speak_from_warnings_on(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("DEBUG", "json")
    logging.getLogger("httpx").info("GET /customers/1")
    logging.getLogger("bm25s.index").setLevel("DEBUG")
    logging.getLogger("bm25s.index").debug("building")
    logging.getLogger("httpx").warning("slow")
    assert [record["message"] for record in records(capsys)] == ["slow"]
