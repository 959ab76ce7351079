"""Settings: environment over file, secrets from files, and errors that name the nearest known setting."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot import settings
from core.errors import SettingsError


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("frontdesk.toml").write_text('port = 9000\nhost = "::1"\n[policy]\nanswer = 0.7\n')
    monkeypatch.setenv("FRONTDESK_PORT", "9001")
    read = settings.read()
    assert (read.port, read.host, read.policy.answer, read.policy.direct) == (9001, "::1", 0.7, 0.85)


def test_nested_settings_have_two_underscores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRONTDESK_POLICY__ANSWER", "0.7")
    assert settings.read().policy.answer == 0.7


def test_a_secret_is_read_from_the_file_it_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "url").write_text("postgresql://u:p@h/d\n")
    monkeypatch.setenv("FRONTDESK_DATABASE_URL_FILE", str(tmp_path / "url"))
    assert settings.read().database == "postgresql://u:p@h/d"


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("FRONTDESK_PROT", "1", "Did you mean FRONTDESK_PORT?"),
        ("FRONTDESK_POLICY__ANSWR", "1", "Did you mean FRONTDESK_POLICY__ANSWER?"),
        ("FRONTDESK_PORT", "70000", "port"),
        ("FRONTDESK_PORT", "high", "port"),
        ("FRONTDESK_POLICY__ANSWER", "1.5", "policy.answer"),
        ("FRONTDESK_DEVICE", "tpu", "device"),
        ("FRONTDESK_DATABASE_URL_FILE", "/nowhere/url", "/nowhere/url"),
        ("FRONTDESK_CONFIG", "/nowhere/frontdesk.toml", "/nowhere/frontdesk.toml"),
    ],
)
def test_a_wrong_variable_is_an_error_that_says_which_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, told: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=r"(?s).*") as caught:
        settings.read()
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [("prot = 1", "Did you mean port?"), ("[policy]\nanwser = 0.5", "Did you mean policy.answer?"), ("port = ", "cannot be read")],
)
def test_a_wrong_file_is_an_error_that_says_where(text: str, told: str) -> None:
    Path("frontdesk.toml").write_text(text)
    with pytest.raises(SettingsError) as caught:
        settings.read()
    assert told in str(caught.value)


def test_a_secret_never_stands_in_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("frontdesk.toml").write_text('database_url = ["postgresql://u:hunter2@h/d"]')
    with pytest.raises(SettingsError) as caught:
        settings.read()
    assert "hunter2" not in str(caught.value)


def test_drafts_of_slack_need_a_place_where_staff_see_them() -> None:
    assert "slack.staff_channel" in settings.Slack(mode="draft").problem
    assert settings.Slack(mode="draft", staff_channel="C0STAFF").problem == ""
