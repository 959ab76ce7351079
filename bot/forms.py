"""The windows in which people write more than a button says, the same on every platform."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from core.redaction import redact

FEEDBACK, SOURCES, CORRECT, TEACH, EDIT_DRAFT, ANSWER = "feedback", "sources", "correct", "teach", "edit_draft", "handoff_answer"
_COMPLAINTS = {
    "wrong": "It is wrong",
    "outdated": "It is out of date",
    "incomplete": "It leaves something out",
    "rude": "The tone is not right",
    "other": "Something else",
}
_CAUSES = {
    "wrong_passage": "It used the wrong passage",
    "wrong_text": "The passage is right, its words are not",
    "should_have_abstained": "It should have said nothing",
    "missing_faq": "The help articles lack this",
}
_NO_NAMES = "Best in words of your own, without names or other personal data."


class Field(NamedTuple):
    """One thing to write, or to choose where there are `options`; `menu`: they are too many to be shown at once."""

    name: str
    label: str
    text: str = ""
    hint: str = ""
    optional: bool = False
    options: Mapping[str, str] = {}
    menu: bool = False


class Form(NamedTuple):
    """A window; `submit` is the word on its button."""

    name: str
    title: str
    submit: str
    fields: tuple[Field, ...]


def feedback() -> Form:
    """Return the question what was wrong with an answer."""
    return Form(FEEDBACK, "What went wrong?", "Send", (
        Field("reason", "What is wrong with the answer?", options=_COMPLAINTS),
        Field("note", "What would have helped?", optional=True),
    ))  # fmt: skip


def correction(question: str, answer: str) -> Form:
    """Return the form in which staff correct an answer; personal data in the question is masked."""
    return Form(CORRECT, "Correct this answer", "Propose", (
        Field("question", "Question", redact(question), _NO_NAMES),
        Field("answer", "What should have been answered", answer),
        Field("cause", "What went wrong", options=_CAUSES, menu=True),
    ))  # fmt: skip


def lesson(question: str, answer: str) -> Form:
    """Return the form that makes a FAQ entry of a conversation; personal data in the question is masked."""
    fields = (Field("question", "Question", redact(question), _NO_NAMES), Field("answer", "Answer", answer))
    return Form(TEACH, "Teach Frontdesk", "Propose", fields)


def edited_draft(text: str) -> Form:
    """Return the form in which staff change a draft before it is sent."""
    return Form(EDIT_DRAFT, "Edit the draft", "Send", (Field("text", "What the customer gets", text),))


def answer() -> Form:
    """Return the form in which staff answer a customer who is handed over."""
    return Form(ANSWER, "Reply to the customer", "Send", (Field("text", "What the customer gets"),))
