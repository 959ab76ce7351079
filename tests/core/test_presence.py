"""Where the bot speaks, and above all where it does not."""

from __future__ import annotations

import pytest

from core.domain import Actor, Address, InboundMessage
from core.presence import Channel, Heard, Mode, listen, needs_past

MESSAGE = InboundMessage("1", Address("slack", "w", "c", "1"), Actor("ann"), "refund?")
TOP, FOLLOW_UP, POST = Heard(MESSAGE), Heard(MESSAGE, in_thread=True), Heard(MESSAGE, opens=True)
MENTION = Heard(MESSAGE, mentioned=True)


def heard_as(heard: Heard, mode: Mode, *, has_asked: bool = False, muted: bool = False) -> str:
    message = listen(heard, Channel(mode, muted), Mode.MENTION, has_asked=has_asked)
    if message is None:
        return "ignored"
    return ("asked" if message.for_bot else "overheard") + (" for a draft" if message.draft else "")


@pytest.mark.parametrize(
    ("mode", "mention", "top", "follow_up", "others_thread"),
    [
        (Mode.OFF, "ignored", "ignored", "ignored", "ignored"),
        (Mode.MENTION, "asked", "ignored", "ignored", "ignored"),
        (Mode.THREAD, "asked", "ignored", "asked", "ignored"),
        (Mode.CONFIDENT, "asked", "overheard", "asked", "ignored"),
        (Mode.DRAFT, "asked for a draft", "overheard for a draft", "asked for a draft", "ignored"),
    ],
)
def test_each_mode_hears_what_it_says(mode: Mode, mention: str, top: str, follow_up: str, others_thread: str) -> None:
    assert heard_as(MENTION, mode) == mention
    assert heard_as(TOP, mode) == top
    assert heard_as(FOLLOW_UP, mode, has_asked=True) == follow_up
    assert heard_as(FOLLOW_UP, mode) == others_thread


@pytest.mark.parametrize("mode", Mode)
def test_a_direct_message_is_always_for_the_bot_and_a_bot_never(mode: Mode) -> None:
    assert heard_as(Heard(MESSAGE, direct=True), mode, muted=True) == "asked"
    for heard in (Heard(MESSAGE, by_bot=True, direct=True), Heard(MESSAGE, by_bot=True, mentioned=True)):
        assert heard_as(heard, mode, has_asked=True) == "ignored"


@pytest.mark.parametrize("mode", Mode)
def test_people_who_speak_to_each_other_are_left_alone_and_a_muted_bot_is_silent(mode: Mode) -> None:
    assert heard_as(Heard(MESSAGE, in_thread=True, to_others=True), mode, has_asked=True) == "ignored"
    assert heard_as(Heard(MESSAGE, to_others=True), mode) == "ignored"
    assert heard_as(MENTION, mode, muted=True) == "ignored"


@pytest.mark.parametrize(
    ("mode", "post"),
    [
        (Mode.OFF, "ignored"),
        (Mode.MENTION, "ignored"),
        (Mode.THREAD, "asked"),
        (Mode.CONFIDENT, "asked"),
        (Mode.DRAFT, "asked for a draft"),
    ],
)
def test_a_post_of_a_forum_is_asked_of_the_bot_unless_it_waits_for_mentions(mode: Mode, post: str) -> None:
    assert heard_as(POST, mode) == post
    assert heard_as(POST, mode, muted=True) == "ignored"


def test_a_channel_that_nobody_set_has_the_default() -> None:
    assert listen(FOLLOW_UP, Channel(), Mode.THREAD, has_asked=True) == MESSAGE
    assert listen(FOLLOW_UP, Channel(), Mode.MENTION, has_asked=True) is None


@pytest.mark.parametrize("heard", [TOP, FOLLOW_UP, MENTION, POST, Heard(MESSAGE, direct=True, in_thread=True)])
@pytest.mark.parametrize("mode", Mode)
def test_the_past_is_asked_for_whenever_it_matters(heard: Heard, mode: Mode) -> None:
    channel = Channel(mode)
    differs = listen(heard, channel, mode, has_asked=True) != listen(heard, channel, mode, has_asked=False)
    assert not differs or needs_past(heard, channel)
