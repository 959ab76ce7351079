"""A reply becomes a Slack message within every limit of Slack, in which nothing is live but the addresses of its sources."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.parting import size
from bot.replies import allowed_links
from bot.slack import views
from bot.slack.blocks import CUT, KEY_PREFIX, Message, alert, draft, private, render
from core.domain import Action, Address, Decision, Exchange, Passage, Reason, Reply, notice, utc_now
from core.handoff import Packet, State, Tried
from core.mood import mood_of
from core.ports import Delivery
from tests.bot.hostile import BOMBS, EVIL, EXAMPLES, HOSTILE, KINDS, ODD, PACKET, PAY, URLS, WAITING, cite, reply
from tests.bot.slack.reader import pings, show

HERE = Address("slack", "T1", "C1", "1.0")


def parcel(said: Reply, action: Action = Action.REPLY, turn_id: str = "turn-1") -> Delivery:
    return Delivery(1, "lease", HERE, turn_id, said, "turn-1-0", 1, uncertain=False, asked_at=utc_now(), action=action)


def buttons(message: Message) -> list[str]:
    return [element["action_id"] for block in message.blocks if block["type"] == "actions" for element in block["elements"]]


def texts(blocks: list[dict[str, Any]], kind: str = "mrkdwn") -> Iterator[str]:
    for block in blocks:
        for found in [block.get("text"), block.get("label"), *block.get("elements", ())]:
            if isinstance(found, dict) and found.get("type") == kind:
                yield found["text"]


def small_print(message: Message) -> str:
    return "".join(text for block in message.blocks if block["type"] == "context" for text in texts([block]))


def check_mrkdwn(text: str, allowed: set[str]) -> None:
    for zero_width_is in ("space", "letter"):
        shown = show(text, zero_width_is=zero_width_is)
        assert shown.mentions == shown.stray == [] and not shown.bare_addresses and not shown.open_fence
        assert {unquote(html.unescape(url)) for url in shown.links} <= {unquote(url) for url in allowed}
    assert pings(text) == []
    assert 1 <= size(text) <= 3000


def check_blocks(blocks: list[dict[str, Any]], allowed: set[str], most: int = 50) -> None:
    assert 1 <= len(blocks) <= most
    assert not [block for block in blocks if block["type"] in ("image", "rich_text", "markdown")]
    for text in texts(blocks):
        check_mrkdwn(text, allowed)
    for block in blocks:
        assert len(block.get("block_id", "")) <= 255
        assert all(
            found.get("verbatim") is True for found in [block.get("text", {}), *block.get("elements", ())] if found.get("type") == "mrkdwn"
        )
        for element in block.get("elements", ()):
            if element["type"] == "button":
                assert 1 <= size(element["text"]["text"]) <= 75 and size(element.get("value", "")) <= 2000
        if block["type"] == "input":
            assert size(block["element"].get("initial_value", "")) <= 3000
            assert all(size(one["text"]["text"]) <= 75 for one in block["element"].get("options", ()))
    for block in blocks:
        ids = [element["action_id"] for element in block.get("elements", ()) if "action_id" in element]
        assert len(ids) == len(set(ids)) <= 25
    keyed = [block["block_id"] for block in blocks if "block_id" in block]
    assert len(keyed) == len(set(keyed))


def check_message(message: Message, allowed: set[str]) -> None:
    check_blocks(message.blocks, allowed)
    assert sum(size(text) for text in [*texts(message.blocks), *texts(message.blocks, "plain_text")]) <= 12_000
    assert 1 <= size(message.text) <= 3000
    assert not re.search(r"<|://|&(?!amp;|lt;|gt;)", message.text) and pings(message.text) == []


def check_view(view: dict[str, Any], allowed: set[str]) -> None:
    check_blocks(view["blocks"], allowed, 100)
    if view["type"] == "modal":
        assert all(size(view[name]["text"]) <= 24 for name in ("title", "close", "submit") if name in view)
        assert size(view["private_metadata"]) <= 3000
        assert "submit" in view or not any(block["type"] == "input" for block in view["blocks"])


def test_an_answer_shows_its_sources_who_wrote_it_and_what_to_press() -> None:
    message = render(parcel(reply(f"Pay at {PAY}. [1]", Decision.ANSWER, Reason.COMPOSED, cite())))
    assert message.blocks[0]["text"]["text"] == f"Pay at <{PAY}>. [1]"
    assert small_print(message) == f"Written by an AI from these help articles: [1] <{PAY}|Paying>"
    assert buttons(message) == ["feedback_good", "feedback_bad", "person", "sources"]
    assert {element["value"] for element in message.blocks[-1]["elements"]} == {"turn-1"}
    assert all(element["accessibility_label"] for element in message.blocks[-1]["elements"][:2])
    assert message.text == "Pay at https:\u2060//example.com/pay. [1]"


@pytest.mark.parametrize(
    ("decision", "reason", "label"),
    [
        (Decision.ANSWER, Reason.COMPOSED, "Written by an AI from these help articles"),
        (Decision.ANSWER, Reason.QUOTED, "From the help articles"),
        (Decision.DIRECT, Reason.CONFIDENT, "From the help articles"),
        (Decision.CLARIFY, Reason.CLOSE_CANDIDATES, ""),
        (Decision.HANDOFF, Reason.LOW_CONFIDENCE, ""),
    ],
)
def test_only_what_a_model_wrote_is_said_to_be_written_by_an_ai(decision: Decision, reason: Reason, label: str) -> None:
    said = small_print(render(parcel(reply("text", decision, reason, cite()))))
    assert said.partition(":")[0] == label


@pytest.mark.parametrize(
    ("delivery", "pressed"),
    [
        (parcel(reply("x", Decision.DIRECT, Reason.CONFIDENT)), ["feedback_good", "feedback_bad", "person"]),
        (parcel(reply("x", Decision.CLARIFY, Reason.CLOSE_CANDIDATES, cite())), ["person"]),
        (parcel(reply("x", Decision.HANDOFF, Reason.LOW_CONFIDENCE)), []),
        (parcel(notice(Decision.CLARIFY, Reason.DELAYED, "later"), Action.NOTICE, ""), []),
        (parcel(notice(Decision.CLARIFY, Reason.TOO_MANY, "later"), Action.NOTICE), []),
    ],
)
def test_each_kind_of_reply_has_the_buttons_that_make_sense(delivery: Delivery, pressed: list[str]) -> None:
    assert buttons(render(delivery)) == pressed


@pytest.mark.parametrize("decision", [Decision.DIRECT, Decision.ANSWER, Decision.CLARIFY, Decision.HANDOFF])
def test_every_message_carries_its_key_once(decision: Decision) -> None:
    delivery = parcel(reply("text", decision, Reason.COMPOSED, cite()))
    for message in (render(delivery), private(delivery), draft(delivery, "q?"), alert(delivery.key, WAITING, PACKET)):
        assert [block["block_id"] for block in message.blocks if "block_id" in block] == [KEY_PREFIX + "turn-1-0"]


def test_a_private_answer_can_be_shared_and_a_draft_only_sent_by_staff() -> None:
    delivery = parcel(reply("text", Decision.ANSWER, Reason.COMPOSED, cite()))
    assert buttons(private(delivery)) == ["feedback_good", "feedback_bad", "person", "sources", "share"]
    assert buttons(draft(delivery, "How?")) == ["draft_send", "draft_edit", "draft_discard"]


def test_staff_see_the_question_why_and_where_it_was_asked() -> None:
    delivery = parcel(reply("A person will.", Decision.HANDOFF, Reason.ASKED_FOR_PERSON))
    asked = PACKET._replace(question="How?\n<!here> see https://evil.test")
    said = "\n".join(texts(alert("key", WAITING, asked, "https://x.slack.com/archives/C1/p1", "U0ANN").blocks))
    assert "They asked for a person." in said and "<https://x.slack.com/archives/C1/p1|see the message>" in said
    assert "> How?\n> &lt;!here&gt; see https:\u2060//evil.test" in said
    assert "They asked in private: <@U0ANN>" in said and "<@" not in str(alert("key", WAITING, asked, "", "!here"))
    assert buttons(alert("key", WAITING, PACKET)) == ["handoff_claim", "handoff_answer", "handoff_return"]
    assert buttons(alert("key", replace(WAITING, state=State.CLAIMED), PACKET)) == ["handoff_answer", "handoff_solve", "handoff_return"]
    assert buttons(alert("key", replace(WAITING, state=State.SOLVED), PACKET)) == []
    assert "> How?" in "\n".join(texts(draft(delivery, "How?").blocks))


def test_more_than_three_sources_are_counted() -> None:
    said = small_print(render(parcel(reply("x", Decision.ANSWER, Reason.COMPOSED, *[cite(f"Title {n}", None) for n in range(5)]))))
    assert said.endswith("[1] Title 0 · [2] Title 1 · [3] Title 2 and 2 more")


@pytest.mark.parametrize("url", ["javascript:alert(1)", "ftp://x.test", "", None, "https://a b"])
def test_bad_input_13_a_source_without_a_web_address_is_only_a_title(url: str | None) -> None:
    assert small_print(render(parcel(reply("x", Decision.DIRECT, Reason.CONFIDENT, cite("<script>", url))))) == (
        "From the help articles: [1] &lt;script&gt;"
    )


def test_bad_input_14_an_address_that_no_source_holds_is_code() -> None:
    text = f"[Pay]({EVIL}) ![x]({EVIL}) or [here]({PAY})"
    message = render(parcel(reply(text, Decision.ANSWER, Reason.COMPOSED, cite(url=PAY))))
    assert message.blocks[0]["text"]["text"] == f"Pay `{EVIL}` x or <{PAY}|here>"


def test_an_address_written_in_a_cited_text_or_in_a_text_given_word_for_word_is_a_link() -> None:
    assert allowed_links(reply(f"see {PAY}"), [f"Go to {PAY}."]) == {PAY}
    assert allowed_links(reply(f"see {PAY}")) == frozenset()
    assert allowed_links(reply(f"see {PAY}", Decision.DIRECT, Reason.CONFIDENT)) == {PAY}
    assert allowed_links(reply(f"see {PAY}", Decision.CLARIFY, Reason.CLOSE_CANDIDATES)) == frozenset()


@pytest.mark.parametrize("text", BOMBS)
def test_bad_input_20_an_answer_too_long_for_slack_is_cut_and_says_so(text: str) -> None:
    for message in (render(parcel(reply(text, Decision.DIRECT, Reason.CONFIDENT, cite()))), draft(parcel(reply(text)), text)):
        check_message(message, {PAY})
        assert CUT in texts(message.blocks)


def test_an_answer_that_fits_is_not_cut() -> None:
    text = "\n\n".join("word " * 100 for _ in range(20))
    message = render(parcel(reply(text)))
    assert CUT not in texts(message.blocks) and "".join(texts(message.blocks)).count("word") == 2000


@pytest.mark.parametrize("text", ODD)
def test_odd_texts_make_messages_that_slack_takes(text: str) -> None:
    message = render(parcel(reply(text)))
    check_message(message, set())
    assert "\u202e" not in str(message) and "\x00" not in str(message)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    HOSTILE,
    HOSTILE,
    st.sampled_from(KINDS),
    st.lists(st.tuples(HOSTILE, URLS), max_size=5),
)
def test_bad_input_09_whatever_is_said_nothing_pings_and_nothing_is_live_but_sources(
    text: str, question: str, kind: tuple[Decision, Reason], cited: list[tuple[str, str | None]]
) -> None:
    said = reply(text, *kind, *[cite(title, url) for title, url in cited])
    allowed = {url for _, url in cited if url} | ({PAY, EVIL, *re.findall(r"https?://\S+", text)} if kind[0] is Decision.DIRECT else set())
    if kind[0] is Decision.DIRECT:  # a curated text may link wherever it says, but to nothing else
        written = set(allowed_links(said))
        assert all(url in text or url in allowed for url in written)
        allowed |= written
    delivery = parcel(said)
    check_message(render(delivery), allowed)
    check_message(private(delivery), allowed)
    check_message(draft(delivery, question, PAY), allowed | {PAY})
    packet = Packet(question, text, (Exchange(question, text),), tuple(Tried(title, 0.5, url) for title, url in cited), mood_of([question]))
    check_message(alert(delivery.key, WAITING, packet, PAY), {PAY})


@settings(max_examples=max(EXAMPLES // 5, 50), deadline=None, suppress_health_check=list(HealthCheck))
@given(HOSTILE, HOSTILE, URLS)
def test_modals_and_home_are_within_every_limit_whatever_they_show(text: str, title: str, url: str | None) -> None:
    passages = [Passage("p", "d", title, text, url=url), Passage("q", "d", text, title * 3)]
    written = {url or ""}.union(*(views.markup.urls(passage.text) for passage in passages))
    assert all(address in text or address in title * 3 for address in written - {url, ""})
    for view in (
        views.feedback_modal(text),
        views.sources_modal(passages),
        views.sources_modal([]),
        views.correction_modal(text * 20, title * 20, text * 20, passages),
        views.teach_modal("t" * 4000, title * 20, text * 20),
        views.edit_draft_modal(title * 20, text * 20),
        views.home([text, title] * 10, [views.Asked(text, title, PAY)] * 20, 30),
    ):
        check_view(view, written | {PAY})


def test_many_long_passages_are_within_the_limits_of_a_modal() -> None:
    check_view(views.sources_modal([Passage("p", "d", "Title " * 100, "word & " * 3000)] * 30), set())
    check_view(views.correction_modal("t", "q", "a", [Passage("p", "d", "Title " * 100, "a\n\n" * 3000)] * 30), set())


def test_a_correction_shows_what_was_read_and_asks_for_what_should_have_been_said() -> None:
    view = views.correction_modal("turn-1", "How?", "So.", [Passage("p", "d", "Paying", f"Go to {PAY}", url=PAY)])
    assert view["callback_id"] == "correct" and view["private_metadata"] == "turn-1"
    assert [block["block_id"] for block in view["blocks"] if block["type"] == "input"] == ["question", "answer", "cause"]
    assert [block["element"].get("initial_value") for block in view["blocks"][:2]] == ["How?", "So."]
    assert f"*<{PAY}|Paying>*" in texts(view["blocks"]) and f"Go to <{PAY}>" in texts(view["blocks"])


def test_home_tells_what_may_be_asked_what_was_asked_and_what_is_kept() -> None:
    view = views.home(["How do I pay?"], [views.Asked("Refund?", "Answered", "https://x.slack.com/p1")], 30)
    said = "\n".join(texts(view["blocks"]))
    assert "> Refund?\nAnswered · <https://x.slack.com/p1|open>" in said and "after 30 days" in said
    pressed = [element for block in view["blocks"] if block["type"] == "actions" for element in block["elements"]]
    assert [element["action_id"] for element in pressed] == ["ask_example", "privacy_export", "privacy_delete"]
    assert pressed[0]["value"] == "How do I pay?" and pressed[2]["confirm"]["style"] == "danger"
