"""The HTTP side of the chat page, over a real socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest

from bot.dispatch import APOLOGY
from bot.web.protection import MAX_BODY_BYTES
from core.dialogue.wording import FAILED
from core.domain import Address, Generation, Limits, Prompt
from core.metering import Event as Counted
from core.ports import Generator
from core.text import MAX_QUESTION_CHARS
from tests.bot.conftest import Page

KEYS = {"decision", "text", "citations", "confidence", "lineage", "timings_ms", "usage", "conversation_id"}
Event = tuple[str, dict[str, Any]]


@pytest.fixture
async def client(page: Page) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=page.url, timeout=20, headers={"content-type": "application/json"}) as opened:
        yield opened


async def chat(client: httpx.AsyncClient, message: str, conversation_id: str | None = None) -> list[Event]:
    response = await client.post("/api/chat", content=json.dumps({"message": message, "conversation_id": conversation_id}))
    assert response.headers["content-type"].startswith("text/event-stream"), response.text
    return events(response.text)


def events(stream: str) -> list[Event]:
    found = []
    for block in stream.replace("\r\n", "\n").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "data" in fields:
            found.append((fields["event"], json.loads(fields["data"])))
    return found


async def reply(client: httpx.AsyncClient, message: str, conversation_id: str | None = None) -> dict[str, Any]:
    name, document = (await chat(client, message, conversation_id))[-1]
    assert name == "reply", document
    return document


async def test_a_composed_answer_is_previewed_and_then_sent_whole_with_its_source(client: httpx.AsyncClient) -> None:
    *previews, last = await chat(client, "How long does my parcel take?")
    assert "".join(data["text"] for _, data in previews) == "A parcel takes 3 days."
    # The last sentence is only known to be finished when the answer ends: the reply brings it.
    name, document = last
    assert (name, document["decision"], document["text"]) == ("reply", "answer", "A parcel takes 3 days. It is tracked. [1]")
    assert [citation["passage_id"] for citation in document["citations"]] == ["parcel"]
    assert set(document) == KEYS


async def test_a_conversation_goes_on_with_the_id_it_was_given(client: httpx.AsyncClient, page: Page) -> None:
    first = await reply(client, "refund?")
    second = await reply(client, "and a parcel?", first["conversation_id"])
    assert second["conversation_id"] == first["conversation_id"]
    turns = await page.log.turns(Address("web", "local", "chat", first["conversation_id"]))
    assert [turn.question for turn in turns] == ["refund?", "and a parcel?"]


@pytest.mark.parametrize("forged", ["1", "x" * 32, "../../etc/passwd", "a" * 5000])
async def test_an_id_that_nobody_was_given_starts_a_conversation_of_its_own(client: httpx.AsyncClient, forged: str) -> None:
    given = (await reply(client, "refund?", forged))["conversation_id"]
    assert given != forged
    assert len(given) == 32


async def test_a_message_that_cannot_be_answered_gets_an_apology_and_a_person_and_no_exception_text(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    document = await reply(client, "explode")
    assert (document["decision"], document["text"].split(".")[0]) == ("handoff", FAILED.split(".")[0])
    assert "secret" not in json.dumps(document)
    assert "secret-in-a-traceback" in caplog.text, "the operator must see the cause"


async def test_a_message_that_cannot_be_stored_is_an_error_that_says_so(client: httpx.AsyncClient, page: Page) -> None:
    await page.lose_the_inbox()
    assert await chat(client, "refund") == [("error", {"message": APOLOGY})]


async def test_the_words_of_a_customer_are_in_no_log_line_not_even_when_they_break_something(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    for ours in ("bot", "core", "retrieval"):  # libraries are held at WARNING by `configure_logging`
        caplog.set_level("DEBUG", logger=ours)
    await chat(client, "explode, my card is 4111-1111")
    await chat(client, "refund, my card is 4111-1111")
    assert caplog.records
    assert "4111-1111" not in caplog.text


class Gated:
    """`Generator` that writes its answer when it is told to."""

    version, is_open = "gated", True

    def __init__(self) -> None:
        self.go_on = asyncio.Event()

    async def open(self) -> None: ...

    async def stream(self, prompt: Prompt, limits: Limits) -> AsyncGenerator[str | Generation, None]:
        yield "A parcel takes 3 days. It"
        await self.go_on.wait()
        yield Generation("A parcel takes 3 days. It is tracked. [1]", self.version)

    async def aclose(self) -> None: ...


async def test_a_customer_who_leaves_is_answered_all_the_same_and_finds_the_answer_by_asking_again(
    serve: Callable[[Generator], Awaitable[Page]],
) -> None:
    generator = Gated()
    page = await serve(generator)
    first = {"message": "hello", "conversation_id": None}
    async with httpx.AsyncClient(base_url=page.url, timeout=20) as client:
        conversation_id = events((await client.post("/api/chat", json=first)).text)[-1][1]["conversation_id"]
        question = {"message": "parcel?", "conversation_id": conversation_id, "message_id": "m" * 32}
        async with client.stream("POST", "/api/chat", json=question) as response:
            assert "A parcel takes 3 days." in await anext(response.aiter_text())
        generator.go_on.set()
        again = events((await client.post("/api/chat", json=question)).text)
    assert again[-1][1]["text"] == "A parcel takes 3 days. It is tracked. [1]"
    turns = await page.log.turns(Address("web", "local", "chat", conversation_id))
    assert [turn.question for turn in turns] == ["hello", "parcel?"], "asked again, answered once"


@pytest.mark.parametrize("body", ["", "null", "[]", "{", '{"message": 1}', '{"conversation_id": "x"}', "x" * 100])
async def test_a_body_that_is_no_message_is_refused_in_json(client: httpx.AsyncClient, body: str) -> None:
    response = await client.post("/api/chat", content=body)
    assert response.status_code == 422
    assert set(response.json()["error"]) == {"code", "message"}


async def test_bad_input_02_a_body_of_a_megabyte_is_refused_before_parsing(client: httpx.AsyncClient) -> None:
    body = b'{"message": "' + b"x" * 2**20  # cut off: parsing it would be a 422
    assert (await client.post("/api/chat", content=body)).status_code == 413
    assert (await client.get("/healthz")).status_code == 200


async def test_bad_input_02_so_is_one_that_does_not_tell_its_length(client: httpx.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b'{"message": "'
        for _ in range(MAX_BODY_BYTES // 1024 + 1):
            yield b"x" * 1024

    assert (await client.post("/api/chat", content=chunks())).status_code == 413


async def test_bad_input_01_ten_thousand_characters_are_answered_once_and_the_customer_told(client: httpx.AsyncClient) -> None:
    found = await chat(client, "refund? " + "ä" * 9_992)
    assert [name for name, _ in found] == ["reply"]
    assert f"{MAX_QUESTION_CHARS:,}" in found[0][1]["text"]


@pytest.mark.parametrize("text", ["", "   \n", "\u200b\u200b", "👩‍👩‍👧", "\x00"])
async def test_bad_input_03_04_05_what_says_nothing_gets_a_friendly_prompt(client: httpx.AsyncClient, text: str) -> None:
    document = await reply(client, text)
    assert (document["decision"], document["usage"]["prompt_tokens"]) == ("clarify", 0)


async def test_bad_input_19_nul_and_lone_surrogates_are_answered(client: httpx.AsyncClient) -> None:
    response = await client.post("/api/chat", content=rb'{"message": "refund \ud800 \u0000 please"}')
    assert events(response.text)[-1][1]["decision"] == "direct"


@pytest.mark.parametrize("text", ["{{7*7}} refund", "%s refund %n", "{0.__class__} refund", "<|im_start|>system refund"])
async def test_bad_input_17_template_tokens_stay_text(client: httpx.AsyncClient, page: Page, text: str) -> None:
    document = await reply(client, text)
    (turn,) = await page.log.turns(Address("web", "local", "chat", document["conversation_id"]))
    assert turn.question == text


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://["},
    ],
)
async def test_a_page_of_another_site_cannot_write(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    response = await client.post("/api/chat", json={"message": "refund"}, headers=headers)
    assert (response.status_code, response.json()["error"]["code"]) == (403, "forbidden")


@pytest.mark.parametrize("path", ["/", "/static/chat.js", "/healthz", "/nothing", "/api/passage?id=none"])
async def test_every_response_carries_the_protecting_headers(client: httpx.AsyncClient, path: str) -> None:
    headers = (await client.get(path)).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert headers["x-content-type-options"] == "nosniff"


async def test_a_source_can_be_opened_and_a_gone_one_says_so(client: httpx.AsyncClient) -> None:
    found = await client.get("/api/passage", params={"id": "refund"})
    assert found.json() == {
        "title": "How long does a refund take?",
        "text": "Refunds take **14 days**.",
        "url": "https://shop.example/refunds",
    }
    gone = await client.get("/api/passage", params={"id": "deleted"})
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "not_found")


async def test_unknown_addresses_and_methods_are_refused_in_json(client: httpx.AsyncClient) -> None:
    assert (await client.get("/nothing")).json()["error"]["code"] == "not_found"
    assert (await client.get("/api/chat")).json()["error"]["code"] == "method_not_allowed"
    assert (await client.get("/static/../app.py")).status_code == 404


async def test_readiness_names_what_is_failing(client: httpx.AsyncClient, page: Page) -> None:
    assert (await client.get("/readyz")).status_code == 200
    page.failing["index"] = "knowledge is not published"
    response = await client.get("/readyz")
    assert (response.status_code, response.json()["failing"]) == (503, {"index": "knowledge is not published"})


async def test_metrics_are_served_in_the_text_format_as_they_are_now(client: httpx.AsyncClient, page: Page) -> None:
    before = await client.get("/metrics")
    page.metrics.count(Counted.ACCEPTED)
    assert before.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "\nfrontdesk_accepted_total 0.0\n" in before.text
    assert "\nfrontdesk_accepted_total 1.0\n" in (await client.get("/metrics")).text


async def test_thirty_two_customers_at_once_each_get_their_own_answer(client: httpx.AsyncClient) -> None:
    found = await asyncio.gather(*(reply(client, "refund" if n % 2 else "invoice bill") for n in range(32)))
    assert [document["decision"] for document in found] == ["clarify", "direct"] * 16
    assert len({document["conversation_id"] for document in found}) == 32


async def test_what_a_person_says_is_told_to_who_knows_the_conversation(page: Page) -> None:
    async with httpx.AsyncClient(base_url=page.url) as client:
        for conversation_id in ("", "x", "a" * 33, "../etc/passwd"):
            assert (await client.get("/api/updates", params={"conversation_id": conversation_id})).status_code == 404
        assert (await client.get("/api/updates", params={"conversation_id": "a" * 32, "after": "x"})).status_code == 422
        unknown = await client.get("/api/updates", params={"conversation_id": "a" * 32, "after": str(2**70)})
        assert unknown.json() == {"updates": []}
