"""The app manifest: no permission that nothing uses, no call that lacks one, and an address only where Slack needs it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bot.cli import cli
from bot.slack.interactions import SHORTCUTS
from bot.slack.manifest import SCOPES, base_of, manifest, scopes

SOURCES = Path(__file__).parents[3] / "bot" / "slack"
READS = {"channels:history", "groups:history", "im:history", "mpim:history"}
# What Slack's documentation says that each method and event needs.
NEEDS = {
    "apps.connections.open": set(),  # of the app-level token
    "assistant.threads.setStatus": {"chat:write"},
    "assistant.threads.setSuggestedPrompts": {"assistant:write"},
    "auth.test": set(),
    "chat.appendStream": {"chat:write"},
    "chat.delete": {"chat:write"},
    "chat.getPermalink": set(),
    "chat.postEphemeral": {"chat:write"},
    "chat.postMessage": {"chat:write"},
    "chat.startStream": {"chat:write"},
    "chat.stopStream": {"chat:write"},
    "chat.update": {"chat:write"},
    "conversations.history": READS,
    "conversations.info": {"channels:read", "groups:read"},
    "conversations.open": {"im:write"},
    "conversations.replies": READS,
    "usergroups.users.list": {"usergroups:read"},
    "users.info": {"users:read"},
    "views.open": set(),
    "views.publish": set(),
    "app_home_opened": set(),
    "app_mention": {"app_mentions:read"},
    "app_uninstalled": set(),
    "message.channels": {"channels:history"},
    "message.groups": {"groups:history"},
    "message.im": {"im:history"},
    "message.mpim": {"mpim:history"},
    "tokens_revoked": set(),
}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["slack", "manifest", *arguments], catch_exceptions=False)


def called() -> set[str]:
    """The methods of Slack's Web API whose names stand in the code."""
    families = {method.partition(".")[0] for method in NEEDS if method.count(".") and not method.startswith("message.")}
    name = re.compile(rf'"((?:{"|".join(families)})\.[\w.]+)"')
    return {method for path in SOURCES.glob("*.py") for method in name.findall(path.read_text())}


def events(app: dict[str, Any]) -> set[str]:
    return set(app["settings"]["event_subscriptions"]["bot_events"])


def test_the_scopes_are_those_that_calls_events_and_commands_need_and_no_more() -> None:
    app = manifest()
    wanted = set().union(*(NEEDS[name] for name in called() | events(app)), {"commands"})
    assert set(app["oauth_config"]["scopes"]["bot"]) == wanted == set(SCOPES)


def test_minimal_hears_mentions_and_direct_messages_and_cannot_read_channels() -> None:
    app = manifest(minimal=True)
    assert events(manifest()) - events(app) == {"message.channels", "message.groups"}
    assert set(SCOPES) - set(scopes(minimal=True)) == {"channels:history", "groups:history"}
    assert app["oauth_config"]["scopes"]["bot"] == list(scopes(minimal=True))
    for event in events(app):
        assert NEEDS[event] <= set(scopes(minimal=True))


def test_socket_mode_needs_no_address_at_all() -> None:
    app = manifest()
    assert app["settings"]["socket_mode_enabled"]
    assert "http" not in json.dumps(app)
    assert "url" not in json.dumps(app)


def test_over_http_everything_goes_to_the_one_address_that_is_served() -> None:
    app = manifest("https://bot.example.com")
    settings, features = app["settings"], app["features"]
    assert not settings["socket_mode_enabled"]
    told = [settings["event_subscriptions"]["request_url"], settings["interactivity"]["request_url"]]
    told += [command["url"] for command in features["slash_commands"]]
    assert told == ["https://bot.example.com/slack/events"] * 4


def test_features_are_those_that_the_bot_answers_within_slacks_limits() -> None:
    app = manifest()
    features, settings, shown = app["features"], app["settings"], app["display_information"]
    assert {one["callback_id"]: one["name"] for one in features["shortcuts"]} == {
        "correct_answer": "Correct this answer",
        "teach_frontdesk": "Teach Frontdesk",
    }
    assert {one["callback_id"] for one in features["shortcuts"]} == SHORTCUTS
    assert all(one["type"] == "message" and len(one["name"]) <= 24 and len(one["description"]) <= 150 for one in features["shortcuts"])
    assert [one["command"] for one in features["slash_commands"]] == ["/support", "/support-admin"]
    assert all(one["should_escape"] is True for one in features["slash_commands"])
    assert "assistant_view" not in features
    assert len(features["agent_view"]["agent_description"]) <= 300
    assert all(set(prompt) == {"title", "message"} for prompt in features["agent_view"]["suggested_prompts"])
    assert features["app_home"]["messages_tab_enabled"]
    assert not features["app_home"]["messages_tab_read_only_enabled"]
    assert settings["interactivity"]["is_enabled"]
    assert not settings["token_rotation_enabled"]
    assert len(shown["description"]) <= 140


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://bot.example.com", "https://bot.example.com"),
        (" https://bot.example.com:8443/ ", "https://bot.example.com:8443"),
        ("https://example.com/bot", "https://example.com/bot"),
        ("https://bot.example.com/slack/events", "https://bot.example.com"),
        ("http://bot.example.com", None),
        ("bot.example.com", None),
        ("https://", None),
        ("https://[", None),
        ("https://bot.example.com:port", None),
        ("https://bot.example.com/?a=b", None),
        ("https://bot.example.com /", None),
        ("", None),
    ],
)
def test_only_an_https_address_is_one_that_slack_sends_to(url: str, base: str | None) -> None:
    assert base_of(url) == base


@pytest.mark.parametrize("arguments", [(), ("--minimal",), ("--transport", "http", "--url", "https://bot.example.com/")])
def test_the_command_prints_one_json_document_and_nothing_else(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)
    assert (done.exit_code, done.stderr) == (0, "")
    base = "https://bot.example.com" if arguments[:1] == ("--transport",) else ""
    assert json.loads(done.stdout) == manifest(base, minimal="--minimal" in arguments)


def test_the_address_may_come_from_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRONTDESK_SLACK__PUBLIC_URL", "https://bot.example.com")
    assert json.loads(run("--transport", "http").stdout) == manifest("https://bot.example.com")
    assert json.loads(run().stdout) == manifest()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--transport", "http"), "--url https://"),
        (("--transport", "http", "--url", "http://bot.example.com"), "https://HOST"),
        (("--url", "https://bot.example.com"), "--transport http"),
        (("--transport", "carrier-pigeon"), "carrier-pigeon"),
    ],
)
def test_wrong_usage_is_told_in_a_line_and_prints_no_manifest(arguments: tuple[str, ...], told: str) -> None:
    done = run(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert told in done.stderr
