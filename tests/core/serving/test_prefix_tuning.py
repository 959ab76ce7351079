"""A tuned prefix is taken only where it fits its base; what it writes is tested with the batch that it stands before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from core.errors import ModelError
from core.serving.adapters import Base, check_adapter
from tests.core.serving import model_folders as folders

SHAPE = {"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "hidden_size": 12}  # 2 * 2 * 2 * 3 numbers of a token
TOLD = {"peft_type": "PREFIX_TUNING", "base_model_name_or_path": folders.BASE_NAME, "num_virtual_tokens": 5, "prefix_projection": False}
MATRICES: dict[str, tuple[int, ...]] = {"prompt_embeddings": (5, 24)}
SILENT = "does not say how many numbers it keeps of a token"


def check(shape: dict[str, object], told: dict[str, object], matrices: dict[str, tuple[int, ...]]) -> None:
    base, prefix = folders.base(Path("base"), **shape), Path("prefix")
    prefix.mkdir()
    folders.write_json(prefix / "adapter_config.json", TOLD | told)
    save_file({name: np.ones(size, np.float32) for name, size in matrices.items()}, prefix / "adapter_model.safetensors")
    check_adapter(prefix, Base(base, (folders.BASE_NAME,)))


@pytest.mark.parametrize("width", [{}, {"head_dim": 6, "num_key_value_heads": 1}, {"num_attention_heads": 2, "num_key_value_heads": None}])
def test_a_prefix_of_what_the_base_keeps_is_taken(width: dict[str, object]) -> None:
    matrices = MATRICES if "num_attention_heads" not in width else {"prompt_embeddings": (5, 48)}
    check(SHAPE | width, {}, matrices)


@pytest.mark.parametrize(
    ("shape", "told", "matrices", "words"),
    [
        ({}, {}, {"prompt_embeddings": (5, 23)}, r"shape \[5, 23\], and its base takes \[5, 24\]"),
        ({}, {}, {"prompt_embeddings": (4, 24)}, r"shape \[4, 24\], and its base takes \[5, 24\]"),
        ({}, {}, MATRICES | {"more": (1,)}, "one matrix of numbers, 'prompt_embeddings'; here are 'more', "),
        ({}, {}, {"more": (5, 24)}, "one matrix of numbers, 'prompt_embeddings'; here are 'more'"),
        ({}, {"num_virtual_tokens": 513}, {"prompt_embeddings": (513, 24)}, "'num_virtual_tokens' is 513; it must be between 1 and 512"),
        ({}, {"num_virtual_tokens": True}, {"prompt_embeddings": (1, 24)}, "'num_virtual_tokens' is True"),
        ({}, {"num_virtual_tokens": None}, MATRICES, "'num_virtual_tokens' is None"),
        ({}, {"prefix_projection": True}, MATRICES, "'prefix_projection' is set, and no prefix with it is taken"),
        ({}, {"of_the_future": "x"}, MATRICES, "'of_the_future' is set, and no prefix with it is taken"),
        ({}, {"base_model_name_or_path": "org/other"}, MATRICES, "says that it belongs to 'org/other'"),
        ({"num_hidden_layers": "2"}, {}, MATRICES, SILENT),
        ({"num_hidden_layers": None}, {}, MATRICES, SILENT),
        ({"num_attention_heads": 0}, {}, MATRICES, SILENT),
        ({"hidden_size": 2}, {}, MATRICES, SILENT),
    ],
)
def test_bad_input_64_a_prefix_that_does_not_fit_is_refused(
    shape: dict[str, object], told: dict[str, object], matrices: dict[str, tuple[int, ...]], words: str
) -> None:
    with pytest.raises(ModelError, match=words):
        check(SHAPE | shape, told, matrices)


def test_bad_input_64_a_base_that_says_nothing_takes_no_prefix() -> None:
    with pytest.raises(ModelError, match=SILENT):
        check({}, {}, MATRICES)
