"""`frontdesk ask`: one turn, printed."""

from __future__ import annotations

import uuid

import click
from rich.markdown import Markdown

from bot.bootstrap import Frontdesk
from bot.bootstrap_models import generator_of
from bot.reply_document import reply_document
from bot.terminal import out, print_json, with_frontdesk
from core.domain import Actor, Address, InboundMessage, Reply


@click.command()
@click.argument("question")
@click.option("--knowledge", metavar="NAME", help="Knowledge base to ask; by default the configured one.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def command(question: str, knowledge: str | None, as_json: bool) -> None:
    """Ask one question and print the answer.

    \b
    Example:
      frontdesk ask "How do I connect Slack?" --json
    """
    reply = with_frontdesk(lambda graph: _ask(graph, question, knowledge))
    if as_json:
        print_json(reply_document(reply))
    else:
        _show(reply)


async def _ask(graph: Frontdesk, question: str, knowledge: str | None) -> Reply:
    retriever = graph.retriever(await graph.served_knowledge(knowledge))
    generator = await generator_of(graph)
    engine = await graph.engine(retriever, generator)
    message = terminal_message(question, thread_id=uuid.uuid4().hex)
    try:
        reply = await engine.reply(message)
    finally:
        await generator.aclose()
    await graph.conversation_log.append(message, reply)
    return reply


def terminal_message(text: str, thread_id: str) -> InboundMessage:
    """Return a message typed in the terminal conversation `thread_id`."""
    address = Address("terminal", "local", "terminal", thread_id)
    return InboundMessage(uuid.uuid4().hex, address, Actor("operator"), text)


def _show(reply: Reply) -> None:
    out.print(Markdown(reply.text or "(silent)"))
    for number, citation in enumerate(reply.citations, 1):
        link = f"  {citation.url}" if citation.url else ""
        out.print(f"[{number}] {citation.title}{link}", style="dim", markup=False)
    out.print(f"{reply.decision.value}, confidence {reply.confidence:.2f}, {reply.timings_ms.total:.0f} ms", style="dim")
