"""What Slack sends becomes what the core understands; the same message the same value, however it comes, and garbage nothing."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.slack.adapter import _content
from bot.slack.blocks import KEY_PREFIX, Message, render
from bot.slack.events import REPLY_EVENT, Identity, Incoming, Receipt, translate
from bot.slack.reading import read, readable
from core.domain import Action, Actor, Address, Decision, Deleted, Edited, Reason, notice, utc_now
from core.ports import Delivery
from core.presence import Channel, Mode, listen
from core.text import FILE, IMAGE, VOICE_CLIP

BOT = Identity("UBOT", "BBOT", "ABOT", "T1")
TS, ROOT = "1700000000.000200", "1690000000.000100"
ADDRESS = Address("slack", "T1", "C1", TS)


def envelope(event: dict[str, Any], **changed: Any) -> dict[str, Any]:
    seen_by = {"enterprise_id": None, "team_id": "T1", "user_id": "UBOT", "is_bot": True, "is_enterprise_install": False}
    body = {"type": "event_callback", "team_id": "T1", "api_app_id": "ABOT", "event_id": "Ev1", "event_time": 1700000000}
    return body | {"authorizations": [seen_by], "event": event} | changed


def message(text: str = "How do I pay?", **changed: Any) -> dict[str, Any]:
    said = {"type": "message", "channel": "C1", "channel_type": "channel", "user": "UANN", "text": text, "ts": TS, "event_ts": TS}
    return said | {"client_msg_id": "c-1", "team": "T1"} | changed


def mention(text: str, **changed: Any) -> dict[str, Any]:
    said = message(text, **changed) | {"type": "app_mention"}
    del said["channel_type"]
    return said


def changed(after: dict[str, Any], before: dict[str, Any] | None = None) -> dict[str, Any]:
    event = {
        "type": "message",
        "subtype": "message_changed",
        "channel": "C1",
        "channel_type": "channel",
        "hidden": True,
        "ts": "1700000099.000000",
    }
    return event | {"message": after} | ({"previous_message": before} if before else {})


def deleted(before: dict[str, Any] | None = None, ts: str = TS) -> dict[str, Any]:
    event = {"type": "message", "subtype": "message_deleted", "channel": "C1", "hidden": True, "deleted_ts": ts, "ts": "1700000099.000000"}
    return event | ({"previous_message": before} if before else {})


def incoming(event: dict[str, Any], **envelope_changes: Any) -> Incoming:
    found = translate(envelope(event, **envelope_changes), BOT)
    assert isinstance(found, Incoming)
    return found


def test_a_message_keeps_who_where_when_and_what() -> None:
    heard = incoming(message()).heard
    said = heard.message
    assert (said.message_id, said.address, said.actor, said.text) == (TS, ADDRESS, Actor("UANN"), "How do I pay?")
    assert (heard.direct, heard.mentioned, heard.in_thread, heard.to_others, heard.by_bot) == (False,) * 5
    assert said.received_at.isoformat() == "2023-11-14T22:13:20.000200+00:00"


def test_a_reply_in_a_thread_belongs_to_the_conversation_of_its_root() -> None:
    heard = incoming(message(thread_ts=ROOT)).heard
    assert heard.in_thread and heard.message.address.thread_id == ROOT and heard.message.message_id == TS
    root = incoming(message(thread_ts=TS)).heard
    assert not root.in_thread and root.message.address == ADDRESS
    assert incoming(message(thread_ts=ROOT, subtype="thread_broadcast")).heard == heard


@pytest.mark.parametrize(("event", "direct"), [
    (message(channel="D1", channel_type="im"), True),
    (message(channel="D1", channel_type=""), True),
    (message(channel="G1", channel_type="mpim"), False),
    (message(channel="G1", channel_type="group"), False),
])  # fmt: skip
def test_only_a_conversation_with_the_bot_alone_is_direct(event: dict[str, Any], direct: bool) -> None:
    assert incoming(event).heard.direct is direct


def test_every_question_in_a_direct_conversation_begins_its_own_thread() -> None:
    first, second = (incoming(message(channel="D1", channel_type="im", ts=ts)).heard.message for ts in ("1.000001", "2.000001"))
    assert first.address != second.address


def test_bad_input_26_a_mention_and_a_message_of_one_sentence_are_equal_in_both_orders() -> None:
    text = "<@UBOT> how do I pay <@UBOT|frontdesk>?"
    as_mention, as_message = incoming(mention(text)), incoming(message(text))
    assert as_mention == as_message
    assert as_message.heard.mentioned and as_message.heard.message.text == "how do I pay?"


def test_bad_input_25_a_retried_event_is_the_same_value() -> None:
    assert incoming(message()) == incoming(deepcopy(message()), event_id="Ev1", event_context="other")


def test_bad_input_27_a_shared_channel_gives_one_identity_whichever_company_it_comes_from() -> None:
    ours = incoming(message())
    theirs = incoming(message(team="T2", user_team="T2", source_team="T2"), team_id="T2", context_team_id="T2", is_ext_shared_channel=True)
    assert theirs == ours


def test_an_installation_for_a_whole_enterprise_owns_its_conversations() -> None:
    seen_by = [{"enterprise_id": "E1", "team_id": None, "user_id": "UORG", "is_enterprise_install": True}]
    heard = incoming(message("<@UORG> hi"), authorizations=seen_by).heard
    assert heard.message.address.workspace_id == "E1" and heard.mentioned and heard.message.text == "hi"
    in_one = [{"enterprise_id": "E1", "team_id": "T1", "user_id": "UBOT", "is_enterprise_install": False}]
    assert incoming(message(), authorizations=in_one).heard.message.address.workspace_id == "T1"
    assert incoming(message(), authorizations=[]).heard.message.address.workspace_id == "T1"


def test_bad_input_28_messages_sort_by_the_time_slack_gave_them() -> None:
    order = ["999999999.999999", "1700000000.000002", "1700000000.000010", "1700000001.000001"]
    keys = [incoming(message(ts=ts)).heard.message.order_key for ts in order]
    assert keys == sorted(keys) and len(set(map(len, keys))) == 1


@pytest.mark.parametrize(("text", "words"), [
    ("<@UBOT>: hi", "hi"),
    ("hey <@UBOT>, hi", "hey hi"),
    ("hi <@UBOT>!", "hi!"),
    ("<@UBOT>\nfirst\n\n    second", "first\n\n    second"),
    ("<@UBOT>", ""),
    ("<@UBOT> :)", ":)"),
    ("ask <@U1|ann> or <@U2>", "ask @ann or @someone"),
    ("in <#C1|general> or <#C2>", "in #general or #channel"),
    ("<!channel> <!here|here> <!everyone> <!subteam^S1|@team> <!subteam^S2>", "@channel @here @everyone @team @group"),
    ("at <!date^1700000000^{date}|14 November>", "at 14 November"),
    ("see <http://x.test/a|the page>", "see the page (http://x.test/a)"),
    ("see <http://x.test|x.test> <https://x.test/a?b=1&amp;c=2>", "see http://x.test https://x.test/a?b=1&c=2"),
    ("write <mailto:a@b.c|a@b.c> or <tel:+1|+1>", "write a@b.c or +1"),
    ("1 &lt; 2 &amp;&amp; 3 &gt; 2, &amp;lt; stays", "1 < 2 && 3 > 2, &lt; stays"),
    ("a &lt;@U1&gt; b", "a <@U1> b"),
    ("x < y > z <> <", "x < y > z <> <"),
])  # fmt: skip
def test_tokens_become_what_people_read(text: str, words: str) -> None:
    assert read(text, frozenset({"UBOT"})).text == words


@pytest.mark.parametrize(("text", "to_others"), [
    ("<@U1> hi", True), ("<!here> hi", True), ("<!subteam^S1> hi", True), ("<@UBOT> ask <@U1>", False), ("see <#C1>", False), ("hi", False),
])  # fmt: skip
def test_a_message_to_others_is_one_that_names_somebody_and_not_the_bot(text: str, to_others: bool) -> None:
    assert incoming(message(text)).heard.to_others is to_others


def test_bad_input_21_many_mentions_and_links_become_a_short_text() -> None:
    assert readable("<@U1> " * 300).split() == ["@someone"] * 50 + ["…"]
    many = readable("please read " + "<https://x.test/a|a> " * 500 + "thanks")
    assert many.count("https://") == 50 and many.endswith("… thanks") and len(many) < 2000
    assert len(incoming(message("x" * 200_000)).heard.message.text) == 40_000


@pytest.mark.parametrize(("shared", "attachment"), [
    ({"mimetype": "audio/mp4", "name": "audio_message.m4a", "subtype": "slack_audio"}, "voice"),
    ({"mimetype": "video/mp4", "subtype": "audio_message"}, "voice"),
    ({"mimetype": "image/png"}, "image"),
    ({"mimetype": "application/pdf"}, "file"),
    ({"file_access": "check_file_info"}, "file"),
])  # fmt: skip
def test_bad_input_23_a_voice_clip_or_an_image_alone_is_heard_as_what_it_is(shared: dict[str, str], attachment: str) -> None:
    found = incoming(message("", subtype="file_share", files=[shared]))
    assert found.heard.message.text == {"voice": VOICE_CLIP, "image": IMAGE, "file": FILE}[attachment]  # what the engine answers to


def test_bad_input_29_an_edit_changes_the_message_that_was_sent() -> None:
    before, after = message("How?"), message("<@UBOT> How &amp; when?", edited={"user": "UANN", "ts": "1700000050.000000"})
    assert translate(envelope(changed(after, before)), BOT) == Edited(ADDRESS, TS, "How & when?")
    in_thread = changed(after | {"thread_ts": ROOT}, before | {"thread_ts": ROOT})
    assert translate(envelope(in_thread), BOT) == Edited(Address("slack", "T1", "C1", ROOT), TS, "How & when?")
    assert translate(envelope(mention("<@UBOT> How?", edited={"user": "UANN", "ts": "1700000050.000000"})), BOT) is None


def test_bad_input_30_a_preview_of_a_link_is_no_edit() -> None:
    before, edited = message("see <https://x.test>"), {"edited": {"user": "UANN", "ts": "1700000050.000000"}}
    preview = before | {"attachments": [{"title": "x"}]}
    assert translate(envelope(changed(preview, before)), BOT) is None
    assert translate(envelope(changed(preview | edited, before | edited)), BOT) is None
    assert translate(envelope(changed(preview | edited, before)), BOT) is None  # only the preview was taken away
    assert translate(envelope(changed(before | {"reply_count": 1}, before)), BOT) is None
    other_words = before | {"text": "see <https://x.test|x.test>"}  # by Slack, not by the author
    assert translate(envelope(changed(other_words | edited, before | edited)), BOT) is None


def test_an_edit_by_a_bot_is_nothing() -> None:
    after = message("other", edited={"user": "UBOT", "ts": "1700000050.000000"}, bot_id="BBOT")
    assert translate(envelope(changed(after, message("x", bot_id="BBOT"))), BOT) is None


def test_bad_input_31_a_deleted_message_is_told_with_its_conversation() -> None:
    assert translate(envelope(deleted(message())), BOT) == Deleted(ADDRESS, TS)
    assert translate(envelope(deleted(message(thread_ts=ROOT))), BOT) == Deleted(Address("slack", "T1", "C1", ROOT), TS)
    assert translate(envelope(deleted()), BOT) == Deleted(ADDRESS, TS)
    assert translate(envelope(deleted(message(bot_id="BBOT"))), BOT) is None
    tombstone = message("This message was deleted.", subtype="tombstone", user="USLACKBOT", thread_ts=TS)
    assert translate(envelope(changed(tombstone, message())), BOT) == Deleted(ADDRESS, TS)


@pytest.mark.parametrize(
    "marked", [{"bot_id": "BX"}, {"bot_profile": {"id": "BX"}}, {"app_id": "AX"}, {"subtype": "bot_message", "bot_id": "BX"}]
)
def test_bad_input_33_another_bot_is_never_answered(marked: dict[str, Any]) -> None:
    for event in (
        message("<@UBOT> hi", **marked),
        mention("<@UBOT> hi", **marked),
        message("hi", channel="D1", channel_type="im", **marked),
    ):
        heard = incoming(event).heard
        assert heard.by_bot
        assert all(listen(heard, Channel(mode), mode, has_asked=True) is None for mode in Mode)


def delivered() -> Delivery:
    return Delivery(1, "l", ADDRESS, "t", notice(Decision.DIRECT, Reason.CONFIDENT, "x"), "t-0", 1, False, utc_now(), Action.REPLY)


def shown_back(**marked: Any) -> dict[str, Any]:
    return message("x", blocks=render(delivered()).blocks, user="UBOT", **marked)


def test_bad_input_34_our_own_message_is_a_receipt_and_never_a_question() -> None:
    assert translate(envelope(shown_back(bot_id="BBOT", app_id="ABOT")), BOT) == Receipt("C1", TS, "t-0")
    without_layout = message("x", bot_id="BBOT", metadata=_content(delivered(), Message("x", []))["metadata"])
    assert translate(envelope(without_layout), BOT) == Receipt("C1", TS, "t-0")
    assert translate(envelope(message("x", bot_id="BBOT")), BOT) is None
    assert translate(envelope(message("x", user="UBOT")), BOT) is None


@pytest.mark.parametrize("marked", [{}, {"bot_id": "BX"}, {"bot_id": "BX", "app_id": "ABOT"}, {"bot_id": ""}])
def test_bad_input_35_a_forged_key_of_somebody_else_is_no_receipt(marked: dict[str, Any]) -> None:
    forged = shown_back(**marked) | {"metadata": {"event_type": REPLY_EVENT, "event_payload": {"key": "t-0"}}, "user": "UX"}
    nameless = Identity("UBOT", "", "ABOT", "T1")
    for bot in (BOT, nameless):
        assert not isinstance(translate(envelope(forged), bot), Receipt)


@pytest.mark.parametrize("event", [
    message(subtype="channel_join"), message(subtype="message_replied"), message(subtype="bot_add"), message(hidden=True),
    message(ts="x"), message(ts=""), message(ts="1.0.0"), message(ts="١٢.٣"), message(ts=1.5), message(user=None), message(channel=None),
    message(channel={"id": "C1"}), {"type": "reaction_added", "user": "UANN", "item": {}}, {"type": "message"}, {},
    changed({}), changed(message(ts="x")), deleted(ts="x"),
    {"type": "message", "subtype": "message_changed", "channel": "C1", "message": "x"},
])  # fmt: skip
def test_what_is_no_message_or_broken_is_nothing(event: dict[str, Any]) -> None:
    assert translate(envelope(event), BOT) is None


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.sampled_from([TS, "C1", "UBOT", "<@UBOT>"])),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=8,
)
WHOLE = [
    message("<@UBOT> a", thread_ts=ROOT, files=[{"mimetype": "image/png"}], blocks=[{"block_id": KEY_PREFIX + "k"}], bot_id="BBOT"),
    mention("<@UBOT> a"),
    changed(message("b", edited={"user": "UANN", "ts": "2.0"}), message("a")),
    deleted(message()),
]


@given(st.data())
def test_garbage_in_any_field_never_raises(data: st.DataObject) -> None:
    body = envelope(deepcopy(data.draw(st.sampled_from(WHOLE))))
    for _ in range(data.draw(st.integers(1, 3))):
        place: Any = body
        while True:
            name = data.draw(st.sampled_from(sorted(place)) if isinstance(place, dict) else st.integers(0, len(place) - 1))
            if not (isinstance(place[name], dict | list) and place[name] and data.draw(st.booleans())):
                break
            place = place[name]
        place[name] = data.draw(JSON)
    translate(body, BOT)


@given(JSON)
def test_an_envelope_that_is_garbage_never_raises(body: Any) -> None:
    assert translate(body, BOT) is None
    assert translate({"event": body}, BOT) is None


@given(st.text(alphabet="<>@#!|&;UBOTlgt amp^https:/\0\n…", max_size=60))
def test_any_text_can_be_read(text: str) -> None:
    assert "\0" not in read(text, frozenset({"UBOT"})).text
