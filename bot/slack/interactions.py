"""What people press, choose and submit in Slack, as values; None for what is not ours. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from bot import forms
from bot.slack.payload import Payload, is_true, part, parts, word
from bot.slack.reading import readable

CONFIRM = "confirm_order"
ACTIONS = frozenset(
    f"{CONFIRM} feedback_good feedback_bad person sources share draft_send draft_edit draft_discard hand_back ask_example "
    "privacy_export privacy_delete handoff_claim handoff_answer handoff_return handoff_solve run_promote run_rollback run_keep".split()
)
SUBMISSIONS = frozenset({forms.FEEDBACK, forms.CORRECT, forms.TEACH, forms.EDIT_DRAFT, forms.ANSWER})
SHORTCUTS = frozenset({"correct_answer", "teach_frontdesk"})


@dataclass(frozen=True, slots=True)
class Who:
    """Who did something, and in which installation; what they may do is looked up, not read from what came."""

    user_id: str
    workspace_id: str


@dataclass(frozen=True, slots=True)
class Pressed:
    """A button was pressed; in a modal or the App Home there is no channel."""

    who: Who
    action_id: str
    value: str
    channel_id: str
    message_ts: str
    thread_ts: str
    pressed_at: str  # with user and message: the same press, sent twice
    trigger_id: str
    response_url: str


@dataclass(frozen=True, slots=True)
class Shortcut:
    """An entry of a message's menu was chosen."""

    who: Who
    callback_id: str
    channel_id: str
    message_ts: str
    thread_ts: str
    text: str  # of the message
    trigger_id: str
    response_url: str


@dataclass(frozen=True, slots=True)
class Submitted:
    """A modal was sent; `values` holds what is in its fields by their name, `metadata` what we gave it."""

    who: Who
    callback_id: str
    metadata: str
    values: dict[str, str] = field(hash=False)
    view_id: str = ""  # the same when Slack sends it twice


@dataclass(frozen=True, slots=True)
class Command:
    """A slash command was typed."""

    who: Who
    name: str
    text: str
    channel_id: str
    trigger_id: str
    response_url: str


def pressed(payload: Payload) -> Pressed | None:
    """Return the button of a `block_actions` payload."""
    action = (parts(payload, "actions") or [{}])[0]
    who = _who(payload)
    if word(payload, "type") != "block_actions" or who is None or word(action, "action_id") not in ACTIONS:
        return None
    return Pressed(
        who=who,
        action_id=word(action, "action_id"),
        value=word(action, "value"),
        channel_id=word(payload, "channel", "id") or word(payload, "container", "channel_id"),
        message_ts=word(payload, "container", "message_ts") or word(payload, "message", "ts"),
        thread_ts=word(payload, "container", "thread_ts") or word(payload, "message", "thread_ts"),
        pressed_at=word(action, "action_ts"),
        trigger_id=word(payload, "trigger_id"),
        response_url=word(payload, "response_url"),
    )


def shortcut(payload: Payload) -> Shortcut | None:
    """Return the choice of a `message_action` payload."""
    who, channel_id = _who(payload), word(payload, "channel", "id")
    message_ts = word(payload, "message_ts") or word(payload, "message", "ts")
    ours = word(payload, "type") == "message_action" and word(payload, "callback_id") in SHORTCUTS
    if not ours or who is None or not channel_id or not message_ts:
        return None
    return Shortcut(
        who=who,
        callback_id=word(payload, "callback_id"),
        channel_id=channel_id,
        message_ts=message_ts,
        thread_ts=word(payload, "message", "thread_ts"),
        text=readable(word(payload, "message", "text")),
        trigger_id=word(payload, "trigger_id"),
        response_url=word(payload, "response_url"),
    )


def submitted(payload: Payload) -> Submitted | None:
    """Return the modal of a `view_submission` payload."""
    who, view = _who(payload), part(payload, "view")
    if word(payload, "type") != "view_submission" or who is None or word(view, "callback_id") not in SUBMISSIONS:
        return None
    return Submitted(
        who=who,
        callback_id=word(view, "callback_id"),
        metadata=word(view, "private_metadata"),
        values=_values(view),
        view_id=word(view, "id"),
    )


def command(payload: Payload) -> Command | None:
    """Return the slash command of a form."""
    name, user_id, channel_id = word(payload, "command"), word(payload, "user_id"), word(payload, "channel_id")
    if not (name.startswith("/") and user_id and channel_id):
        return None
    # A form has no booleans.
    for_all = is_true(payload, "is_enterprise_install") or word(payload, "is_enterprise_install") == "true"
    workspace_id = (word(payload, "enterprise_id") if for_all else "") or word(payload, "team_id")
    return Command(
        who=Who(user_id, workspace_id),
        name=name,
        text=readable(word(payload, "text")),
        channel_id=channel_id,
        trigger_id=word(payload, "trigger_id"),
        response_url=word(payload, "response_url"),
    )


def _who(payload: Payload) -> Who | None:
    user_id = word(payload, "user", "id")
    if not user_id:
        return None
    # A modal says where the app is installed, which in a shared channel is not the team of the one who sends it.
    team_id = word(payload, "view", "app_installed_team_id") or word(payload, "team", "id")
    workspace_id = (word(payload, "enterprise", "id") if is_true(payload, "is_enterprise_install") else "") or team_id
    return Who(user_id, workspace_id)


def _values(view: Payload) -> dict[str, str]:
    """Return what the fields hold; one that is left empty is missing."""
    found: dict[str, str] = {}
    for block in part(view, "state", "values").values():
        for name, state in part(block).items():
            value = word(state, "value") or word(state, "selected_option", "value")
            if value:
                found[str(name)] = value
    return found
