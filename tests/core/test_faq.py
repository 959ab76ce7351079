"""What each cause of a correction makes of the FAQ."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.corrections import Cause, Correction, CorrectionDraft
from core.domain import Passage, utc_now
from core.faq import replaces, row_of

DRAFT = CorrectionDraft("t", "How long does a parcel take?", "4 days.", Cause.WRONG_TEXT, "console:ann", "console", ("And a parcel?",))
CITED = Passage("ship-1", "ship", "Shipping time", "3 days.", ("Parcel?",), "https://shop.example", "ship", "en", ("a",))


def correction(cause: Cause, **more: object) -> Correction:
    return Correction("c1", replace(DRAFT, cause=cause, **more), utc_now())  # type: ignore[arg-type]


def test_a_wrong_text_is_replaced_under_its_id_and_found_by_every_wording() -> None:
    row = row_of(correction(Cause.WRONG_TEXT), CITED)
    assert row == replace(CITED, text="4 days.", alternatives=("Parcel?", "How long does a parcel take?", "And a parcel?"))


@pytest.mark.parametrize("cause", [Cause.WRONG_PASSAGE, Cause.MISSING_FAQ])
def test_what_was_missing_or_not_found_becomes_a_row_of_its_own(cause: Cause) -> None:
    row = row_of(correction(cause), CITED)
    assert row == Passage("correction-c1", "correction-c1", DRAFT.question, "4 days.", ("And a parcel?",))
    assert not replaces(correction(cause), CITED)


@pytest.mark.parametrize("cited", [None, replace(CITED, curated=False)], ids=["gone", "section of a document"])
def test_a_wrong_text_that_is_no_faq_row_is_outranked_instead(cited: Passage | None) -> None:
    row = row_of(correction(Cause.WRONG_TEXT), cited)
    assert row is not None
    assert (row.passage_id, row.title, row.curated) == ("correction-c1", DRAFT.question, True)


def test_where_nothing_should_have_been_said_nothing_enters_the_faq() -> None:
    assert row_of(correction(Cause.SHOULD_HAVE_ABSTAINED), CITED) is None


def test_wordings_that_match_alike_are_kept_once() -> None:
    said = correction(Cause.MISSING_FAQ, alternatives=("HOW LONG DOES A PARCEL TAKE?", "and a parcel?", "And a  parcel?"))
    row = row_of(said, None)
    assert row is not None
    assert row.alternatives == ("and a parcel?",)
