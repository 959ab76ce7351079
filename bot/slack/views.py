"""The modals and the App Home."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

from bot import forms, replies
from bot.layout import Run, run_text
from bot.parting import cut
from bot.slack.kit import (
    MAX_METADATA,
    MAX_TITLE,
    Block,
    actions,
    body,
    button,
    choice,
    context,
    header,
    option,
    plain_text,
    quotation,
    section,
    text_input,
)  # fmt: skip
from bot.slack.mrkdwn import MRKDWN, is_live, link
from bot.slack.sections import fit
from core import markup
from core.domain import Passage
from core.text import clean

View: TypeAlias = dict[str, Any]

_MAX_PASSAGES = 10
_MAX_PASSAGE = 3000
_MAX_PASSAGE_TITLE = 200
_MAX_EXAMPLES = 5
_MAX_RECENT = 10


class Asked(NamedTuple):
    """One of a user's questions, as their Home tells them; `state` is in words."""

    question: str
    state: str
    permalink: str = ""


def feedback_modal(turn_id: str) -> View:
    """Return the question what was wrong with an answer; fields `reason` and `note`."""
    return _window(forms.feedback(), turn_id)


def sources_modal(passages: Sequence[Passage]) -> View:
    """Return the sources of an answer with their text."""
    return _modal(forms.SOURCES, "Sources", _shown(passages) or [section(replies.NO_SOURCES)])


def correction_modal(turn_id: str, question: str, answer: str, passages: Sequence[Passage]) -> View:
    """Return the form in which staff correct an answer; fields `question`, `answer` and `cause`."""
    read = [section("*What the answer was taken from*"), *_shown(passages)] if passages else []
    return _window(forms.correction(question, answer), turn_id, read)


def teach_modal(turn_id: str, question: str, answer: str) -> View:
    """Return the form that makes a FAQ entry of a conversation; fields `question` and `answer`; `turn_id`: where it was asked, or empty."""
    return _window(forms.lesson(question, answer), turn_id)


def edit_draft_modal(turn_id: str, text: str) -> View:
    """Return the form in which staff change a draft before it is sent; field `text`."""
    return _window(forms.edited_draft(text), turn_id)


def answer_modal(handoff_id: str) -> View:
    """Return the form in which staff answer a customer; field `text`."""
    return _window(forms.answer(), handoff_id)


def home(examples: Sequence[str], asked: Sequence[Asked], kept_days: int, name: str = "Frontdesk") -> View:
    """Return the App Home of one user: what the bot is, what may be asked, what they asked, and what is kept of it."""
    about = f"{replies.ABOUT} Write to me here under *Messages*, or mention me in a channel."
    blocks = [header(name), section(about)]
    if examples:
        blocks.append(section("*You could ask*"))
        # A row each: Slack wants the action ids of one row to differ.
        blocks += [actions([button("ask_example", example, example)]) for example in examples[:_MAX_EXAMPLES]]
    blocks.append(section("*What you asked*"))
    blocks += [_asked_row(one) for one in asked[:_MAX_RECENT]] or [section("Nothing yet.")]
    return {"type": "home", "blocks": [*blocks, {"type": "divider"}, *_privacy(kept_days)]}


def _privacy(kept_days: int) -> list[Block]:
    confirm = {
        "title": plain_text("Delete your data?", 100),
        "text": plain_text("The text of everything you asked me will be erased. This cannot be undone.", 300),
        "confirm": plain_text("Delete", 30),
        "deny": plain_text("Keep it", 30),
        "style": "danger",
    }
    buttons = [
        button("privacy_export", "Send me my data"),
        button("privacy_delete", "Delete my data", style="danger", confirm=confirm),
    ]
    return [section(f"*Your data*\n{replies.kept(kept_days)}"), actions(buttons)]


def _asked_row(asked: Asked) -> Block:
    there = f" · {link(asked.permalink, 'open')}" if is_live(asked.permalink) else ""
    return section(f"{quotation(asked.question, 300)}\n{fit(asked.state, 100)}{there}")


def _shown(passages: Sequence[Passage]) -> list[Block]:
    """Return passages to read, each with links only to the addresses written in it."""
    blocks: list[Block] = []
    for passage in passages[:_MAX_PASSAGES]:
        url = passage.url if passage.url and is_live(passage.url) else ""
        title = run_text(Run(cut(clean(passage.title), _MAX_PASSAGE_TITLE) or passage.passage_id, bold=True, url=url), MRKDWN)
        text = body(passage.text, markup.urls(f"{passage.text} {passage.url or ''}"), _MAX_PASSAGE)
        blocks.append(section(title))
        blocks += [section(part) for part in text.texts]
        if text.was_cut:
            blocks.append(context("Cut here: the text goes on."))
    return blocks


def _window(form: forms.Form, metadata: str = "", more: Sequence[Block] = ()) -> View:
    return _modal(form.name, form.title, [*(_field(one) for one in form.fields), *more], form.submit, metadata)


def _field(asked: forms.Field) -> Block:
    if asked.options:
        options = [option(value, text) for value, text in asked.options.items()]
        return choice(asked.name, asked.label, options, "static_select" if asked.menu else "radio_buttons")
    return text_input(asked.name, asked.label, asked.text, optional=asked.optional, hint=asked.hint)


def _modal(callback_id: str, title: str, blocks: list[Block], submit: str = "", metadata: str = "") -> View:
    view: View = {"type": "modal", "callback_id": callback_id, "title": plain_text(title, MAX_TITLE), "blocks": blocks}
    view |= {"close": plain_text("Close" if not submit else "Cancel", MAX_TITLE), "private_metadata": cut(metadata, MAX_METADATA)}
    return view | ({"submit": plain_text(submit, MAX_TITLE)} if submit else {})
