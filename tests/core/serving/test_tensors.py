"""Safetensors files are read as the library reads them, or not at all."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save, save_file

from core.errors import ModelError
from core.serving import strict_json
from core.serving.inspection import inspect
from core.serving.tensors import Tensor, read_header, refuse_broken_numbers
from tests.core.serving import model_folders as folders

FILE = Path("x.safetensors")
GOOD = save({"a": np.ones((2, 3), np.float32), "b": np.arange(5, dtype=np.int8)}, {"format": "pt"})


def told(header: Any, data: bytes = b"", length: int | None = None) -> str:
    """What is said of a file with this header."""
    with pytest.raises(ModelError) as refused:
        read_header(folders.raw(FILE, header, data, length), FILE.name)
    return str(refused.value)


def entry(dtype: Any = "I8", shape: Any = (4,), offsets: Any = (0, 4)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def test_a_good_header_gives_type_shape_and_place_of_each_tensor() -> None:
    FILE.write_bytes(GOOD)
    header = read_header(FILE, FILE.name)
    assert header.tensors == {"a": Tensor("F32", (2, 3), 0, 24), "b": Tensor("I8", (5,), 24, 29)}
    assert header.data + 29 == len(GOOD)


@pytest.mark.parametrize(
    ("header", "data", "words"),
    [
        ({"a": entry()}, b"123", "is truncated: its tensors need 4 bytes, 3 are there"),
        ({"a": entry()}, b"12345", "has 1 bytes at its end that belong to no tensor"),
        ({"a": entry(), "b": entry(offsets=[3, 7])}, b"1234567", "'b' overlaps the tensor before it"),
        ({"a": entry(), "b": entry(offsets=[5, 9])}, b"123456789", "'b' leaves a gap before it"),
        ({"a": entry(offsets=[1, 5])}, b"12345", "'a' leaves a gap before it"),
        ({"a": entry(shape=[5])}, b"1234", "'a' should have 5 bytes, the header gives 4"),
        ({"a": entry("F64")}, b"1234", "'a' should have 32 bytes"),
        ({"a": entry("PICKLE")}, b"1234", "unknown type 'PICKLE'"),
        ({"a": entry(["I8"])}, b"1234", "unknown type ['I8']"),
        ({"a": entry(shape=[-4])}, b"1234", "makes no sense"),
        ({"a": entry(shape=[True, 4])}, b"1234", "makes no sense"),
        ({"a": entry(shape=[2**80, 0], offsets=[0, 0])}, b"", "makes no sense"),
        ({"a": entry(shape="4444")}, b"1234", "makes no sense"),
        ({"a": entry(shape=[1] * 9, offsets=[0, 1])}, b"1", "makes no sense"),
        ({"a": entry(offsets=[0, 4, 8])}, b"1234", "does not say type, shape and place of 'a'"),
        ({"a": [1]}, b"1234", "does not say"),
        ({"a": entry(offsets=[8, 4])}, b"1234", "should have 4 bytes, the header gives -4"),
        ({}, b"", "holds no tensor"),
        ([1], b"", "holds no JSON object"),
        (b"{", b" ", "is no valid JSON"),
        (b'{"a": 1, "a": 2}', b"", "the key 'a' stands there twice"),
        (b"\xff\xfe\xfd", b"", "is no valid JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", b"", "is no valid JSON"),
    ],
)
def test_bad_input_64_a_header_that_does_not_fit_its_file_is_refused(header: Any, data: bytes, words: str) -> None:
    assert words in told(header, data)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"PK\x03\x04" + b"x" * 40, "a PyTorch archive"),
        (b"GGUF\x03" + b"x" * 40, "a GGUF file"),
        (b"\x93NUMPY" + b"x" * 40, "a NumPy file"),
    ],
)
def test_bad_input_64_a_renamed_file_is_called_what_it_is(content: bytes, kind: str) -> None:
    FILE.write_bytes(content)
    with pytest.raises(ModelError, match=f"is no safetensors file: it looks like {kind}. Nothing of it was opened"):
        read_header(FILE, FILE.name)


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.integers(0, len(GOOD) - 1), st.integers(0, 6), st.binary(max_size=6))
def test_bad_input_64_what_is_accepted_the_library_reads_the_same_way(at: int, gone: int, put: bytes) -> None:
    FILE.write_bytes(GOOD[:at] + put + GOOD[at + gone :])
    try:
        header = read_header(FILE, FILE.name)
    except ModelError:
        return
    try:
        with safe_open(FILE, "np") as library:
            assert {name: tuple(library.get_slice(name).get_shape()) for name in library.keys()} == {  # noqa: SIM118
                name: tensor.shape for name, tensor in header.tensors.items()
            }
    except SafetensorError:  # it may be stricter: nothing is opened then
        pass


FLOATS = {"F16": np.float16, "F32": np.float32, "F64": np.float64}


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [*FLOATS, "BF16"])
@pytest.mark.parametrize("place", [0, 699_999, -1])
def test_bad_input_64_a_number_that_is_none_is_found_wherever_it_stands(bad: float, dtype: str, place: int) -> None:
    values = np.full(1_400_000, 1.5, np.float32)  # several chunks
    values[place] = bad
    data = (values.view(np.uint32) >> 16).astype(np.uint16).tobytes() if dtype == "BF16" else values.astype(FLOATS[dtype]).tobytes()
    path = folders.raw(FILE, {"a": entry(dtype, [len(values)], [0, len(data)])}, data)
    with pytest.raises(ModelError, match=r"'x.safetensors' holds NaN or infinite numbers in 'a'"):
        refuse_broken_numbers(path, read_header(path, FILE.name), FILE.name)


def test_the_largest_finite_numbers_and_integers_with_the_same_bits_pass() -> None:
    biggest = {name: np.array([np.finfo(kind).max, -np.finfo(kind).max], kind) for name, kind in FLOATS.items()}
    save_file({**biggest, "ints": np.array([0x7F80_0000, -1], np.int32)}, FILE)
    refuse_broken_numbers(FILE, read_header(FILE, FILE.name), FILE.name)


EIGHT_BITS = [("F8_E4M3", 0x7F, True), ("F8_E4M3", 0x7E, False), ("F8_E5M2", 0x7C, True), ("F8_E5M2", 0x7B, False)]


@pytest.mark.parametrize(("dtype", "byte", "broken"), EIGHT_BITS)
def test_numbers_of_eight_bits_are_looked_at_too(dtype: str, byte: int, broken: bool) -> None:
    path = folders.raw(FILE, {"a": entry(dtype, [3], [0, 3])}, bytes([0, 0x80 | byte, 1]))
    if not broken:
        refuse_broken_numbers(path, read_header(path, FILE.name), FILE.name)
        return
    with pytest.raises(ModelError, match="holds NaN"):
        refuse_broken_numbers(path, read_header(path, FILE.name), FILE.name)


# JSON and what lies around it.


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (b"[" * 100_000, "has more than 64 levels"),
        (b"[" * 65 + b"]" * 65, "has more than 64 levels"),
        (b'{"a": NaN}', "NaN is no number"),
        (b'{"a": 1, "a": 1}', "the key 'a' stands there twice"),
        (b'"\xff"', "is no valid JSON"),
        (b"", "is no valid JSON"),
    ],
)
def test_bad_input_67_json_that_libraries_read_differently_is_refused(document: bytes, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        strict_json.parse(document, "config.json")


def test_json_of_64_levels_is_read() -> None:
    assert strict_json.parse(b"[" * 63 + b"1" + b"]" * 63, "x.json")


@pytest.mark.parametrize(
    ("modules", "words"),
    [
        ([{"type": "os.system", "path": ""}], r"'modules.json' names code of others \('os.system'\)"),
        ([{"type": "sentence_transformers.models.Pooling", "path": "../x"}], "'../x' cannot be a folder in 'modules.json'"),
        ({"type": "x"}, "names code of others"),
    ],
)
def test_bad_input_64_parts_of_an_embedder_are_those_of_its_library(modules: Any, words: str) -> None:
    folder = folders.base(Path("embedder"))
    folders.write_json(folder / "modules.json", modules)
    with pytest.raises(ModelError, match=words):
        inspect(folder)


def sharded() -> Path:
    folder = folders.base(Path("sharded"))
    (folder / "model.safetensors").unlink()
    for number in (1, 2):
        save_file({f"layer.{number}": np.ones(number, np.float32)}, folder / f"m-{number}.safetensors")
    index = {"metadata": {}, "weight_map": {"layer.1": "m-1.safetensors", "layer.2": "m-2.safetensors"}}
    folders.write_json(folder / "model.safetensors.index.json", index)
    return folder


def test_a_model_in_shards_is_taken_when_the_index_tells_all_of_it() -> None:
    assert [file.name for file in inspect(sharded())][1:3] == ["m-1.safetensors", "m-2.safetensors"]


@pytest.mark.parametrize(
    ("weight_map", "words"),
    [
        ({"layer.1": "m-1.safetensors"}, "'m-2.safetensors' is not in 'model.safetensors.index.json'"),
        ({"layer.1": "m-2.safetensors", "layer.2": "m-1.safetensors"}, "do not agree on 'layer.1'"),
        ({"layer.1": "m-1.safetensors", "x": "m-2.safetensors"}, "do not agree on 'layer.2'"),
        ({"layer.1": 1}, "has no 'weight_map' of tensors and files"),
        ([], "has no 'weight_map'"),
    ],
)
def test_bad_input_64_an_index_that_tells_something_else_is_refused(weight_map: Any, words: str) -> None:
    folder = sharded()
    folders.write_json(folder / "model.safetensors.index.json", {"weight_map": weight_map})
    with pytest.raises(ModelError, match=words):
        inspect(folder)


def test_bad_input_64_several_files_of_weights_without_an_index_are_refused() -> None:
    folder = sharded()
    (folder / "model.safetensors.index.json").unlink()
    with pytest.raises(ModelError, match=r"the folder holds several files of weights \('m-1.safetensors', 'm-2.safetensors'\) and not one"):
        inspect(folder)


def test_a_large_configuration_is_refused_before_it_is_read() -> None:
    folder = folders.base(Path("model"))
    with (folder / "generation_config.json").open("wb") as file:
        file.truncate((16 << 20) + 1)
    with pytest.raises(ModelError, match=r"'generation_config.json' has 16,777,217 bytes; a file of this kind has at most 16,777,216"):
        inspect(folder)


def test_a_length_that_points_beyond_the_file_reads_nothing() -> None:
    FILE.write_bytes(struct.pack("<Q", 1 << 20) + b"{}")
    with pytest.raises(ModelError, match="its header would have 1,048,576 bytes, the file has 10"):
        read_header(FILE, FILE.name)
