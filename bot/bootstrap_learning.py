"""The part of the object graph that learns from what staff approved; with `bot/bootstrap.py` the only namer of concrete classes."""

from __future__ import annotations

import asyncio
import logging
import threading
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from bot.bootstrap import Frontdesk
from bot.bootstrap_control import control_of
from bot.bootstrap_evaluation import Asked, judge_of, supported, written_by
from bot.bootstrap_models import announce, chosen_base, follow_settings, tried, version_of
from bot.bootstrap_retuning import retuned
from bot.bootstrap_training import Count, Material, base_of, material_of, origin_of, train_answers, trained_from
from bot.learning_news import headline, news
from bot.learning_pace import Pace
from core import prompting
from core.audit import STARTED
from core.domain import utc_now
from core.errors import FrontdeskError, ModelError, StorageError, TrainingError
from core.learning import BEAT_SECONDS, STOPPED, LearningRun, Loss, Report, RunBook, Sample, State
from core.registry import ARTIFACT, EXTRACTIVE, REMOTE, Alias, Kind, ModelVersion, Step
from core.staff.model_control import HEARD_SECONDS
from core.staff.run_control import SILENTLY
from core.storage.learning_runs import SqlRunBook
from core.training import report as reports
from core.training import workplace
from core.training.dataset import Row
from core.training.evaluation import Written, bare
from core.training.gate import judge
from core.training.progress import Progress, Watch
from core.training.recipe import Recipe
from core.training.report_of import report_of, samples

logger = logging.getLogger(__name__)

MOST_JUDGED = 500  # held-out questions, evenly spread: a standard error of 0.02 where answers differ by 0.45, in minutes on two cores
_OF_RETRIEVAL = frozenset({"recall@1", "recall@3", "mrr"})
_ACTION = "learning.run"
_NAME = "answers"  # of the versions; the digits of each are its own


class Wanted(NamedTuple):
    """What is learnt from, and how; `retriever` tells whether that is tuned first, and published where it finds better."""

    recipe: Recipe
    knowledge: str | None = None
    base: str | None = None
    retriever: bool = True


def run_book_of(graph: Frontdesk) -> RunBook:
    """Where runs are kept."""
    return SqlRunBook(graph.database)


async def learn(graph: Frontdesk, wanted: Wanted, actor: str, count: Count, watch: Watch) -> LearningRun:
    """Do one run of the loop and return how it ended; staff are told, unless there was nothing to learn or it will be gone on with.

    Raises `FrontdeskError`, after the run has been ended as failed.
    """
    run = LearningRun(uuid.uuid4().hex, Kind.GENERATOR, actor, State.RUNNING, utc_now())
    try:
        await run_book_of(graph).begin(run)
    except FrontdeskError as error:
        await graph.audit_log.record(actor, _ACTION, wanted.knowledge or "", "refused", problem=str(error))
        raise
    await graph.audit_log.record(actor, _ACTION, run.run_id, STARTED, recipe=str(wanted.recipe))
    stop, pace = threading.Event(), Pace(count, watch)
    try:
        async with _alive(graph, run, pace):
            run = await _ran(graph, run, wanted, pace.count, _until(stop, pace.watch))
    except BaseException as error:
        run = replace(run, state=State.FAILED, reason=_why(error))
        raise
    finally:
        stop.set()
        await _ended(graph, run)
    return run


def _why(error: BaseException) -> str:
    """Return why a run has failed, in words for people."""
    if isinstance(error, FrontdeskError):
        return str(error)
    return STOPPED if isinstance(error, asyncio.CancelledError) else f"It broke off ({type(error).__name__}): see the log."


async def _ran(graph: Frontdesk, run: LearningRun, wanted: Wanted, count: Count, watch: Watch) -> LearningRun:
    """Go through the steps of a run and return how it ended."""
    if find_spec("trl") is None:
        raise TrainingError("Learning needs packages that are not installed: pip install 'frontdesk[local,train]'")
    await follow_settings(graph, only_first=True)
    await judge_of(graph)  # what is set must be there before hours of training
    champion, recipe = await version_of(graph, None), wanted.recipe
    base = await base_of(graph, wanted.base or await _base_of(graph, champion, recipe))
    found = await retuned(graph, wanted.knowledge, run.actor, count, watch) if wanted.retriever else ""
    material = await material_of(graph, wanted.knowledge, recipe, count)
    run = replace(run, against=champion.model_id)
    if known := await learnt_before(graph, material.sha256, recipe, base[0], run.against):
        nothing = f"Nothing new was approved since {known} was trained."
        return replace(run, state=State.NOTHING, model_id=known, reason=_sentences(found, nothing))
    losses: list[Loss] = []
    folder, outcome = await asyncio.to_thread(train_answers, graph, base, recipe, material, None, _noting(losses, watch))
    version = await _taken(graph, folder, run.actor, count)
    curve = (Loss(0, None, outcome.before), *losses)
    report = await _report(graph, champion, version, material, curve, count)
    version = replace(version, scores={**version.scores, **_scores(report)})
    await graph.model_registry.register(version)
    judgement = judge(report, recipe.held_out)
    run = replace(run, model_id=version.model_id, report=report, reason=_sentences(found, judgement.reason))
    if judgement.passes:
        run = await promoted(graph, run)
    else:  # what is open is watched; what is no better, or worse, need not take anybody's time
        await _set_beside(graph, run, version.model_id if judgement.corrections else "")
        run = replace(run, state=State.CHALLENGER)
    await asyncio.to_thread(workplace.tidy, folder)
    return run


def _sentences(*said: str) -> str:
    return " ".join(filter(None, said))


async def _base_of(graph: Frontdesk, champion: ModelVersion, recipe: Recipe) -> str:
    """Return the model to train: that of the champion, or the best at hand.

    A whole model is trained from what the champion was trained from, as an adapter is: else each run would stand on all before it.
    """
    if recipe.adapter == "full" and (origin := await origin_of(graph, champion)):
        return origin
    if champion.base:
        return champion.base
    has_weights = champion.location != EXTRACTIVE and not champion.location.startswith(REMOTE)
    return champion.model_id if has_weights else await asyncio.to_thread(chosen_base, graph)


async def learnt_before(graph: Frontdesk, dataset_sha256: str, recipe: Recipe, base: str, champion: str) -> str:
    """Return the version that was trained on the same data with the same recipe and base, empty when there is none.

    One that was registered but not judged, because its run was stopped just then, is none: the next run has to go on to its end.
    """
    judged = {champion, *(run.model_id for run in await run_book_of(graph).runs())}
    for one in await graph.model_registry.versions(Kind.GENERATOR):
        is_same = one.dataset_sha256 == dataset_sha256 and one.recipe.startswith(f"{recipe} ")
        if is_same and one.model_id in judged and trained_from(graph, one) in (base, f"{ARTIFACT}{base}"):
            return one.model_id
    return ""


async def _taken(graph: Frontdesk, folder: Path, actor: str, count: Count) -> ModelVersion:
    known = await graph.model_registry.versions()
    return await asyncio.to_thread(graph.artifacts.take, str(folder), known, name=_NAME, actor=actor, watch=count)


async def _report(
    graph: Frontdesk, champion: ModelVersion, version: ModelVersion, material: Material, losses: tuple[Loss, ...], count: Count
) -> Report:
    """Let both versions answer what is held out, and compare them."""
    rows = spread(material.parts.held_out)
    questions = [question_of(row, material) for row in rows]
    old = await written_by(graph, champion, questions, lambda step, done, total: count(f"{step} before", done, total))
    new = await written_by(graph, version, questions, lambda step, done, total: count(f"{step} after", done, total))
    knowledge = material.figures["versions"]["knowledge"]
    old = await supported(graph, knowledge, old, lambda step, done, total: count(f"{step} before", done, total))
    new = await supported(graph, knowledge, new, lambda step, done, total: count(f"{step} after", done, total))
    told = material.figures["versions"] | {"model": version.model_id, "against": champion.model_id, "recipe": version.recipe}
    found = report_of(old, new, losses=losses, versions=told)
    return replace(found, before=_of_answers(found.before), after=_of_answers(found.after), samples=shown(rows, old, new))


def _of_answers(found: Mapping[str, float | None]) -> dict[str, float | None]:
    """Return the figures of answers, without those of retrieval: the right passage was put into these prompts at a place by chance."""
    return {name: value for name, value in found.items() if name not in _OF_RETRIEVAL}


def spread(rows: Sequence[Row], most: int = MOST_JUDGED) -> list[Row]:
    """Return `most` rows, evenly spread over all."""
    return [rows[place * len(rows) // most] for place in range(most)] if len(rows) > most else list(rows)


def question_of(row: Row, material: Material) -> Asked:
    """Return a held-out row as it is asked: its own prompt, and the right answer, which is empty where that is to abstain."""
    meta, answer = row["meta"], row["messages"][-1]["content"]
    prompt = material.prompts[meta["id"]]
    if prompting.abstains(answer):
        return Asked(prompt, "", frozenset())
    return Asked(prompt, bare(answer), frozenset({meta["passage_id"]}))


def shown(rows: Sequence[Row], old: Sequence[Written], new: Sequence[Written]) -> tuple[Sample, ...]:
    """Return the samples of a report; it outlives erasures, so no question in a customer's own words is in it."""
    kept = [number for number, row in enumerate(rows) if not row["meta"]["own_words"]]
    return samples([old[number] for number in kept], [new[number] for number in kept])


def _scores(report: Report) -> dict[str, float]:
    return {name: float(value) for name, value in report.after.items() if value is not None}


async def promoted(graph: Frontdesk, run: LearningRun) -> LearningRun:
    """Let a version serve, as `frontdesk models promote` does, but only in place of the one it was compared with."""
    current = await graph.model_registry.current(Kind.GENERATOR, Alias.CHAMPION)
    if current is None or current.model_id != run.against:
        other = f"{current.model_id} serves since {current.assigned_at:%Y-%m-%d %H:%M} UTC ({current.actor})" if current else "None serves"
        return replace(run, state=State.CHALLENGER, reason=f"{run.reason} But it was not promoted: {other}, not {run.against} any more.")
    try:
        if not await graph.host_board.reports(HEARD_SECONDS):
            await tried(graph, run.model_id)
        await control_of(graph).promote(run.model_id, run.actor, after=current.assignment_id)
    except ModelError as error:
        return replace(run, state=State.FAILED, reason=f"{run.reason} But it was not promoted: {error}")
    await _set_beside(graph, run, "")
    return replace(run, state=State.PROMOTED)


async def _set_beside(graph: Frontdesk, run: LearningRun, model_id: str) -> None:
    """Let a version write silently beside the champion in place of that of an earlier run, unless somebody tries another one there."""
    current = await graph.model_registry.current(Kind.GENERATOR, Alias.CHALLENGER)
    there = current.model_id if current else ""
    if there == model_id or (current and there and not current.reason.startswith(SILENTLY)):
        return
    step, after = Step.PROMOTE if model_id else Step.CLEAR, current.assignment_id if current else 0
    why = f"{SILENTLY} {run.run_id}"
    await graph.model_registry.assign(Kind.GENERATOR, Alias.CHALLENGER, model_id, step, run.actor, reason=why, after=after)


@asynccontextmanager
async def _alive(graph: Frontdesk, run: LearningRun, pace: Pace) -> AsyncIterator[None]:
    """Say again and again that a run goes on, and how far it is."""

    async def beat() -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            with suppress(StorageError):  # it comes back
                await run_book_of(graph).beat(run.run_id, pace.doing)

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()


async def _ended(graph: Frontdesk, run: LearningRun) -> None:
    """Keep how a run ended, write its report, and tell staff."""
    await run_book_of(graph).end(run)
    await graph.audit_log.record(
        run.actor, _ACTION, run.run_id, run.state.value, model=run.model_id, against=run.against, reason=run.reason
    )
    if run.report:
        try:
            await asyncio.to_thread(_write, report_files(graph, run), run.report, headline(run))
        except OSError as error:  # it is in the database too, and staff must hear of what serves now
            logger.error("the report of run %s was not written: %s", run.run_id, error)
    if run.state is not State.NOTHING and run.reason != STOPPED:
        await announce(graph, news(run, graph.settings.console.public_url), f"run-{run.run_id}", run.run_id)


def report_files(graph: Frontdesk, run: LearningRun) -> tuple[Path, Path]:
    """Return where the report of a run is: a page, and Markdown."""
    folder = graph.settings.data_dir / "training" / "reports"
    return folder / f"{run.run_id}.html", folder / f"{run.run_id}.md"


def _write(files: tuple[Path, Path], report: Report, title: str) -> None:
    files[0].parent.mkdir(parents=True, exist_ok=True)
    for file, made in zip(files, (reports.html, reports.markdown), strict=True):
        file.write_text(made(report, title), encoding="utf-8")


def _noting(losses: list[Loss], watch: Watch) -> Watch:
    """Keep the learning curve on the way."""
    seen: list[float | None] = [None]

    def note(now: Progress) -> None:
        watch(now)
        losses.append(Loss(now.step, now.loss, now.held_out if now.held_out != seen[0] else None))
        seen[0] = now.held_out

    return note


def _until(stop: threading.Event, watch: Watch) -> Watch:
    """End training at its next step once a run was stopped: a thread cannot be cancelled."""

    def checked(now: Progress) -> None:
        if stop.is_set():
            raise TrainingError(STOPPED)
        watch(now)

    return checked
