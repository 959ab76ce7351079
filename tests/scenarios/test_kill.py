"""Workers are killed all the time and the platform breaks off: every message is answered once and in order. And the trial can tell."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from core.errors import LeaseLostError
from core.storage.conversation_log import SqlConversationLog
from core.storage.database import Database
from core.storage.inbox import SqlInbox
from tests.bench.delivery import Trial, run
from tests.bench.delivery_worker import UnfencedInbox
from tests.core.delivery.scripted import HERE, let_leases_run_out, message, reply

pytestmark = pytest.mark.slow
TRIAL = Trial(messages=300, conversations=60, workers=4, kill_every=0.4)
FAULTS = ("lost", "twice", "out_of_order")


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_killed_workers_lose_nothing_repeat_nothing_and_keep_the_order(kind: str, new_database_url: Callable[[str], str]) -> None:
    figures = await run(TRIAL, new_database_url(kind))
    assert {name: figures[name] for name in FAULTS} == dict.fromkeys(FAULTS, 0), figures
    assert figures["complete"], figures
    assert figures["messages"] == 300
    assert figures["kills"] >= 10, figures
    assert figures["takeovers"] > 0, figures
    assert figures["sends_repeated"] > 0, figures


async def test_the_trial_notices_an_adapter_that_does_not_look_before_it_sends_again(new_database_url: Callable[[str], str]) -> None:
    trial = replace(TRIAL, messages=60, conversations=20, workers=2, kill_every=None, reset=0.5, broken="look")
    figures = await run(trial, new_database_url("sqlite"))
    assert figures["twice"] > 0, figures


@pytest.mark.parametrize(("inbox", "answered"), [(SqlInbox, ["by the second"]), (UnfencedInbox, ["by the second", "by the first"])])
async def test_only_the_fence_keeps_a_holder_whose_lease_ran_out_from_answering_again(
    inbox: type[SqlInbox], answered: list[str], open_database: Callable[[str], Awaitable[Database]]
) -> None:
    """The trial meets it too seldom to be a test: a pause of a whole lease, and another message that joins the turn meanwhile."""
    database = await open_database("sqlite")
    box = inbox(database)
    await box.accept(message(1))
    first = await box.claim(60)
    await let_leases_run_out(database)
    await box.accept(message(2))
    second = await box.claim(60)
    assert first and second
    await box.finish(second, reply("by the second"))
    if inbox is UnfencedInbox:
        await box.finish(first, reply("by the first"))
    else:
        with pytest.raises(LeaseLostError):
            await box.finish(first, reply("by the first"))
    assert [turn.reply.text for turn in await SqlConversationLog(database).turns(HERE)] == answered
