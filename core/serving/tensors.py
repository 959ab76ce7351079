"""Safetensors files, looked at before any library opens them: the header against the file, then every number as it streams by."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from core.errors import ModelError
from core.serving import strict_json

_LENGTH = 8  # bytes that say how long the header is
_MAX_HEADER = 32 << 20  # of a model with 400 tensors it has 50 kB, of one with 60,000 about 8 MB
_MAX_DIMENSIONS = 8
_MOST = 1 << 48  # larger numbers than any file has bytes; Python would reckon with ones of thousands of digits
_CHUNK = 1 << 20  # stays in the cache of a core: 2 GB/s, where whole tensors make 0.7
_GET_AGAIN = "Get it anew from where it came from."

_BYTES = {
    "BOOL": 1, "U8": 1, "I8": 1, "U16": 2, "I16": 2, "U32": 4, "I32": 4, "U64": 8, "I64": 8,
    "F8_E4M3": 1, "F8_E5M2": 1, "F16": 2, "BF16": 2, "F32": 4, "F64": 8,
}  # fmt: skip
# A number whose exponent is all ones is infinite or none; E4M3 has no infinity, and one bit pattern that is no number.
_ALL_ONES = {"F8_E4M3": 0x7F, "F8_E5M2": 0x7C, "F16": 0x7C00, "BF16": 0x7F80, "F32": 0x7F80_0000, "F64": 0x7FF0_0000_0000_0000}
_LOOKS_LIKE = {b"PK\x03\x04": "a PyTorch archive", b"GGUF": "a GGUF file", b"\x93NUM": "a NumPy file", b"vers": "a Git LFS pointer"}


class Tensor(NamedTuple):
    """What the header says of a tensor; offsets count from the end of the header."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    @property
    def is_float(self) -> bool:
        """Whether it holds floating-point numbers."""
        return self.dtype in _ALL_ONES


class Header(NamedTuple):
    """A header that fits its file."""

    tensors: Mapping[str, Tensor]
    data: int  # where the first tensor begins in the file


def read_header(path: Path, name: str) -> Header:
    """Return the header of a file that errors call `name`. Raises `ModelError` unless it describes every byte, each once."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = _header_length(file.read(_LENGTH), size, name)
        told = strict_json.mapping(file.read(length), f"{name} (its header)")
    told.pop("__metadata__", None)  # words for people: nothing here or in the libraries acts on them
    tensors = {one: _tensor(one, fields, name) for one, fields in told.items()}
    _check_layout(tensors, size - _LENGTH - length, name)
    return Header(tensors, _LENGTH + length)


def refuse_broken_numbers(path: Path, header: Header, name: str) -> None:
    """Raise `ModelError` when a tensor holds an infinite number or none at all; one chunk is in memory at a time."""
    with path.open("rb") as file:
        for one, tensor in header.tensors.items():
            if tensor.is_float and any(map(_broken(tensor.dtype), _chunks(file, header.data, tensor))):
                raise ModelError(f"{name!r} holds NaN or infinite numbers in {one!r}: training diverged. Train it again.")


def _header_length(first: bytes, size: int, name: str) -> int:
    if size < _LENGTH + 2:
        raise ModelError(f"{name!r} is truncated: {size} bytes hold no header. {_GET_AGAIN}")
    length = int.from_bytes(first, "little")
    if length > size - _LENGTH or length > _MAX_HEADER:
        kind = _LOOKS_LIKE.get(first[:4]) or ("a pickle, which could run code" if first[:1] == b"\x80" and first[1] <= 5 else None)
        looks = f"it looks like {kind}" if kind else f"its header would have {length:,} bytes, the file has {size:,}"
        raise ModelError(f"{name!r} is no safetensors file: {looks}. Nothing of it was opened. {_GET_AGAIN}")
    return length


def _tensor(one: str, told: Any, name: str) -> Tensor:
    try:
        dtype, shape, (begin, end) = told["dtype"], tuple(told["shape"]), told["data_offsets"]
    except (KeyError, TypeError, ValueError):
        raise ModelError(f"{name!r}: the header does not say type, shape and place of {one!r}. {_GET_AGAIN}") from None
    if not isinstance(dtype, str) or dtype not in _BYTES:
        raise ModelError(f"{name!r}: {one!r} has the unknown type {dtype!r}. Known are {', '.join(_BYTES)}.")
    if len(shape) > _MAX_DIMENSIONS or not all(type(number) is int and 0 <= number < _MOST for number in (*shape, begin, end)):
        raise ModelError(f"{name!r}: the shape or place of {one!r} makes no sense. {_GET_AGAIN}")
    if math.prod(shape) * _BYTES[dtype] != end - begin:
        raise ModelError(f"{name!r}: {one!r} should have {math.prod(shape) * _BYTES[dtype]:,} bytes, the header gives {end - begin:,}.")
    return Tensor(dtype, shape, begin, end)


def _check_layout(tensors: Mapping[str, Tensor], there: int, name: str) -> None:
    """Tensors follow one another without a gap, to the end of the file: in a gap anything could hide."""
    if not tensors:
        raise ModelError(f"{name!r} holds no tensor.")
    expected = 0
    for one, tensor in sorted(tensors.items(), key=lambda item: item[1][2:]):
        if tensor.begin != expected:
            what = "overlaps the tensor before it" if tensor.begin < expected else "leaves a gap before it"
            raise ModelError(f"{name!r}: {one!r} {what}. {_GET_AGAIN}")
        expected = tensor.end
    if expected > there:
        raise ModelError(f"{name!r} is truncated: its tensors need {expected:,} bytes, {there:,} are there. {_GET_AGAIN}")
    if expected < there:
        raise ModelError(f"{name!r} has {there - expected:,} bytes at its end that belong to no tensor. {_GET_AGAIN}")


def _chunks(file: BinaryIO, data: int, tensor: Tensor) -> Iterator[bytes]:
    file.seek(data + tensor.begin)
    left = tensor.end - tensor.begin
    while left:
        chunk = file.read(min(_CHUNK, left))
        if not chunk:
            raise ModelError("The file became shorter while it was read. Try again.")
        yield chunk
        left -= len(chunk)


class _broken:  # noqa: N801  # reads as a word: any(map(_broken(dtype), chunks))
    """Tells whether a chunk holds a number that is infinite or none."""

    def __init__(self, dtype: str) -> None:
        self._type = np.dtype(f"<u{_BYTES[dtype]}")
        self._mask = self._type.type(_ALL_ONES[dtype])

    def __call__(self, chunk: bytes) -> bool:
        return bool(((np.frombuffer(chunk, self._type) & self._mask) == self._mask).any())
