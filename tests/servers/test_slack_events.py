"""What the local Slack tells an app, heard by a real Bolt app over HTTP and over Socket Mode."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from slack_bolt import BoltResponse
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from tests.servers.slack import SlackPlatform
from tests.servers.slack_app import Heard, heard_of, over_http, over_socket
from tests.servers.slack_state import Channel, User

C = "C0HELP"
BUTTONS = {
    "type": "actions",
    "block_id": "row",
    "elements": [{"type": "button", "action_id": "yes", "text": {"type": "plain_text", "text": "Yes"}, "value": "1"}],
}
MODAL = {
    "type": "modal",
    "callback_id": "ask",
    "notify_on_close": True,
    "title": {"type": "plain_text", "text": "Ask"},
    "submit": {"type": "plain_text", "text": "Send"},
    "blocks": [
        {
            "type": "input",
            "block_id": "question",
            "label": {"type": "plain_text", "text": "Question"},
            "element": {"type": "plain_text_input", "action_id": "text"},
        }
    ],
}


@pytest.fixture(params=["http", "socket"])
async def heard(request: pytest.FixtureRequest) -> AsyncIterator[Heard]:
    """An app on either transport."""
    async with asyncio.timeout(30), SlackPlatform(transport=request.param) as server:
        heard = heard_of(server)
        async with (over_http if server.transport == "http" else over_socket)(server, heard.app):
            yield heard


@pytest.fixture
async def http() -> AsyncIterator[Heard]:
    async with asyncio.timeout(30), SlackPlatform() as server:
        heard = heard_of(server)
        async with over_http(server, heard.app):
            yield heard


async def test_a_message_is_told_once_and_a_mention_as_both_events(heard: Heard) -> None:
    server = heard.server
    root = await server.say("U0ANN", C, "hello")
    said = await server.say("U0BOB", C, "<@U0BOT> help", thread_ts=root)
    await server.say("U0BOB", C, "<@U0BOT> again", order=("app_mention", "message"))
    await server.say("U0ANN", "D0ANN", "<@U0BOT> hi")
    await server.until(lambda: len(heard.events) == 6)
    told = [(one["type"], one["text"]) for one in heard.events]
    assert told[:3] == [("message", "hello"), ("message", "<@U0BOT> help"), ("app_mention", "<@U0BOT> help")]
    assert told[3:] == [("app_mention", "<@U0BOT> again"), ("message", "<@U0BOT> again"), ("message", "<@U0BOT> hi")]
    assert [one.status for one in said.answers] == [200, 200]
    assert (heard.events[1]["parent_user_id"], heard.events[1]["channel_type"], heard.events[1]["ts"]) == ("U0ANN", "channel", said)
    assert heard.events[5]["channel_type"] == "im"
    assert len({one["event_id"] for one in heard.bodies}) == 6


async def test_an_edit_is_marked_an_unfurl_is_not_and_a_deletion_says_what_went(heard: Heard) -> None:
    server = heard.server
    root, alone = await server.say("U0ANN", C, "https://example.com"), await server.say("U0ANN", C, "alone")
    await server.say("U0BOB", C, "reply", thread_ts=root)
    await server.unfurl(C, root)
    await server.edit(C, root, "other")
    await server.remove(C, root)
    await server.remove(C, alone)
    await server.until(lambda: len(heard.events) == 7)
    unfurled, edited, tombstone, deleted = heard.events[3:]
    assert "edited" not in unfurled["message"]
    assert (edited["message"]["text"], edited["previous_message"]["text"]) == ("other", "https://example.com")
    assert edited["message"]["edited"]["user"] == "U0ANN"
    assert (tombstone["subtype"], tombstone["message"]["subtype"]) == ("message_changed", "tombstone")
    assert (deleted["subtype"], deleted["deleted_ts"], deleted["previous_message"]["text"]) == ("message_deleted", alone, "alone")


async def test_a_pressed_button_tells_where_it_was_even_after_an_edit(heard: Heard) -> None:
    server, pressed = heard.server, []

    @heard.app.action("yes")
    async def yes(ack: Any, body: dict[str, Any], respond: Any) -> None:
        await ack()
        pressed.append(body)
        await respond(text="thank you", replace_original=False)

    posted = await heard.app.client.chat_postMessage(channel=C, text="sure?", blocks=[BUTTONS])
    assert (await server.press("U0ANN", C, posted["ts"], "yes")).accepted
    await heard.app.client.chat_update(channel=C, ts=posted["ts"], text="gone")
    await server.press("U0BOB", C, posted["ts"], "yes", value="2")
    await server.until(lambda: len(server.ephemerals) == 2)
    assert [(one["user"]["id"], one["actions"][0]["block_id"], one["actions"][0]["value"]) for one in pressed] == [
        ("U0ANN", "row", "1"),
        ("U0BOB", "row", "2"),
    ]
    assert pressed[0]["container"] == {"type": "message", "message_ts": posted["ts"], "channel_id": C, "is_ephemeral": False}
    assert [(one.ephemeral_for, one.text) for one in server.ephemerals] == [("U0ANN", "thank you"), ("U0BOB", "thank you")]


async def test_a_command_is_answered_in_its_acknowledgement(heard: Heard) -> None:
    @heard.app.command("/support")
    async def support(ack: Any, command: dict[str, Any]) -> None:
        await ack(f"{command['user_name']} asks {command['text']}")

    assert (await heard.server.command("U0ANN", C, "/support", "why")).accepted
    assert [(one.ephemeral_for, one.text) for one in heard.server.ephemerals] == [("U0ANN", "ann asks why")]


async def test_a_modal_is_opened_refused_submitted_and_closed(heard: Heard) -> None:
    server, asked, closed = heard.server, [], []

    @heard.app.shortcut("ask_this")
    async def ask_this(ack: Any, client: AsyncWebClient, shortcut: dict[str, Any]) -> None:
        await ack()
        await client.views_open(trigger_id=shortcut["trigger_id"], view=MODAL)

    @heard.app.view("ask")
    async def ask(ack: Any, view: dict[str, Any]) -> None:
        text = view["state"]["values"]["question"]["text"]["value"]
        asked.append(text)
        await (ack() if text else ack(response_action="errors", errors={"question": "say something"}))

    @heard.app.view_closed("ask")
    async def gone(ack: Any, view: dict[str, Any]) -> None:
        await ack()
        closed.append(view["id"])

    ts = await server.say("U0ANN", C, "why?")
    for _ in range(2):
        await server.shortcut("U0BOB", C, ts, "ask_this")
    await server.until(lambda: len(server.views) == 2)
    first, second = server.views.values()
    await server.submit("U0BOB", first.id, {})
    assert (first.open, first.errors) == (True, {"question": "say something"})
    await server.submit("U0BOB", first.id, {"text": "why?"})
    assert (first.open, asked) == (False, [None, "why?"])
    await server.close("U0BOB", second.id)
    assert closed == [second.id]


async def test_an_opened_home_comes_with_the_view_that_was_published(heard: Heard) -> None:
    await heard.server.open_home("U0ANN")
    await heard.app.client.views_publish(user_id="U0ANN", view={"type": "home", "blocks": [BUTTONS]})
    await heard.server.open_home("U0ANN")
    await heard.server.open_home("U0ANN", tab="messages")
    await heard.server.until(lambda: len(heard.events) == 3)
    assert [(one["tab"], one["channel"], "view" in one) for one in heard.events] == [
        ("home", "D0ANN", False),
        ("home", "D0ANN", True),
        ("messages", "D0ANN", False),
    ]


async def test_the_bots_own_message_comes_back_to_it_without_metadata(heard: Heard) -> None:
    server = heard.server
    server.echo_own = True
    metadata = {"event_type": "e", "event_payload": {}}
    posted = await heard.app.client.chat_postMessage(channel=C, text="mine", metadata=metadata)
    await server.until(lambda: heard.events)
    [event] = heard.events
    assert (event["ts"], event["bot_id"], event["app_id"], event["text"]) == (posted["ts"], server.bot_id, server.app_id, "mine")
    assert "metadata" not in event


async def test_nothing_is_told_of_a_channel_without_the_bot_and_another_team_is_named(heard: Heard) -> None:
    server = heard.server
    server.channels["C0OUT"] = Channel("C0OUT", "out", members={"U0ANN"})
    server.channels["C0SHARED"] = Channel("C0SHARED", "shared", members={"U0EVE", "U0BOT"}, is_ext_shared=True)
    server.users["U0EVE"] = User("U0EVE", "eve", "T0ELSE", is_stranger=True)
    assert (await server.say("U0ANN", "C0OUT", "psst")).answers == []
    await server.say("U0EVE", "C0SHARED", "hello")
    await server.until(lambda: heard.events)
    assert (heard.bodies[0]["is_ext_shared_channel"], heard.bodies[0]["context_team_id"]) == (True, "T0TEAM")
    assert (heard.events[0]["user_team"], heard.events[0]["team"]) == ("T0ELSE", "T0ELSE")


async def test_a_signature_is_checked_by_the_app(http: Heard) -> None:
    event = {"type": "reaction_added", "user": "U0ANN"}
    assert (await http.server.deliver(event)).status == 200
    assert (await http.server.deliver(event, secret="wrong")).status == 401
    assert (await http.server.deliver(event, timestamp=1_000_000_000)).status == 401
    assert (await http.server.verify_url("abc")).json() == {"challenge": "abc"}


async def test_an_event_is_told_again_with_its_id_until_the_app_takes_it(http: Heard) -> None:
    seen: list[tuple[str | None, str | None, str]] = []

    @http.app.use
    async def refuse_twice(req: Any, next_: Any) -> Any:
        seen.append((*(req.headers.get(f"x-slack-retry-{name}", [None])[0] for name in ("num", "reason")), req.body["event_id"]))
        if len(seen) < 3:
            raise RuntimeError("not now")
        return await next_()

    @http.app.error
    async def failed(error: Exception) -> Any:
        return BoltResponse(status=500, body=str(error))

    said = await http.server.say("U0ANN", C, "x", until_accepted=True)
    assert [one.status for one in said.answers] == [200]
    assert [one[:2] for one in seen] == [(None, None), ("1", "http_error"), ("2", "http_error")]
    await http.server.redeliver(http.server.delivered[0], retry_num=3)
    assert seen[3][:2] == ("3", "http_timeout")
    assert len({one[2] for one in seen}) == 1


async def test_an_app_that_is_not_there_or_slow_is_no_answer(http: Heard) -> None:
    server, url = http.server, http.server.events_url
    server.events_url = "http://127.0.0.1:1/slack/events"
    assert tuple(await server.deliver({"type": "reaction_added"})) == (0, "connection_failed")
    server.events_url, server.ack_seconds = url, 0.01
    release = asyncio.Event()

    @http.app.command("/slow")
    async def slow(ack: Any) -> None:
        await release.wait()
        await ack()

    assert tuple(await server.command("U0ANN", C, "/slow")) == (0, "http_timeout")
    release.set()


async def test_a_response_url_serves_five_times_in_half_an_hour(http: Heard) -> None:
    server = http.server
    first, late = [AsyncWebhookClient(server.new_hook("U0ANN", C)) for _ in range(2)]
    answers = [await first.send(text=str(number), response_type="in_channel") for number in range(6)]
    assert [one.status_code for one in answers] == [200] * 5 + [404]
    assert "used_url" in answers[5].body
    assert [one.text for one in server.by_bot(C)] == ["0", "1", "2", "3", "4"]
    now = server.clock()
    server.clock = lambda: now + 1801
    assert (await late.send(text="x")).status_code == 404


async def test_a_response_url_replaces_and_deletes_what_was_pressed(http: Heard) -> None:
    posted = await http.app.client.chat_postMessage(channel=C, text="sure?", blocks=[BUTTONS])
    [message] = http.server.by_bot(C)
    hook = AsyncWebhookClient(http.server.new_hook("U0ANN", C, message))
    await hook.send(text="yes", replace_original=True)
    assert (message.ts, message.text, message.blocks) == (posted["ts"], "yes", [])
    await hook.send(delete_original=True)
    assert http.server.by_bot(C) == []


async def test_an_app_that_is_taken_out_hears_it_and_its_token_is_dead(http: Heard) -> None:
    await http.server.uninstall()
    await http.server.until(lambda: len(http.events) == 2)
    assert http.types() == [("tokens_revoked", None), ("app_uninstalled", None)]
    with pytest.raises(SlackApiError, match="token_revoked"):
        await http.app.client.auth_test()
