"""A recipe is a dozen lines of TOML, and says what is wrong with it."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

import pytest

from core.errors import TrainingError
from core.training.recipe import Recipe, default, read


def written(folder: Path, text: str) -> Path:
    path = folder / "recipe.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_what_a_recipe_does_not_name_is_as_by_default(tmp_path: Path) -> None:
    assert read(written(tmp_path, "")) == Recipe()
    assert read(written(tmp_path, 'rank = 4\ntargets = ["q_proj"]\nepochs = 3')) == Recipe(rank=4, targets=("q_proj",), epochs=3)


def test_the_shipped_recipe_reads() -> None:
    with as_file(files("core.training") / "shipped" / "recipe.toml") as path:
        assert read(path).method == "sft"


def test_its_line_says_everything() -> None:
    assert "rank=8" in str(Recipe()) and "learning_rate=0.0005" in str(Recipe()) and "targets=q_proj,k_proj" in str(Recipe())
    assert len(str(Recipe())) < 400  # the registry keeps 500 characters, the versions of code and prompt among them


def test_a_method_of_preferences_has_defaults_of_its_own(tmp_path: Path) -> None:
    dpo = read(written(tmp_path, "rank = 4"), "dpo")
    assert (dpo.method, dpo.rank) == ("dpo", 4) and dpo.learning_rate == default("dpo").learning_rate < Recipe().learning_rate
    assert read(written(tmp_path, 'method = "kto"\nlearning_rate = 1e-3')).learning_rate == 1e-3
    assert "beta=0.1" in str(dpo) and "iterations" not in str(dpo) and "beta" not in str(Recipe())
    with pytest.raises(TrainingError, match=r"'dpo', not sft\. Run: frontdesk train preferences"):
        dpo.refuse_other("sft")


def test_a_prefix_has_a_rate_of_its_own_and_its_line_names_what_it_uses(tmp_path: Path) -> None:
    prefix = read(written(tmp_path, 'adapter = "prefix"'))
    assert prefix == default("sft", "prefix") and prefix.learning_rate > 10 * Recipe().learning_rate
    assert "virtual_tokens=16" in str(prefix) and "rank" not in str(prefix) and "virtual_tokens" not in str(Recipe())
    assert read(written(tmp_path, 'adapter = "prefix"\nlearning_rate = 1e-3')).learning_rate == 1e-3


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("rnak = 4", "no 'rnak'. Did you mean rank"),
        ("rank = 0", "rank is 0; it must be between 1 and 256"),
        ("rank = 4.5", "rank is 4.5; it must be of the kind of 8"),
        ("rank = true", "rank is True"),
        ("learning_rate = nan", "learning_rate is nan"),
        ("learning_rate = 5", "between 1e-08 and 0.1"),
        ('method = "magic"', "'magic'; there is sft, dpo, kto, spin"),
        ("beta = 0", "beta is 0"),
        ("iterations = 0", "iterations is 0; it must be between 1 and 10"),
        ('precision = "int1"', "there is bf16, float32"),
        ('adapter = "magic"', "there is lora, adalora, prefix, full"),
        ('adapter = "prefix"\npacking = true', "A prefix stands before one row, so it is learnt without packing"),
        ('adapter = "prefix"\nvirtual_tokens = 513', "virtual_tokens is 513; it must be between 1 and 512"),
        ('method = "dpo"\nadapter = "prefix"', 'are learnt with adapter = "lora"'),
        ('adapter = "adalora"\nrank = 200', "begins with half as many again, and 256 is the most"),
        ('method = "dpo"\npacking = true', 'with adapter = "lora" and without packing'),
        ("packing = 1", "packing is 1; it must be of the kind of False"),
        ("targets = []", "names no targets"),
        ("targets = [1]", r"targets is \[1\]"),
        ("rank = ", "is no recipe"),
    ],
)
def test_bad_input_a_recipe_that_cannot_be_followed_says_why(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(TrainingError, match=told):
        read(written(tmp_path, text))
