"""Weights come from a folder, a package or the hub; damaged ones are refused, and every refusal says what to do."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import constants

from core.errors import ModelError
from core.serving import weights
from core.serving.weights import Weights, available_offline, resolve


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Makes an importable package that carries weights for the model `acme/tiny`, published with the digest of `published`."""

    def make(name: str, content: bytes, published: bytes = b"good") -> Path:
        folder = tmp_path / "site" / "acme_weights"
        folder.mkdir(parents=True)
        (folder / "__init__.py").touch()
        (folder / name).write_bytes(content)
        monkeypatch.syspath_prepend(str(folder.parent))
        entry = weights._Package("acme_weights", name, sha256(published), "acme-weights")
        monkeypatch.setitem(weights._PACKAGES, "acme/tiny", entry)
        return folder

    return make


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuses every call to the hub before a connection is made."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


def test_a_local_folder_is_versioned_by_its_weights(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    assert resolve(str(tmp_path), tmp_path) == Weights(tmp_path, f"{tmp_path.name}@{sha256(b'weights')[:12]}")


def test_every_shard_counts_for_the_version(tmp_path: Path) -> None:
    for name in ("model-1.safetensors", "model-2.safetensors"):
        (tmp_path / name).write_bytes(name.encode())
    before = resolve(str(tmp_path), tmp_path).version
    (tmp_path / "model-2.safetensors").write_bytes(b"other")
    assert resolve(str(tmp_path), tmp_path).version != before


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.gguf", "model.safetensors.index.json"])
def test_a_folder_without_safetensors_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"cos\nsystem\n")
    with pytest.raises(ModelError, match=r"holds no \.safetensors file; no other format is opened"):
        resolve(str(tmp_path), tmp_path)


def test_the_folder_may_be_named_from_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/model.safetensors").write_bytes(b"weights")
    assert resolve("~/mine", tmp_path).folder == tmp_path / "mine"


def test_a_package_with_the_published_weights_is_used(package: Callable[..., Path], tmp_path: Path) -> None:
    folder = package("model.safetensors", b"good")
    assert resolve("acme/tiny", tmp_path) == Weights(folder, f"acme/tiny@{sha256(b'good')[:12]}")
    assert available_offline("acme/tiny", tmp_path)


@pytest.mark.parametrize("name", ["model.safetensors", "model.gguf"])
def test_a_package_with_other_weights_is_refused_with_how_to_repair_it(package: Callable[..., Path], tmp_path: Path, name: str) -> None:
    package(name, b"flipped")
    with pytest.raises(ModelError, match=r"is not the published file .* pip install --force-reinstall acme-weights"):
        resolve("acme/tiny", tmp_path / "models")
    assert not list((tmp_path / "models").rglob("*.safetensors"))


@pytest.mark.slow
def test_a_package_whose_file_cannot_be_converted_is_refused_and_leaves_nothing(package: Callable[..., Path], tmp_path: Path) -> None:
    package("model.gguf", b"good")  # the right digest, but no GGUF
    with pytest.raises(ModelError, match="cannot be converted"):
        resolve("acme/tiny", tmp_path / "models")
    assert not [path for path in (tmp_path / "models").rglob("*") if path.is_file()]


@pytest.fixture
def converted(package: Callable[..., Path], tmp_path: Path) -> Path:
    """A folder as a conversion leaves it."""
    package("model.gguf", b"good")
    folder = tmp_path / "models" / "converted" / f"acme--tiny@{sha256(b'good')[:12]}"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"converted")
    (folder / "frontdesk.json").write_text(json.dumps({"sha256": sha256(b"converted")}))
    return folder


def test_a_converted_model_is_used_again(converted: Path, tmp_path: Path) -> None:
    reported: list[str] = []
    found = resolve("acme/tiny", tmp_path / "models", reported.append)
    found.verify()
    assert (found.folder, reported) == (converted, [])


@pytest.mark.parametrize(
    ("name", "content"),
    [("model.safetensors", b"flipped"), ("model.safetensors", None), ("frontdesk.json", None), ("frontdesk.json", b"{"),
     ("frontdesk.json", b"{}"), ("frontdesk.json", b"[]"), ("frontdesk.json", b"\xff")],
)  # fmt: skip
def test_a_damaged_conversion_is_refused_with_how_to_repair_it(converted: Path, tmp_path: Path, name: str, content: bytes | None) -> None:
    (converted / name).unlink()
    if content is not None:
        (converted / name).write_bytes(content)
    with pytest.raises(ModelError, match=r"is damaged .* Delete the folder; it is made again"):
        resolve("acme/tiny", tmp_path / "models").verify()


@pytest.mark.usefixtures("no_hub")
@pytest.mark.parametrize("model_id", ["acme/unknown", "no such/model/at/all", "../../etc/passwd", "a\nb"])
def test_a_model_that_is_nowhere_says_what_to_check_in_one_line(model_id: str, tmp_path: Path) -> None:
    reported: list[str] = []
    with pytest.raises(ModelError, match="Check the name and the network, or name a local folder") as caught:
        resolve(model_id, tmp_path / "models", reported.append)
    assert "Traceback" not in str(caught.value) and "\n" not in str(caught.value)
    assert reported == [f"Downloading {model_id} from the hub, once"]
    assert not available_offline(model_id, tmp_path / "models")


def test_a_hub_out_of_reach_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(ModelError, match=r"the hub did not give it \(ConnectError\)"):
        resolve("acme/unknown", tmp_path / "models")


@pytest.mark.usefixtures("no_hub")
def test_a_download_that_was_cut_off_is_not_taken_for_a_model(tmp_path: Path) -> None:
    partial = tmp_path / "hub" / "acme--unknown.part"
    partial.mkdir(parents=True)
    (partial / "config.json").write_text("{}")
    assert not available_offline("acme/unknown", tmp_path)
    with pytest.raises(ModelError, match="Check the name and the network"):
        resolve("acme/unknown", tmp_path)


@pytest.mark.usefixtures("no_hub")
def test_a_finished_download_needs_no_hub(tmp_path: Path) -> None:
    folder = tmp_path / "hub" / "acme--unknown"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    assert available_offline("acme/unknown", tmp_path)
    assert resolve("acme/unknown", tmp_path) == Weights(folder, f"acme/unknown@{sha256(b'weights')[:12]}")
