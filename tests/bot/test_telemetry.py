"""Log lines: one record a line, nothing that a terminal would obey."""

from __future__ import annotations

import logging

import pytest

from bot.telemetry import configure_logging


@pytest.fixture(autouse=True)
def _logging_as_before() -> object:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before


def test_bad_input_18_an_escape_sequence_reaches_the_log_without_a_control_byte(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO")
    logging.getLogger("bot").warning("question %s", "\x1b]0;owned\x07\x1b[31mred\x9b2J\r\n\x00")
    line = capsys.readouterr().err
    assert "owned" in line
    assert not any((ord(character) < 32 and character != "\n") or 127 <= ord(character) < 160 for character in line)


def test_a_text_of_two_lines_cannot_forge_a_second_record(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO")
    logging.getLogger("bot").warning("question %s", "x\n2026-01-01T00:00:00+0000 ERROR bot: all is lost")
    assert len(capsys.readouterr().err.splitlines()) == 1
