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


@pytest.mark.parametrize(
    ("urls", "addresses"),
    [
        ("", ()),
        ("http://gpu:8000/v1", ("http://gpu:8000/v1",)),
        (" http://a:8000/v1/ ,https://b.example/llm/v1,, http://a:8000/v1", ("http://a:8000/v1", "https://b.example/llm/v1")),
        ("http://[::1]:11434/v1", ("http://[::1]:11434/v1",)),
    ],
)
def test_servers_of_remote_models_are_base_urls_each_once(monkeypatch: pytest.MonkeyPatch, urls: str, addresses: tuple[str, ...]) -> None:
    monkeypatch.setenv("FRONTDESK_REMOTE__URLS", urls)
    assert settings.read().remote.addresses == addresses


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("gpu:8000/v1", "must begin with http:// or https://"),
        ("file:///etc/v1", "must begin with http:// or https://"),
        ("ftp://gpu/v1", "must begin with http:// or https://"),
        ("http:///v1", "must begin with http:// or https://"),
        ("http://gpu:8000", "must end in /v1"),
        ("http://gpu:8000/v1/chat/completions", "must end in /v1"),
        ("http://gpu/v1?key=hunter2", "must end in /v1"),
        ("http://ada:hunter2@gpu/v1", "holds a user name or password: a key belongs in remote.api_key"),
        ("http://gpu:hunter2/v1", "cannot be read"),
        ("http://[gpu/v1", "cannot be read"),
    ],
)
def test_what_is_no_server_of_remote_models_is_told_without_a_password(monkeypatch: pytest.MonkeyPatch, url: str, told: str) -> None:
    monkeypatch.setenv("FRONTDESK_REMOTE__URLS", f"http://a/v1,{url}")
    with pytest.raises(SettingsError, match=r"remote\.urls") as caught:
        settings.read()
    assert f"Setting remote.urls: Value error, URL 2 {told}" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_the_key_of_remote_models_is_read_from_a_file_and_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text("sk-4242\n")
    monkeypatch.setenv("FRONTDESK_REMOTE__API_KEY_FILE", str(tmp_path / "key"))
    assert settings.read().remote.api_key == "sk-4242"
    (tmp_path / "key").write_text("two words of ünsecret")
    with pytest.raises(SettingsError, match=r"remote\.api_key") as caught:
        settings.read()
    assert "nsecret" not in str(caught.value)


def test_drafts_of_slack_need_a_place_where_staff_see_them() -> None:
    assert "slack.staff_channel" in settings.Slack(mode="draft").problem
    assert settings.Slack(mode="draft", staff_channel="C0STAFF").problem == ""
