"""What stands in the windows of both platforms before anybody has written in them."""

from __future__ import annotations

from bot import forms


def test_a_question_comes_masked_into_every_window_and_an_answer_as_it_is() -> None:
    asked, answer = "I am ann@example.com, how do I pay?", "Write to us@shop.example."
    for form in (forms.correction(asked, answer), forms.lesson(asked, answer)):
        fields = {field.name: field.text for field in form.fields}
        assert (fields["question"], fields["answer"]) == ("I am [email], how do I pay?", answer)
