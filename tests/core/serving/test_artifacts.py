"""Imported models: complete or not there, the same once however often, and found again by what the registry says of them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import ModelError
from core.registry import Kind, ModelVersion
from core.serving import weights
from core.serving.artifacts import Artifacts
from tests.core.serving import model_folders as folders

ROOT = Path("data/models")


@pytest.fixture
def artifacts() -> Artifacts:
    return Artifacts(ROOT, Path("models"))


@pytest.fixture
def base(artifacts: Artifacts) -> ModelVersion:
    return artifacts.take(str(folders.base(Path("base"))), actor="ann", licence="MIT")


def names(folder: Path = ROOT) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def in_a_process(code: str) -> subprocess.Popen[str]:
    start = f"import sys; sys.path.insert(0, {str(Path(__file__).parents[3])!r})\nfrom pathlib import Path\n"
    imports = "from core.errors import ModelError\nfrom core.serving.artifacts import Artifacts\n"
    command = [sys.executable, "-c", f"{start}{imports}{code}"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_version_is_named_by_its_content_and_says_where_it_comes_from(base: ModelVersion) -> None:
    folder = ROOT / base.model_id
    assert base.model_id == base.location.removeprefix("artifact:") and len(base.model_id) == len("base@") + 12
    assert (base.kind, base.base, base.licence, base.created_by) == (Kind.GENERATOR, "", "MIT", "ann")
    assert [file.name for file in base.files] == ["config.json", "model.safetensors", "tokenizer.json"]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["model_id"], manifest["licence"], len(manifest["files"])) == (base.model_id, "MIT", 3)
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o444}


def test_the_same_content_is_one_version_and_other_content_another(artifacts: Artifacts, base: ModelVersion) -> None:
    again = artifacts.take("base", licence="MIT", actor="bob")
    assert (again.model_id, again.files) == (base.model_id, base.files)
    folders.change_json(Path("base/config.json"), vocab_size=7)
    assert artifacts.take("base").model_id != base.model_id
    assert len(names()) == 2


def test_another_name_or_kind_is_another_version(artifacts: Artifacts, base: ModelVersion) -> None:
    named = artifacts.take("base", name="support-v2")
    embedder = artifacts.take("base", kind=Kind.EMBEDDER)
    assert named.model_id.startswith("support-v2@")
    assert len({base.model_id, named.model_id, embedder.model_id}) == 3


def test_an_artifact_of_another_machine_is_the_same_version_here(artifacts: Artifacts, base: ModelVersion) -> None:
    here = Artifacts(Path("elsewhere"), Path("models"))
    assert here.take(str(ROOT / base.model_id)).model_id == base.model_id
    here.verify(base)


def test_two_who_import_at_once_get_the_same_version(artifacts: Artifacts) -> None:
    folders.base(Path("base"))
    with ThreadPoolExecutor(4) as pool:
        found = {version.model_id for version in pool.map(lambda _: Artifacts(ROOT, Path("models")).take("base"), range(4))}
    assert names() == list(found)


def test_what_the_hub_leaves_in_a_folder_is_not_taken_over(artifacts: Artifacts) -> None:
    folder = folders.base(Path("base"))
    (folder / ".cache" / "huggingface").mkdir(parents=True)
    (folder / ".gitattributes").write_text("*")
    assert [file.name for file in artifacts.take("base").files] == ["config.json", "model.safetensors", "tokenizer.json"]


# An import that breaks off.


def large_model(megabytes: int) -> None:
    folder = folders.base(Path("large"))
    size = megabytes << 20
    with folders.raw(folder / "model.safetensors", {"x": {"dtype": "I8", "shape": [size], "data_offsets": [0, size]}}).open("ab") as file:
        file.truncate(file.tell() + size)


def test_a_killed_import_leaves_no_version_and_the_next_one_clears_up(artifacts: Artifacts) -> None:
    large_model(200)
    importing = in_a_process("Artifacts(Path('data/models'), Path('models')).take('large')")
    while not any(path.is_file() for path in ROOT.glob(".staging-*/*")):
        assert importing.poll() is None
    importing.send_signal(signal.SIGKILL)
    importing.communicate()
    assert [name.startswith(".staging-") for name in names()] == [True]
    version = artifacts.take(str(folders.base(Path("base"))))
    assert names() == [version.model_id]


def test_a_full_disk_leaves_nothing_and_says_so(artifacts: Artifacts, base: ModelVersion) -> None:
    """No file may be larger than 1 MB in this process: what a full disk does, at the same calls."""
    large_model(4)
    code = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
try:
    Artifacts(Path('data/models'), Path('models')).take('large')
except ModelError as error:
    sys.exit(str(error))
"""
    importing = in_a_process(code)
    _, said = importing.communicate()
    assert (importing.returncode, said) == (1, "'large' was not imported: File too large. Nothing was changed.\n")
    assert names() == [base.model_id]


def test_a_model_larger_than_what_is_free_is_refused_before_a_byte_is_copied(artifacts: Artifacts) -> None:
    folder = folders.base(Path("large"))
    with (folder / "model.safetensors").open("ab") as file:
        file.truncate(shutil.disk_usage(".").free + 1_000_000)  # a hole: it takes no room by itself
    with pytest.raises(ModelError, match=r"GB free, the model needs .+ Make room, or set data_dir"):
        artifacts.take("large")
    assert names() == []


def test_a_folder_that_cannot_be_made_is_a_clear_refusal() -> None:
    folders.base(Path("base"))
    Path("file").write_text("")
    with pytest.raises(ModelError, match=r"'base' was not imported: Not a directory. Nothing was changed"):
        Artifacts(Path("file/models"), Path("models")).take("base")


# Adapters and their runs.

RUN = {"recipe": "answers-lora", "dataset_sha256": "a" * 64, "scores": {"rouge_l": 0.41, "n": 200}, "licence": "Apache-2.0"}


def run_folder(base: str, **changes: object) -> Path:
    folder = folders.adapter(Path("run-7"))
    folders.write_json(folder / "frontdesk-run.json", {"base": base, **RUN, **changes})
    return folder


def test_a_training_run_tells_base_recipe_dataset_scores_and_licence(artifacts: Artifacts, base: ModelVersion) -> None:
    version = artifacts.take(str(run_folder(base.model_id)), [base])
    assert (version.base, version.recipe, version.dataset_sha256) == (base.location, "answers-lora", "a" * 64)
    assert (version.scores, version.licence) == ({"rouge_l": 0.41, "n": 200.0}, "Apache-2.0")
    assert artifacts.folder(version.base) == ROOT / base.model_id
    artifacts.verify(version)


def test_bad_input_64_an_adapter_is_not_opened_on_a_base_that_was_changed(artifacts: Artifacts, base: ModelVersion) -> None:
    version = artifacts.take(str(run_folder(base.model_id)), [base])
    folders.flip(ROOT / base.model_id / "model.safetensors")
    with pytest.raises(ModelError, match=r"'run-7@\w+' is not opened: Its base 'base@\w+' was changed after the import"):
        artifacts.open(version)


def test_what_the_command_says_of_the_licence_counts(artifacts: Artifacts, base: ModelVersion) -> None:
    assert artifacts.take(str(run_folder(base.model_id)), [base], licence="MIT").licence == "MIT"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"scores": {"loss": "low"}}, "'frontdesk-run.json': the score 'loss' is no finite number"),
        ({"scores": {"loss": 1e999}}, "'frontdesk-run.json' is no valid JSON"),
        ({"scores": {"ok": True}}, "the score 'ok' is no finite number"),
        ({"scores": [1]}, "'scores' is no object of numbers by name"),
        ({"dataset_sha256": "abc"}, "'dataset_sha256' is no SHA-256"),
        ({"recipe": 7}, "'recipe' is no text"),
        ({"licence": "x" * 501}, "'licence' is no text of at most 500 characters"),
    ],
)
def test_a_run_that_tells_nonsense_is_refused(changes: dict[str, object], told: str, artifacts: Artifacts, base: ModelVersion) -> None:
    run_folder(base.model_id, **changes)
    with pytest.raises(ModelError, match=told):
        artifacts.take("run-7", [base])
    assert names() == [base.model_id]


def test_a_run_of_another_base_than_the_command_names_is_refused(artifacts: Artifacts, base: ModelVersion) -> None:
    other = artifacts.take(str(folders.base(Path("other"), vocab_size=7)))
    with pytest.raises(ModelError, match=r"'frontdesk-run.json' says that it was trained on 'artifact:other@\w+', not on 'artifact:base@"):
        artifacts.take(str(run_folder(other.model_id)), [base, other], base=base.model_id)


@pytest.mark.parametrize("said", ["model_id", "location", "folder", "folder elsewhere", "recorded name"])
def test_an_adapter_may_call_its_base_by_any_of_its_names(said: str, artifacts: Artifacts, base: ModelVersion) -> None:
    name = {
        "model_id": base.model_id,
        "location": base.location,
        "folder": str((ROOT / base.model_id).resolve()),
        "folder elsewhere": f"/srv/training/models/{base.model_id}",
        "recorded name": folders.BASE_NAME,
    }[said]
    folders.adapter(Path("run-7"), base_name=name)
    assert artifacts.take("run-7", [base], base=base.model_id).base == base.location


def test_an_adapter_of_another_rank_by_layer_is_taken(artifacts: Artifacts, base: ModelVersion) -> None:
    folders.adapter(Path("run-7"), r=8, rank_pattern={"q_proj": 4, "v_proj": 4})
    assert artifacts.take("run-7", [base], base=base.model_id).base == base.location


@pytest.mark.parametrize("location", ["remote:support", "extractive"])
def test_what_has_no_weights_here_is_no_base(location: str, artifacts: Artifacts) -> None:
    folders.adapter(Path("run-7"))
    with pytest.raises(ModelError, match="cannot be a base: it has no weights of its own here"):
        artifacts.take("run-7", [ModelVersion("x@1", Kind.GENERATOR, location)], base="x@1")


def test_an_adapter_is_no_base_and_a_whole_model_has_none(artifacts: Artifacts, base: ModelVersion) -> None:
    adapter = artifacts.take(str(run_folder(base.model_id)), [base])
    with pytest.raises(ModelError, match="cannot be a base"):
        artifacts.take("run-7", [base, adapter], base=adapter.model_id)
    with pytest.raises(ModelError, match=r"It is a whole model, no adapter .+ leave --base out"):
        artifacts.take("base", [base], base=base.model_id)


def test_a_folder_that_is_neither_model_nor_adapter_is_refused_unless_it_is_a_classifier(artifacts: Artifacts) -> None:
    (folders.base(Path("head")) / "config.json").unlink()
    with pytest.raises(ModelError, match=r"It has neither 'config.json' nor 'adapter_config.json'"):
        artifacts.take("head")
    assert artifacts.take("head", kind=Kind.CLASSIFIER).kind is Kind.CLASSIFIER


# Models of the hub and of servers.


def test_a_model_of_the_hub_stays_where_it_is_under_the_version_that_answers_name(artifacts: Artifacts) -> None:
    version = artifacts.take(weights.MINILM, kind=Kind.EMBEDDER, licence="Apache-2.0")
    assert version.model_id == weights.resolve(weights.MINILM, Path("models")).version
    assert version.location == weights.MINILM
    assert {"1_Pooling/config.json", "model.safetensors", "modules.json"} <= {file.name for file in version.files}
    assert not ROOT.exists()
    assert artifacts.open(version).folder == weights.resolve(weights.MINILM, Path("models")).folder


def downloaded(name: str) -> Path:
    """What a download leaves."""
    return folders.base(Path("models/hub") / name.replace("/", "--"))


def test_a_model_of_the_hub_that_changed_is_not_opened(artifacts: Artifacts) -> None:
    folder = downloaded("org/model")
    version = artifacts.take("org/model")
    artifacts.verify(version)
    folders.change_json(folder / "config.json", vocab_size=7)
    with pytest.raises(ModelError, match=r"'config.json' in .+ was changed after the import"):
        artifacts.verify(version)
    folders.flip(folder / "model.safetensors")
    with pytest.raises(ModelError, match=r"'org/model' is 'org/model@\w+' on this machine now"):
        artifacts.verify(version)


def test_a_model_of_the_hub_can_be_a_base_by_its_name_or_its_version(artifacts: Artifacts) -> None:
    downloaded("org/model")
    version = weights.resolve("org/model", Path("models")).version
    folders.adapter(Path("run-7"), base_name="org/model")
    assert artifacts.take("run-7", base="org/model").base == "org/model"
    assert artifacts.take("run-7", base=version).base == "org/model"
    with pytest.raises(ModelError, match=r"The base 'org/model@000000000000' is not at hand: 'org/model' is 'org/model@"):
        artifacts.take("run-7", base="org/model@000000000000")


def test_a_small_adapter_of_the_hub_is_copied(artifacts: Artifacts, base: ModelVersion) -> None:
    folders.adapter(Path("models/hub/org--adapter"))
    version = artifacts.take("org/adapter", [base], base=base.model_id)
    assert version.location == f"artifact:{version.model_id}"
    assert version.model_id.startswith("adapter@")


def test_a_model_on_a_server_has_no_files_here(artifacts: Artifacts) -> None:
    version = artifacts.take("remote:Qwen/Qwen3-4B", licence="Apache-2.0")
    assert (version.model_id, version.location, version.files) == ("remote:Qwen/Qwen3-4B", "remote:Qwen/Qwen3-4B", ())
    artifacts.verify(version)


@pytest.mark.parametrize("source", ["remote:", "remote:../x", "remote:a b", "remote:\x1b[0m"])
def test_a_name_that_no_server_has_is_refused(source: str, artifacts: Artifacts) -> None:
    with pytest.raises(ModelError, match="After remote: comes the name of a model on your server"):
        artifacts.take(source)


def test_options_that_do_not_fit_the_source_are_refused(artifacts: Artifacts) -> None:
    with pytest.raises(ModelError, match="leave --kind, --base and --name out"):
        artifacts.take("remote:x", kind=Kind.EMBEDDER)
    with pytest.raises(ModelError, match="leave --name out"):
        artifacts.take(weights.MINILM, name="mini")


def test_a_version_of_another_machine_says_what_to_do(artifacts: Artifacts, base: ModelVersion) -> None:
    elsewhere = replace(base, model_id="x@1", location="artifact:x@1")
    with pytest.raises(ModelError, match=r"'x@1' is not opened: data/models/x@1 is missing. Copy it from a machine that has it"):
        artifacts.verify(elsewhere)


def test_files_of_strangers_are_refused() -> None:
    from core.serving.folders import _refuse_stranger

    state = os.stat_result((0o100644, 1, 1, 1, os.geteuid() + 1, 0, 0, 0, 0, 0))
    with pytest.raises(ModelError, match=r"'x' belongs to user \d+, who could change it. Make it yours: chown"):
        _refuse_stranger("x", state)
