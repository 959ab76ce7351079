"""What a model says of itself, read before any library opens it: no code, nothing that leads elsewhere, weights that are whole."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from core.errors import ModelError
from core.registry import ModelFile
from core.serving import strict_json, tensors
from core.serving.folders import Watch, check_name, unwatched, walk

CONFIG = "config.json"
ADAPTER_CONFIG = "adapter_config.json"
_INDEX = ".safetensors.index.json"
_MODULES = "modules.json"
_MIB = 1 << 20
# By name or ending, in this order: the largest tokenizer.json we know has 34 MB, the largest vocabulary 20.
_MOST = {"tokenizer.json": 64 * _MIB, "vocab.json": 64 * _MIB, ".json": 16 * _MIB, ".txt": 64 * _MIB, ".model": 64 * _MIB, "": 2 * _MIB}
_ONLY_WORDS = ("tokenizer.json", "vocab.json", "added_tokens.json")  # here keys are what a customer may write, and set nothing
_NAMES_CODE = ("auto_map", "auto_mapping", "custom_pipelines", "custom_objects", "megatron_config")


def inspect(folder: Path, *, linked: bool = False, watch: Watch = unwatched) -> tuple[ModelFile, ...]:
    """Return the files of a folder that may be opened, by name. Raises `ModelError` that names the file and what to do."""
    names = [file.name for file in walk(folder, linked=linked)]
    found = []
    for file in walk(folder, linked=linked):
        _refuse_large(file.name, file.size)
        with os.fdopen(os.dup(file.descriptor), "rb") as content:
            found.append(ModelFile(file.name, file.size, hashlib.file_digest(content, "sha256").hexdigest()))
        watch("hash", 1, len(names))
    for name in names:
        if name.endswith(".json"):
            _check_json(name, strict_json.parse((folder / name).read_bytes(), name))
    if not any(name.endswith(".safetensors") for name in names):
        raise ModelError("It holds no .safetensors file, and no other format is opened.")
    for inner in sorted({PurePosixPath(name).parent for name in names}):
        headers = _headers(folder, names, inner)
        for name, header in headers.items():
            tensors.refuse_broken_numbers(folder / name, header, name)
            watch("scan", 1, len(headers))
    return tuple(sorted(found, key=lambda file: file.name))


def settings(folder: Path, name: str) -> dict[str, Any]:
    """Return what a JSON file of a model says."""
    path = folder / name
    _refuse_large(name, path.stat().st_size)
    return strict_json.mapping(path.read_bytes(), name)


def tensors_of(folder: Path) -> dict[str, tensors.Tensor]:
    """Return what the headers say of every tensor right in `folder`."""
    headers = [tensors.read_header(path, path.name) for path in sorted(folder.glob("*.safetensors"))]
    return {name: tensor for header in headers for name, tensor in header.tensors.items()}


def _refuse_large(name: str, size: int) -> None:
    base = PurePosixPath(name).name
    if base.endswith(".safetensors"):
        return
    most = next(
        most for ending, most in _MOST.items() if base == ending or (ending.startswith(".") and base.endswith(ending)) or not ending
    )
    if size > most:
        raise ModelError(f"{name!r} has {size:,} bytes; a file of this kind has at most {most:,}. Get it anew from where it came from.")


def _check_json(name: str, document: Any) -> None:
    base = PurePosixPath(name).name
    if base == _MODULES:
        _check_modules(name, document)
    if base not in _ONLY_WORDS and not base.endswith(_INDEX):
        for key, value in _entries(document):
            _refuse_code(name, key, value)


def _entries(document: Any) -> list[tuple[str, Any]]:
    """Every key of every object inside, with its value."""
    if isinstance(document, list):
        return [entry for inner in document for entry in _entries(inner)]
    if not isinstance(document, dict):
        return []
    return [entry for key, value in document.items() for entry in ((key, value), *_entries(value))]


def _refuse_code(name: str, key: str, value: Any) -> None:
    if value and key in _NAMES_CODE:
        raise ModelError(
            f"{name!r} names code of its own ({key!r}), and no code of a model is ever run. Only models of transformers serve."
        )
    if value and key == "trust_remote_code":
        raise ModelError(f"{name!r} asks to run code of its own ('trust_remote_code'). Take the line out, if the model does without.")
    if isinstance(value, str) and key.endswith("_implementation") and "/" in value:
        raise ModelError(f"{name!r} would fetch code from the hub ({key!r} is {value!r}). Take the line out.")
    # Tokenizers open what such a key names; of this one only old versions wrote a path, and none reads it.
    if (
        isinstance(value, str)
        and key.endswith("_file")
        and key != "special_tokens_map_file"
        and (".." in value or "/" in value or "\\" in value)
    ):
        raise ModelError(f"{name!r} leads out of the folder ({key!r} is {value!r}). Take the line out, or name a file of the folder.")


def _check_modules(name: str, document: Any) -> None:
    """sentence-transformers imports the classes that this file names."""
    parts = document if isinstance(document, list) else [None]
    for part in parts:
        kind, path = (part.get("type"), part.get("path", "")) if isinstance(part, dict) else (None, None)
        if not isinstance(kind, str) or not kind.startswith("sentence_transformers."):
            raise ModelError(f"{name!r} names code of others ({kind!r}); only parts of sentence_transformers are loaded.")
        if not isinstance(path, str) or (path and path != check_name(path, f"a folder in {name!r}")):
            raise ModelError(f"{name!r} says no folder of {kind!r}.")


def _headers(folder: Path, names: Sequence[str], inner: PurePosixPath) -> dict[str, tensors.Header]:
    """Return the headers of the weights in one folder, by the names of their files: one, or all that an index names."""
    here = {PurePosixPath(name).name: name for name in names if PurePosixPath(name).parent == inner}
    weights = {base: name for base, name in here.items() if base.endswith(".safetensors")}
    indexes = [name for base, name in here.items() if base.endswith(_INDEX)]
    headers = {base: tensors.read_header(folder / name, name) for base, name in weights.items()}
    if indexes:
        _check_index(settings(folder, indexes[0]), indexes[0], headers)
    if len(indexes) > 1 or (len(weights) > 1 and not indexes):
        where = "the folder" if inner == PurePosixPath() else repr(str(inner))
        raise ModelError(f"{where} holds several files of weights ({', '.join(map(repr, sorted(weights)))}) and not one index of them.")
    return {weights[base]: header for base, header in headers.items()}


def _check_index(document: Mapping[str, Any], index: str, headers: Mapping[str, tensors.Header]) -> None:
    told = document.get("weight_map")
    if not isinstance(told, dict) or not all(isinstance(shard, str) for shard in told.values()):
        raise ModelError(f"{index!r} has no 'weight_map' of tensors and files. Get it anew from where it came from.")
    for shard in sorted(set(told.values())):
        check_name(shard, f"a file that {index!r} names")
        if shard not in headers:
            raise ModelError(f"{shard!r} is missing: {index!r} names it. Get it from where the others came from.")
    if odd := sorted(set(headers) - set(told.values())):
        raise ModelError(f"{odd[0]!r} is not in {index!r}. Take it out of the folder and import again.")
    there = {tensor: shard for shard, header in headers.items() for tensor in header.tensors}
    twice = sum(len(header.tensors) for header in headers.values()) > len(there)
    if twice or there != told:
        wrong = next((tensor for tensor in sorted({*there, *told}) if there.get(tensor) != told.get(tensor)), "a tensor")
        raise ModelError(f"{index!r} and the files do not agree on {wrong!r}. Get all of them anew from one place.")
