"""Whoever waits on the line sees that it takes longer, in the place of the answer."""

from __future__ import annotations

from bot.live import LiveAdapter
from core.domain import Address, Decision, Reason, Reply, notice, utc_now
from core.ports import Delivery

HERE = Address("web", "local", "chat", "t")


def parcel(reply: Reply, key: str) -> Delivery:
    return Delivery(1, "lease", HERE, "", reply, key, 1, uncertain=False, asked_at=utc_now())


async def test_that_an_answer_takes_longer_is_shown_as_its_preview() -> None:
    adapter = LiveAdapter("web")
    with adapter.listening(HERE) as heard:
        await adapter.send(parcel(notice(Decision.CLARIFY, Reason.DELAYED, "It takes longer."), "late-1"))
        await adapter.send(parcel(notice(Decision.HANDOFF, Reason.FAILED, "Sorry."), "turn-0"))
    assert [heard.get_nowait(), heard.get_nowait()] == ["It takes longer.\n\n", None]
