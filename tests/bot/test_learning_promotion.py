"""A version that has passed takes the place of the one it was compared with, and of no other."""

from __future__ import annotations

from bot.bootstrap import frontdesk
from bot.bootstrap_learning import promoted
from bot.settings import read
from core.domain import utc_now
from core.learning import LearningRun, State
from core.registry import Alias, Kind, ModelVersion, Step

RUN = LearningRun("run-7", Kind.GENERATOR, "schedule", State.RUNNING, utc_now(), None, "new@3", "old@1", "It is better.")


async def test_what_somebody_else_promoted_while_a_run_went_on_is_not_replaced() -> None:
    async with frontdesk(read(), lambda line: None) as graph:
        for model_id in ("old@1", "other@2", "new@3"):
            await graph.model_registry.register(ModelVersion(model_id, Kind.GENERATOR, model_id))
        for model_id in ("old@1", "other@2"):
            await graph.model_registry.assign(Kind.GENERATOR, Alias.CHAMPION, model_id, Step.PROMOTE, "cli:eve")
        run = await promoted(graph, RUN)
        assert run.state is State.CHALLENGER
        assert run.reason.startswith("It is better. But it was not promoted: other@2 serves since ")
        current = await graph.model_registry.current(Kind.GENERATOR, Alias.CHAMPION)
        assert current is not None and current.model_id == "other@2"
