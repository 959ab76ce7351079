"""The Web API of the local Slack, spoken to by the real SDK: it answers, refuses and fails as Slack documents it."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from tests.servers.slack import SlackPlatform
from tests.servers.slack_state import Channel, User

ROOT = Path(__file__).parent.parent.parent
C, METADATA = "C0HELP", {"event_type": "answered", "event_payload": {"key": "k1"}}
BUTTON = {"type": "button", "action_id": "yes", "text": {"type": "plain_text", "text": "Yes"}, "value": "1"}


def section(text: str = "hello", **more: Any) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}, **more}


@pytest.fixture
async def server() -> AsyncIterator[SlackPlatform]:
    async with asyncio.timeout(30), SlackPlatform() as started:
        yield started


def client_of(server: SlackPlatform, token: str | None = None) -> AsyncWebClient:
    return AsyncWebClient(token or server.bot_token, base_url=f"{server.url}/api/", retry_handlers=[])


@pytest.fixture
def client(server: SlackPlatform) -> AsyncWebClient:
    return client_of(server)


async def refused(call: Any) -> str:
    with pytest.raises(SlackApiError) as caught:
        await call
    return str(caught.value.response["error"])


async def test_a_posted_message_is_stored_and_read_back_with_its_metadata_only_if_asked(
    server: SlackPlatform, client: AsyncWebClient
) -> None:
    root = await client.chat_postMessage(channel=C, text="question")
    said = await client.chat_postMessage(channel=C, text="hi", thread_ts=root["ts"], metadata=METADATA, blocks=[section()])
    assert said["message"]["metadata"] == METADATA
    assert [one.text for one in server.thread(C, root["ts"])] == ["question", "hi"]
    plain = (await client.conversations_replies(channel=C, ts=root["ts"]))["messages"]
    assert (plain[0]["reply_count"], plain[0]["latest_reply"], plain[1]["parent_user_id"]) == (1, said["ts"], server.bot_user)
    assert all("metadata" not in one for one in plain)
    full = (await client.conversations_replies(channel=C, ts=root["ts"], include_all_metadata=True))["messages"]
    assert full[1]["metadata"] == METADATA
    assert full[1]["blocks"][0]["block_id"], "Slack names blocks that have no name"


async def test_every_ts_is_above_the_one_before_even_if_the_clock_stands(server: SlackPlatform, client: AsyncWebClient) -> None:
    server.clock = lambda: 1_700_000_000.0
    stamps = [(await client.chat_postMessage(channel=C, text="x"))["ts"] for _ in range(3)]
    assert stamps == sorted(set(stamps), key=float)
    assert re.fullmatch(r"17\d{8}\.\d{6}", stamps[0])


async def test_a_token_is_asked_for_and_known(server: SlackPlatform, client: AsyncWebClient) -> None:
    assert (await client.auth_test())["bot_id"] == server.bot_id
    assert await refused(client_of(server, "xoxb-other").auth_test()) == "invalid_auth"
    assert await refused(client_of(server, server.app_token).chat_postMessage(channel=C, text="x")) == "not_allowed_token_type"
    assert await refused(client.apps_connections_open(app_token=server.bot_token)) == "not_allowed_token_type"
    async with httpx.AsyncClient() as http:
        assert (await http.post(f"{server.url}/api/auth.test")).json()["error"] == "not_authed"
        assert (await http.post(f"{server.url}/api/auth.test", data={"token": server.bot_token})).json()["ok"]
        assert (await http.post(f"{server.url}/api/auth.test", json={"token": server.bot_token})).json()["error"] == "not_authed"
    await client.auth_revoke()
    assert await refused(client.auth_test()) == "token_revoked"


async def test_what_is_no_json_is_refused(server: SlackPlatform, client: AsyncWebClient) -> None:
    headers = {"Authorization": f"Bearer {server.bot_token}", "Content-Type": "application/json"}
    async with httpx.AsyncClient() as http:
        for body in ("{", "[]"):
            said = await http.post(f"{server.url}/api/chat.postMessage", content=body, headers=headers)
            assert said.json()["error"] == "json_not_object"
    assert await refused(client.chat_postMessage(channel=C, text="x", blocks="[{")) == "invalid_blocks_format"


async def test_an_unknown_method_is_said_to_be_unknown(client: AsyncWebClient) -> None:
    assert await refused(client.api_call("chat.shout")) == "unknown_method"


@pytest.mark.parametrize(
    ("channel", "error"),
    [("C9", "channel_not_found"), ("C0OLD", "is_archived"), ("C0OUT", "not_in_channel"), ("G0OUT", "channel_not_found")],
)
async def test_a_channel_that_is_not_for_the_bot_is_refused(
    server: SlackPlatform, client: AsyncWebClient, channel: str, error: str
) -> None:
    server.channels["C0OLD"] = Channel("C0OLD", "old", members={server.bot_user}, archived=True)
    server.channels["C0OUT"], server.channels["G0OUT"] = Channel("C0OUT", "out"), Channel("G0OUT", "secret", "private")
    assert await refused(client.chat_postMessage(channel=channel, text="x")) == error


@pytest.mark.parametrize(
    "blocks",
    [
        [section()] * 51,
        [section("x" * 3001)],
        [section("")],
        [{"type": "context", "elements": [{"type": "mrkdwn", "text": "x"}] * 11}],
        [{"type": "actions", "elements": [BUTTON | {"action_id": str(number)} for number in range(26)]}],
        [{"type": "actions", "elements": [BUTTON | {"text": {"type": "plain_text", "text": "x" * 76}}]}],
        [{"type": "actions", "elements": [BUTTON | {"value": "x" * 2001}]}],
        [{"type": "actions", "elements": [BUTTON | {"action_id": "x" * 256}]}],
        [{"type": "actions", "elements": [BUTTON, BUTTON]}],
        [section(block_id="a"), section(block_id="a")],
        [section(block_id="x" * 256)],
        [{"type": "nothing"}],
        ["text"],
    ],
)
async def test_blocks_beyond_a_limit_are_refused_with_the_place(client: AsyncWebClient, blocks: list[Any]) -> None:
    with pytest.raises(SlackApiError) as caught:
        await client.chat_postMessage(channel=C, text="x", blocks=blocks)
    assert caught.value.response["error"] == "invalid_blocks"
    assert "json-pointer:/blocks" in caught.value.response["response_metadata"]["messages"][0]


async def test_blocks_at_a_limit_are_taken(client: AsyncWebClient) -> None:
    buttons = [BUTTON | {"action_id": str(number), "value": "x" * 2000} for number in range(25)]
    context = {"type": "context", "elements": [{"type": "mrkdwn", "text": "x"}] * 10}
    blocks = [section("x" * 3000, block_id="x" * 255), {"type": "actions", "elements": buttons}, *[context] * 48]
    await client.chat_postMessage(channel=C, text="x", blocks=blocks)


async def test_no_text_is_refused_and_too_much_is_cut(server: SlackPlatform, client: AsyncWebClient) -> None:
    assert await refused(client.api_call("chat.postMessage", json={"channel": C})) == "no_text"
    await client.chat_postMessage(channel=C, text="x" * 40_001)
    assert len(server.by_bot()[0].text) == 40_000


async def test_an_edit_keeps_metadata_loses_blocks_and_cannot_be_long(server: SlackPlatform, client: AsyncWebClient) -> None:
    posted = await client.chat_postMessage(channel=C, text="x", blocks=[section()], metadata=METADATA)
    theirs = await server.say("U0ANN", C, "mine")
    await client.chat_update(channel=C, ts=posted["ts"], text="y")
    message = server.by_bot()[0]
    assert (message.text, message.blocks, message.metadata) == ("y", [], METADATA)
    assert message.edited
    assert await refused(client.chat_update(channel=C, ts=posted["ts"], text="x" * 4001)) == "msg_too_long"
    assert await refused(client.chat_update(channel=C, ts=theirs, text="x")) == "cant_update_message"
    assert await refused(client.chat_update(channel=C, ts="1.2", text="x")) == "message_not_found"


async def test_a_deleted_message_is_gone_and_one_with_replies_leaves_a_tombstone(server: SlackPlatform, client: AsyncWebClient) -> None:
    alone, root = [await client.chat_postMessage(channel=C, text="x") for _ in range(2)]
    await client.chat_postMessage(channel=C, text="reply", thread_ts=root["ts"])
    for one in (alone, root):
        await client.chat_delete(channel=C, ts=one["ts"])
        assert await refused(client.chat_delete(channel=C, ts=one["ts"])) == "message_not_found"
    assert [(one.subtype, one.text) for one in server.messages[C]] == [("tombstone", "This message was deleted."), (None, "reply")]


async def test_a_stream_grows_until_it_is_stopped(server: SlackPlatform, client: AsyncWebClient) -> None:
    root = await server.say("U0ANN", C, "q")
    assert await refused(client.chat_startStream(channel=C, thread_ts=root, recipient_user_id="U0ANN")) == "missing_recipient_team_id"
    assert await refused(client.chat_startStream(channel=C, thread_ts=root, recipient_team_id="T0TEAM")) == "missing_recipient_user_id"
    stream = await client.chat_stream(channel=C, thread_ts=root, recipient_team_id="T0TEAM", recipient_user_id="U0ANN", buffer_size=1)
    await stream.append(markdown_text="one ")
    message = server.by_bot()[0]
    assert await refused(client.chat_update(channel=C, ts=message.ts, text="x")) == "streaming_state_conflict"
    assert await refused(client.chat_appendStream(channel=C, ts=message.ts, markdown_text="x" * 12_001)) == "msg_too_long"
    await stream.append(markdown_text="two")
    await stream.stop(blocks=[section()], metadata=METADATA)
    assert (message.text, message.metadata, message.streaming, len(message.blocks)) == ("one two", METADATA, "stopped", 1)
    assert await refused(client.chat_appendStream(channel=C, ts=message.ts, markdown_text="x")) == "message_not_in_streaming_state"
    await client.chat_update(channel=C, ts=message.ts, text="whole")


async def test_a_stream_ends_with_its_time_or_with_its_reader(server: SlackPlatform, client: AsyncWebClient) -> None:
    root = await server.say("U0ANN", "D0ANN", "q")
    old, stopped = [(await client.chat_startStream(channel="D0ANN", thread_ts=root, markdown_text="x"))["ts"] for _ in range(2)]
    await server.stop("U0ANN", "D0ANN", stopped)
    assert await refused(client.chat_appendStream(channel="D0ANN", ts=stopped, markdown_text="x")) == "stopped_by_user"
    late = time.time() + server.stream_seconds
    server.clock = lambda: late
    assert await refused(client.chat_stopStream(channel="D0ANN", ts=old)) == "message_not_in_streaming_state"


async def test_pages_of_a_thread_begin_with_its_root(server: SlackPlatform, client: AsyncWebClient) -> None:
    root = await server.say("U0ANN", C, "root")
    said = [await server.say("U0ANN", C, str(number), thread_ts=root) for number in range(4)]
    page = await client.conversations_replies(channel=C, ts=root, oldest=said[0], limit=2)
    assert [one["text"] for one in page["messages"]] == ["root", "1", "2"]
    cursor = page["response_metadata"]["next_cursor"]
    rest = await client.conversations_replies(channel=C, ts=root, oldest=said[0], limit=2, cursor=cursor)
    assert [one["text"] for one in rest["messages"]] == ["root", "3"]
    assert not rest["has_more"]
    assert [one["text"] for one in (await client.conversations_history(channel=C))["messages"]] == ["root"]
    assert await refused(client.conversations_replies(channel=C, ts="1.2")) == "thread_not_found"


async def test_people_groups_and_conversations_are_described(server: SlackPlatform, client: AsyncWebClient) -> None:
    server.users["U0EVE"] = User("U0EVE", "eve", "T0ELSE", is_stranger=True, is_restricted=True, locale="de-DE")
    server.usergroups["S0STAFF"] = ["U0BOB"]
    eve = (await client.users_info(user="U0EVE", include_locale=True))["user"]
    assert (eve["team_id"], eve["is_stranger"], eve["is_restricted"], eve["locale"]) == ("T0ELSE", True, True, "de-DE")
    assert await refused(client.users_info(user="U9")) == "user_not_found"
    assert (await client.usergroups_users_list(usergroup="S0STAFF"))["users"] == ["U0BOB"]
    assert (await client.conversations_open(users=["U0ANN"]))["channel"]["id"] == "D0ANN"
    assert (await client.conversations_info(channel=C))["channel"]["is_member"]
    link = await client.chat_getPermalink(channel=C, message_ts=await server.say("U0ANN", C, "x"))
    assert re.search(r"/archives/C0HELP/p\d{16}$", link["permalink"])


async def test_reactions_statuses_prompts_and_titles_are_kept(server: SlackPlatform, client: AsyncWebClient) -> None:
    ts = await server.say("U0ANN", C, "x")
    await client.reactions_add(channel=C, timestamp=ts, name="eyes")
    assert await refused(client.reactions_add(channel=C, timestamp=ts, name="eyes")) == "already_reacted"
    await client.reactions_remove(channel=C, timestamp=ts, name="eyes")
    assert await refused(client.reactions_remove(channel=C, timestamp=ts, name="eyes")) == "no_reaction"
    await client.assistant_threads_setStatus(channel_id=C, thread_ts=ts, status="is thinking")
    await client.assistant_threads_setSuggestedPrompts(channel_id=C, thread_ts=ts, prompts=[{"title": "t", "message": "m"}])
    await client.assistant_threads_setTitle(channel_id=C, thread_ts=ts, title="title")
    assert (server.statuses, server.titles) == ({(C, ts): "is thinking"}, {(C, ts): "title"})
    await client.chat_postMessage(channel=C, thread_ts=ts, text="done")
    assert not server.statuses, "an answer ends the status"


async def test_a_trigger_opens_one_view_and_only_soon(server: SlackPlatform, client: AsyncWebClient) -> None:
    modal = {"type": "modal", "title": {"type": "plain_text", "text": "Title"}, "blocks": [section()]}
    used, late = server.new_trigger("U0ANN"), server.new_trigger("U0ANN")
    view = (await client.views_open(trigger_id=used, view=modal))["view"]
    assert await refused(client.views_open(trigger_id=used, view=modal)) == "exchanged_trigger_id"
    then = time.time() + 31
    server.clock = lambda: then
    assert await refused(client.views_open(trigger_id=late, view=modal)) == "expired_trigger_id"
    await client.views_update(view_id=view["id"], hash=view["hash"], view=modal)
    assert await refused(client.views_update(view_id=view["id"], hash=view["hash"], view=modal)) == "hash_conflict"
    home = (await client.views_publish(user_id="U0ANN", view={"type": "home", "blocks": [section()]}))["view"]
    await client.views_publish(user_id="U0ANN", hash=home["hash"], view={"type": "home", "blocks": []})
    assert await refused(client.views_publish(user_id="U0ANN", hash=home["hash"], view={"type": "home", "blocks": []})) == "hash_conflict"
    long = modal | {"title": {"type": "plain_text", "text": "x" * 25}}
    assert await refused(client.views_update(view_id=view["id"], view=long)) == "invalid_arguments"


async def test_an_ephemeral_message_is_for_a_member(server: SlackPlatform, client: AsyncWebClient) -> None:
    await client.chat_postEphemeral(channel=C, user="U0ANN", text="only you")
    assert [(one.ephemeral_for, one.text) for one in server.ephemerals] == [("U0ANN", "only you")]
    assert not server.by_bot()
    assert await refused(client.chat_postEphemeral(channel=C, user="U9", text="x")) == "user_not_in_channel"


@pytest.mark.parametrize(
    ("kind", "stored"),
    [
        ("reset_before", 0),
        ("reset_after_accept", 1),
        ("500_before", 0),
        ("500_after_accept", 1),
        ("429", 0),
        ("html", 0),
        ("error:fatal_error", 0),
    ],
)
async def test_a_scripted_fault_comes_once_before_or_after_the_message_is_stored(
    server: SlackPlatform, client: AsyncWebClient, kind: str, stored: int
) -> None:
    server.fail("chat.postMessage", kind=kind, retry_after=7)
    with pytest.raises((SlackApiError, OSError)) as caught:
        await client.chat_postMessage(channel=C, text="x")
    assert len(server.by_bot()) == stored
    if kind == "429":
        assert isinstance(caught.value, SlackApiError)
        assert (caught.value.response.status_code, caught.value.response.headers["Retry-After"]) == (429, "7")
    await client.chat_postMessage(channel=C, text="x")
    assert len(server.by_bot()) == stored + 1


async def test_faults_by_chance_are_alike_for_one_seed() -> None:
    async def play(seed: int) -> list[str]:
        async with SlackPlatform(seed=seed, reset=0.2, limit=0.2) as server:
            for number in range(40):
                try:
                    await client_of(server).chat_postMessage(channel=C, text=str(number))
                except (SlackApiError, OSError):
                    continue
            stored = {one.text for one in server.by_bot()}
            assert {one.arguments["text"] for one in server.calls if one.outcome == "ok"} == stored
            return [one.outcome for one in server.calls]

    first = await play(1)
    assert first == await play(1)
    assert 0 < first.count("429") < 20


async def test_held_calls_wait_until_they_are_let_through(server: SlackPlatform, client: AsyncWebClient) -> None:
    with server.hold("chat.postMessage") as gate:
        call = asyncio.create_task(client.chat_postMessage(channel=C, text="x"))
        await server.until(lambda: gate.waiting)
        assert (server.count("chat.postMessage"), server.by_bot()) == (1, [])
    assert (await call)["ok"]


async def test_calls_are_kept_with_their_arguments_decoded(server: SlackPlatform) -> None:
    form = {"channel": C, "text": "x", "blocks": json.dumps([section()]), "metadata": json.dumps(METADATA), "token": server.bot_token}
    async with httpx.AsyncClient() as http:
        assert (await http.post(f"{server.url}/api/chat.postMessage", data=form)).json()["ok"]
    [call] = server.called("chat.postMessage")
    assert (call.arguments["metadata"], call.arguments["blocks"], call.token) == (METADATA, [section()], server.bot_token)


@pytest.mark.filterwarnings("ignore:BasicAuth is deprecated:DeprecationWarning")  # slack_sdk 3.47 uses it
async def test_oauth_gives_tokens_that_are_refreshed_once(server: SlackPlatform) -> None:
    server.rotation = True
    known = {"client_id": server.client_id, "client_secret": server.client_secret}
    async with httpx.AsyncClient() as http:
        asked = {"client_id": server.client_id, "state": "s", "redirect_uri": "http://app/back"}
        there = httpx.URL((await http.get(f"{server.url}/oauth/v2/authorize", params=asked)).headers["location"])
    assert (there.host, there.params["state"]) == ("app", "s")
    anyone = AsyncWebClient(base_url=f"{server.url}/api/")
    first = await anyone.oauth_v2_access(code=there.params["code"], redirect_uri="http://app/back", **known)
    assert (first["bot_user_id"], first["team"]["id"], first["expires_in"]) == (server.bot_user, "T0TEAM", 43_200)
    assert await refused(anyone.oauth_v2_access(code=there.params["code"], **known)) == "invalid_code"
    again = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    second = await anyone.oauth_v2_access(**again, **known)
    assert await refused(anyone.oauth_v2_access(**again, **known)) == "invalid_refresh_token"
    assert (await client_of(server, second["access_token"]).auth_test())["ok"]
    late = time.time() + 43_201
    server.clock = lambda: late
    assert await refused(client_of(server, second["access_token"]).auth_test()) == "token_expired"
    exchanged = await anyone.oauth_v2_exchange(token=server.bot_token, **known)
    assert exchanged["refresh_token"]


async def test_it_runs_as_a_process_of_its_own(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.servers.slack", "--log", str(tmp_path / "log")]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout
        url = (await process.stdout.readline()).decode().strip()
        async with httpx.AsyncClient(base_url=url) as http:
            said = (await http.post("/control/say", json={"user": "U0ANN", "channel": C, "text": "q"})).json()
            call = {"channel": C, "text": "a", "thread_ts": said["ts"]}
            headers = {"Authorization": "Bearer xoxb-frontdesk"}
            posted = (await http.post("/api/chat.postMessage", json=call, headers=headers)).json()
            assert [one["ts"] for one in (await http.get("/log")).json()] == [posted["ts"]]
        [line] = [json.loads(one) for one in (tmp_path / "log").read_text().splitlines()]
        assert (line["what"], line["thread_ts"], line["text"], line["ts"]) == ("post", said["ts"], "a", posted["ts"])
    finally:
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
