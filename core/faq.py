"""What an approved correction makes of the FAQ."""

from __future__ import annotations

from core.corrections import Cause, Correction
from core.domain import Passage
from core.text import fold

SOURCE = "corrections"  # the source of FAQ rows that corrections made or changed: importing a file leaves them alone


def replaces(correction: Correction, cited: Passage | None) -> bool:
    """Tell whether a correction takes the place of the passage that was cited.

    Only of a FAQ row whose words were wrong: a section of a document says more than one answer, and a passage that was wrong here is right
    for another question.
    """
    return correction.draft.cause is Cause.WRONG_TEXT and cited is not None and cited.curated


def row_of(correction: Correction, cited: Passage | None) -> Passage | None:
    """Return the FAQ row that a correction becomes, None when the right thing was to say nothing.

    A wrong text is replaced under its id, with all the wordings that lead to it; anything else is a row of its own, which as a whole
    answer to the very question outranks what was found before.
    """
    draft = correction.draft
    if not draft.cause.wants_answer:
        return None
    if cited is not None and replaces(correction, cited):
        wordings = _different(cited.title, (*cited.alternatives, draft.question, *draft.alternatives))
        return Passage(
            cited.passage_id, cited.document_id, cited.title, draft.answer, wordings, cited.url, cited.category, cited.locale, cited.tags
        )
    row_id = f"correction-{correction.correction_id}"
    return Passage(row_id, row_id, draft.question, draft.answer, _different(draft.question, draft.alternatives))


def _different(title: str, wordings: tuple[str, ...]) -> tuple[str, ...]:
    """Return the wordings that match differently from the title and from one another."""
    by_match = {fold(wording).lower(): wording for wording in reversed(wordings)}
    by_match.pop(fold(title).lower(), None)
    return tuple(reversed(by_match.values()))
