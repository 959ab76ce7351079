"""Models that serve, a challenger, and what became of their answers: something for the page to show."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from core.domain import utc_now
from core.learning import Doing, LearningRun, Report, State
from core.registry import Alias, HostReport, Kind, Load, ModelFile, ModelVersion, Seat, Step, VersionRecord
from core.storage.learning_runs import SqlRunBook
from tests.bot.console.desk import Desk
from tests.core.training import reports

CHAMPION, CHALLENGER, OLDER = "support-llm@3f9a1c2b7d04", "support-llm@8c21d90ab3fe", "smollm2-135m@0d1e2f3a4b5c"


RUN = "c0ffee" * 5 + "00"  # the newest that has ended


async def learnt(desk: Desk, report: Report | None = None, *, running: bool = True) -> None:
    """Keep runs of the loop: one for each way to end, and one that goes on."""
    book, reason = SqlRunBook(desk.graph.database), "Better by 0.459 in ROUGE-L, but right to abstain got worse: -0.067 (-0.133 to -0.017)."
    for number, state in enumerate((State.FAILED, State.NOTHING, State.PROMOTED, State.CHALLENGER)):
        kind = Kind.EMBEDDER if state is State.PROMOTED else Kind.GENERATOR
        run = LearningRun(RUN if state is State.CHALLENGER else f"{number:032}", kind, "cli:ops", State.RUNNING, utc_now())
        await book.begin(run)
        found = (report or reports.report()) if state in (State.PROMOTED, State.CHALLENGER) else None
        await book.end(replace(run, state=state, model_id=CHALLENGER, against=CHAMPION, reason=reason, report=found))
    if running:
        await book.begin(LearningRun("a" * 32, Kind.GENERATOR, "schedule", State.RUNNING, utc_now()))
        await book.beat("a" * 32, Doing("train", 12, 34, 0.4567, 250.0))


async def stocked(desk: Desk) -> None:
    """Register three generators, let one serve and one be tried, have a process say so, and keep what was learnt."""
    await learnt(desk)
    registry, log = desk.graph.model_registry, desk.graph.version_log
    for number, model_id in enumerate((OLDER, CHAMPION, CHALLENGER)):
        scores = {} if model_id == OLDER else {"rouge_l": 0.31 + number / 50, "grounded": 0.9 + number / 50}
        base = "" if model_id == OLDER else "HuggingFaceTB/SmolLM2-135M-Instruct"
        made = {"created_by": "cli:ops", "created_at": utc_now() - timedelta(days=30 - 10 * number)}
        files = (ModelFile("adapter_model.safetensors", 538_000_000 >> (number * 3), "0" * 64),)
        await registry.register(ModelVersion(model_id, Kind.GENERATOR, f"artifact:{model_id}", base, files, scores=scores, **made))
    for model_id in (OLDER, CHAMPION):
        await registry.assign(Kind.GENERATOR, Alias.CHAMPION, model_id, Step.PROMOTE, "cli:ops")
    await registry.assign(Kind.GENERATOR, Alias.CHALLENGER, CHALLENGER, Step.PROMOTE, "slack:T1:U1", share=10)
    for model_id, count in ((CHAMPION, 240), (CHALLENGER, 30)):
        for number in range(count):
            await log.add(model_id, VersionRecord(1.1 + number % 7 / 10, number % 9 == 0, number % 5 == 0, None))
    seats = (
        Seat(Alias.CHAMPION, CHAMPION, True, Load(2, 7, 61.0)),
        Seat(Alias.CHALLENGER, CHALLENGER, False, Load(), "not enough memory: 1.2 GB are free, 2.4 GB are needed"),
    )
    await desk.graph.host_board.report(
        HostReport("web-1:4711", seats, 99, f"{CHAMPION} serves since 14:02, 3 golden questions right", utc_now())
    )
