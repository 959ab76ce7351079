"""`frontdesk evaluate answers`: what a model writes, against references, passages and another model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from bot.bootstrap import Frontdesk
from bot.bootstrap_evaluation import Asked, Row, asked, judge_of, perplexity, supported, written
from bot.commands import report_file
from bot.terminal import err, out, print_json, progress, with_frontdesk
from core.learning import Interval, Report
from core.training.evaluation import Written, figures
from core.training.report_of import report_of

_COLUMNS = {"question": str, "reference": (str, type(None)), "relevant": list}


@click.command("answers")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--knowledge", metavar="NAME", help="Knowledge base; by default the configured one.")
@click.option("--model", metavar="ID", help="A registered version; by default the one that serves.")
@click.option("--against", metavar="ID", help="A version to compare with, on the same questions.")
@click.option("--limit", type=click.IntRange(1), help="So many questions, evenly spread over the file.")
@click.option("--perplexity", "with_perplexity", is_flag=True, help="How surprised the model is by the references, too; loads it again.")
@click.option("--report", type=report_file.PATH, help="With --against: where the comparison is written, as .html or .md.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document with every figure.")
def command(
    file: Path,
    knowledge: str | None,
    model: str | None,
    against: str | None,
    limit: int | None,
    with_perplexity: bool,
    report: Path | None,
    as_json: bool,
) -> None:
    """Let a model answer {"question", "reference", "relevant": [ids]}: ROUGE-L, BLEU, chrF, citation, groundedness, abstention.

    Every question goes to the model with the passages that retrieval finds. Where `relevant` is empty the right answer is to abstain;
    `"withheld": [ids]` keeps passages out of the prompt. With --against, differences carry 95 % intervals (paired bootstrap).

    \b
    Example:
      frontdesk evaluate answers questions.jsonl --model support@1a2b3c4d5e6f --against extractive --report report.html
    """
    from bot.commands.evaluate import read_rows

    if report and not against:
        raise click.UsageError("--report writes a comparison: name the other version with --against ID")
    rows = _spread(list[Row](read_rows(file, _COLUMNS)), limit)
    document, found = with_frontdesk(lambda graph: _measured(graph, rows, knowledge, model, against, with_perplexity=with_perplexity))
    if report and found:
        report_file.write(report, found, f"{found.versions['model']} against {found.versions['against']}, {file.name}")
        err.print(f"The report is in {report}", soft_wrap=True)
    if as_json:
        print_json(document)
    else:
        _print(document)


async def _measured(
    graph: Frontdesk, rows: list[Row], knowledge: str | None, model: str | None, against: str | None, *, with_perplexity: bool
) -> tuple[dict[str, Any], Report | None]:
    served, judge = await graph.served_knowledge(knowledge), await judge_of(graph)
    with progress() as count:
        questions, versions = await asked(graph, served, rows, count)
    versions |= {"entailment": judge} if judge else {}
    name, answers = await _answered(graph, served, model, questions)
    surprise = {"perplexity": await _perplexity(graph, name, questions) if with_perplexity else None}
    document = figures(answers) | surprise | {"versions": versions | {"model": name}}
    if not against:
        return document, None
    other, before = await _answered(graph, served, against, questions)
    report = report_of(before, answers, versions={"model": name, "against": other, **versions})
    surprised = {"perplexity": await _perplexity(graph, other, questions) if with_perplexity else None}
    report = replace(report, before={**report.before, **surprised}, after={**report.after, **surprise})
    document["against"] = {**report.before, "model": other}
    document["difference"] = {name: found._asdict() for name, found in report.differences.items()}
    return document, report


async def _answered(graph: Frontdesk, knowledge: str, model_id: str | None, questions: list[Asked]) -> tuple[str, list[Written]]:
    with progress() as count:
        name, answers = await written(graph, model_id, questions, count)
        return name, await supported(graph, knowledge, answers, count)


async def _perplexity(graph: Frontdesk, model_id: str, questions: list[Asked]) -> float | None:
    with progress() as count:
        return await perplexity(graph, model_id, questions, count)


def _spread(rows: list[Row], limit: int | None) -> list[Row]:
    if limit is None or limit >= len(rows):
        return rows
    return [rows[place * len(rows) // limit] for place in range(limit)]


def _print(document: dict[str, Any]) -> None:
    other = document.get("against", {})
    table = Table("figure", document["versions"]["model"], *([other["model"], "difference (95 %)"] if other else []))
    for name, value in document.items():
        if name not in ("versions", "against", "difference"):
            found = document.get("difference", {}).get(name)
            more = [_shown(other.get(name)), _told(Interval(**found)) if found else ""] if other else []
            table.add_row(name, _shown(value), *more)
    out.print(table)


def _shown(value: Any) -> str:
    return "-" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)


def _told(found: Interval) -> str:
    return f"{found.difference:+.3f} ({found.low:+.3f} to {found.high:+.3f})"
