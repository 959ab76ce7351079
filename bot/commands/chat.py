"""`frontdesk chat`: the same engine in the terminal."""

from __future__ import annotations

import asyncio
import uuid

import click
from rich.live import Live
from rich.markdown import Markdown

from bot.bootstrap import Frontdesk
from bot.bootstrap_models import generator_of
from bot.commands.ask import terminal_message
from bot.dispatch import NotAcceptedError
from bot.live import Line, LiveAdapter
from bot.terminal import out, with_frontdesk
from core.domain import Reply


@click.command()
@click.option("--knowledge", metavar="NAME", help="Knowledge base to talk to; by default the configured one.")
def command(knowledge: str | None) -> None:
    """Chat in the terminal; an empty line or Ctrl-D ends.

    \b
    Example:
      frontdesk chat --knowledge default
    """
    with_frontdesk(lambda graph: _chat(graph, knowledge))


async def _chat(graph: Frontdesk, knowledge: str | None) -> None:
    name = await graph.served_knowledge(knowledge)
    generator, adapter = await generator_of(graph), LiveAdapter("terminal")
    engine = await graph.engine(graph.retriever(name), generator)
    out.print(f"Knowledge [bold]{name}[/bold], model [bold]{generator.version}[/bold]. An empty line ends.", style="dim")
    line, thread_id = Line(graph.dispatch, graph.inbox, adapter), uuid.uuid4().hex
    adapters = {adapter.platform: adapter}
    async with asyncio.TaskGroup() as tasks:
        parts = [tasks.create_task(graph.worker(engine, adapters).run()), tasks.create_task(graph.courier(adapters).run())]
        while text := await asyncio.to_thread(_read_line):
            await _turn(line, text, thread_id)
        for part in parts:
            part.cancel()
    await generator.aclose()


def _read_line() -> str:
    try:
        return out.input("[bold cyan]You:[/bold cyan] ").strip()
    except (EOFError, KeyboardInterrupt):
        return ""


async def _turn(line: Line, text: str, thread_id: str) -> None:
    shown = ""
    with Live(console=out, transient=True, refresh_per_second=8) as live:
        try:
            async for said in line.say(terminal_message(text, thread_id)):
                if isinstance(said, Reply):
                    live.stop()
                    _show(said)
                else:
                    shown += said
                    live.update(Markdown(shown))
        except NotAcceptedError as error:
            out.print(str(error), style="red")


def _show(reply: Reply) -> None:
    out.print(Markdown(reply.text))
    for number, citation in enumerate(reply.citations, 1):
        out.print(f"[{number}] {citation.title}", style="dim", markup=False)
    out.print()
