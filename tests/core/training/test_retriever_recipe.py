"""The recipe of a retriever is read and refused like that of answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import TrainingError
from core.training.recipe import read_as
from core.training.retriever_recipe import RetrieverRecipe


def written(folder: Path, text: str) -> Path:
    path = folder / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_what_a_recipe_does_not_name_is_as_by_default(tmp_path: Path) -> None:
    assert read_as(RetrieverRecipe, written(tmp_path, "")) == RetrieverRecipe()
    found = read_as(RetrieverRecipe, written(tmp_path, "matryoshka = [384, 96]\nbatch = 8\nepochs = 1"))
    assert found == RetrieverRecipe(matryoshka=(384, 96), batch=8, epochs=1)
    assert "matryoshka=384,96" in str(found) and "learning_rate=0.0001" in str(found)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("bach = 4", r"no 'bach'\. Did you mean batch"),
        ("rank = 4", r"no 'rank'\. It has: learning_rate, "),
        ("batch = 1", "batch is 1; it must be between 2 and 4096"),
        ("batch = 4.5", "batch is 4.5; it must be of the kind of 64"),
        ("epochs = nan", "epochs is nan"),
        ('matryoshka = ["64"]', r"matryoshka is \['64'\]"),
        ("matryoshka = [4]", r"matryoshka is \[4\]; each number must be between 8 and 8192"),
        ("batch = ", "is no recipe"),
    ],
)
def test_bad_input_a_recipe_that_cannot_be_followed_says_why(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(TrainingError, match=told):
        read_as(RetrieverRecipe, written(tmp_path, text))
