"""What people press and send in Slack: read when it is ours, nothing otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.learning_news import choices
from bot.slack import views
from bot.slack.blocks import alert, draft, private, run_news
from bot.slack.interactions import ACTIONS, SUBMISSIONS, Command, Pressed, Shortcut, Submitted, Who, command, pressed, shortcut, submitted
from bot.slack.slash import confirmation
from core.domain import Action, Address, Citation, Decision, Lineage, Reason, Reply, utc_now
from core.handoff import State
from core.learning import LearningRun
from core.learning import State as Learning
from core.ports import Delivery
from core.registry import Kind
from tests.bot.hostile import PACKET, WAITING

ANN = Who("UANN", "T1")
BASE = {
    "api_app_id": "A1",
    "team": {"id": "T1", "domain": "acme"},
    "user": {"id": "UANN", "team_id": "T1"},
    "trigger_id": "1.2.x",
    "enterprise": None,
}
HOOK = "https://hooks.slack.com/actions/x"


def press(action_id: str = "feedback_good", **changed: Any) -> dict[str, Any]:
    action = {"type": "button", "action_id": action_id, "block_id": "frontdesk:t-0", "value": "t", "action_ts": "9.1"}
    container = {"type": "message", "message_ts": "5.1", "channel_id": "C1", "thread_ts": "4.1", "is_ephemeral": False}
    return (
        BASE
        | {"type": "block_actions", "container": container, "channel": {"id": "C1"}, "actions": [action], "response_url": HOOK}
        | changed
    )


def submit(callback_id: str, values: dict[str, Any], **changed: Any) -> dict[str, Any]:
    view = {
        "id": "V1",
        "hash": "h",
        "callback_id": callback_id,
        "private_metadata": "t",
        "state": {"values": values},
        "app_installed_team_id": "T1",
    }
    return BASE | {"type": "view_submission", "view": view} | changed


def test_a_press_tells_who_where_and_what() -> None:
    assert pressed(press()) == Pressed(ANN, "feedback_good", "t", "C1", "5.1", "4.1", "9.1", "1.2.x", HOOK)


def test_a_press_in_the_home_has_no_channel() -> None:
    home = {"type": "view", "view_id": "V1"}
    found = pressed(press("privacy_delete", container=home, channel=None, view={"id": "V1", "type": "home"}))
    assert found and (found.channel_id, found.message_ts) == ("", "")


def test_what_a_guest_of_a_shared_channel_does_belongs_to_the_installation() -> None:
    found = pressed(press(user={"id": "UGUEST", "team_id": "T2"}))
    assert found and found.who == Who("UGUEST", "T1")
    sent = submitted(submit("teach", {}, user={"id": "UGUEST", "team_id": "T2"}, team={"id": "T2"}))
    assert sent and sent.who == Who("UGUEST", "T1")


def test_an_enterprise_that_installed_for_all_owns_what_is_pressed() -> None:
    found = pressed(press(enterprise={"id": "E1"}, is_enterprise_install=True))
    assert found and found.who.workspace_id == "E1"


@pytest.mark.parametrize("payload", [
    press("other"), press(actions=[]), press(actions=None), press(user=None), press(type="view_submission"), {},
])  # fmt: skip
def test_a_press_that_is_not_ours_is_nothing(payload: dict[str, Any]) -> None:
    assert pressed(payload) is None


def test_every_button_that_is_drawn_is_understood() -> None:
    citation = Citation("p", "t", None, 0.9)
    reply = Reply(Decision.ANSWER, Reason.COMPOSED, "x", (citation,), 0.9, Lineage("m", "i", "p", "e", "q"))
    delivery = Delivery(1, "l", Address("slack", "T1", "C1", "1.0"), "t", reply, "t-0", 1, False, utc_now(), Action.REPLY)
    run = LearningRun("run-1", Kind.GENERATOR, "cli:ada", Learning.PROMOTED, utc_now(), model_id="b@2", against="a@1")
    told = [run_news(delivery, choices(replace(run, state=state))) for state in Learning]
    packets = [alert("key", replace(WAITING, state=state), PACKET) for state in State]
    blocks = [block for message in (private(delivery), draft(delivery, "q"), *packets, *told) for block in message.blocks]
    blocks += [*views.home(["q"], [], 30)["blocks"], *confirmation("Serve b@2?", "token")]
    drawn = {element["action_id"] for block in blocks if block["type"] == "actions" for element in block["elements"]}
    drawn.add("hand_back")  # under the note to whoever speaks up in a customer's thread
    assert drawn == ACTIONS
    modals = [
        views.feedback_modal("t"),
        views.correction_modal("t", "q", "a", []),
        views.teach_modal("t", "q", "a"),
        views.edit_draft_modal("t", "x"),
        views.answer_modal("h"),
    ]
    assert {modal["callback_id"] for modal in modals} == SUBMISSIONS


def test_a_menu_entry_tells_the_message_it_was_chosen_on() -> None:
    chosen = BASE | {
        "type": "message_action",
        "callback_id": "teach_frontdesk",
        "message_ts": "5.1",
        "channel": {"id": "C1"},
        "response_url": HOOK,
    }
    chosen |= {"message": {"type": "message", "user": "UBEN", "ts": "5.1", "thread_ts": "4.1", "text": "pay &amp; go <@U1|ann>"}}
    assert shortcut(chosen) == Shortcut(ANN, "teach_frontdesk", "C1", "5.1", "4.1", "pay & go @ann", "1.2.x", HOOK)
    for broken in ({"callback_id": "other"}, {"channel": None}, {"message_ts": None, "message": {}}, {"user": {}}):
        assert shortcut(chosen | broken) is None


def test_a_form_gives_what_is_in_its_fields_and_leaves_out_the_empty_ones() -> None:
    values = {
        "reason": {"reason": {"type": "radio_buttons", "selected_option": {"value": "wrong"}}},
        "note": {"note": {"type": "plain_text_input", "value": None}},
        "answer": {"answer": {"type": "plain_text_input", "value": "So."}},
    }
    assert submitted(submit("feedback", values)) == Submitted(ANN, "feedback", "t", {"reason": "wrong", "answer": "So."}, "V1")
    assert submitted(submit("other", {})) is None


def test_a_command_tells_who_typed_what_where() -> None:
    form = {
        "command": "/support",
        "text": "how do I pay <@U1|ann>?",
        "user_id": "UANN",
        "team_id": "T1",
        "channel_id": "C1",
        "api_app_id": "A1",
    }
    form |= {"trigger_id": "1.2.x", "response_url": HOOK, "is_enterprise_install": "false", "enterprise_id": "E1"}
    assert command(form) == Command(ANN, "/support", "how do I pay @ann?", "C1", "1.2.x", HOOK)
    whole = command(form | {"is_enterprise_install": "true"})
    assert whole and whole.who.workspace_id == "E1"
    for broken in ({"command": "support"}, {"user_id": ""}, {"channel_id": None}):
        assert command(form | broken) is None


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=6,
)


@given(st.sampled_from(["container", "actions", "user", "team", "channel", "view", "message", "enterprise", "response_url", "text"]), JSON)
def test_garbage_in_any_part_never_raises(name: str, garbage: Any) -> None:
    shared = {"callback_id": "correct_answer", "message_ts": "5.1", "command": "/support", "user_id": "U", "channel_id": "C"}
    for kind in ("block_actions", "message_action", "view_submission"):
        payload = press() | submit("teach", {"a": {"b": {"value": "x"}}}) | shared | {"type": kind, name: garbage}
        for parser in (pressed, shortcut, submitted, command):
            parser(payload)
            parser(garbage)
    submitted(submit("teach", garbage))
