"""Bad input 64: models that are not what they should be are refused on the command line, one line each, and leave nothing behind."""

from __future__ import annotations

import asyncio
import os
import pickle
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from safetensors.numpy import save_file

from bot.bootstrap import frontdesk
from bot.cli import main
from bot.settings import read
from core.audit import AuditEntry
from core.errors import ModelError
from core.registry import ModelVersion
from core.serving.artifacts import Artifacts
from tests.core.serving import model_folders as folders

CONFIG, WEIGHTS, BASE_CONFIG = "adapter_config.json", "adapter_model.safetensors", "config.json"


class Done(NamedTuple):
    """What a command did."""

    status: int
    out: str
    err: str


class Desk:
    """The command line in this process, with a base imported, and what lies behind it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], before: Path) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys
        self.adapter = folders.adapter(Path("adapter"))
        folders.base(Path("base"))
        if before.exists():  # what the first test of this file made
            shutil.copytree(before, "data")
        else:
            assert self.take("base").status == 0
            shutil.copytree("data", before)
        ((self.base,), _) = self.kept_in_sql()
        self.kept = self.shelf()

    def run(self, *arguments: str) -> Done:
        self._monkeypatch.setattr(sys, "argv", ["frontdesk", *arguments])
        status = 0
        try:
            main()
        except SystemExit as end:
            status = int(end.code or 0)
        return Done(status, *self._capsys.readouterr())

    def take(self, source: Path | str, *arguments: str) -> Done:
        return self.run("models", "import", str(source), *arguments)

    def kept_in_sql(self) -> tuple[tuple[ModelVersion, ...], tuple[AuditEntry, ...]]:
        """Registered versions and entries of the audit log, newest first."""

        async def look() -> tuple[tuple[ModelVersion, ...], tuple[AuditEntry, ...]]:
            async with frontdesk(read(), print) as graph:
                assert await graph.audit_log.verify() is None
                return await graph.model_registry.versions(), await graph.audit_log.entries(100)

        return asyncio.run(look())

    def shelf(self) -> list[str]:
        """Everything in the folder of artifacts."""
        return sorted(str(path) for path in Path("data/models").rglob("*"))

    def artifacts(self) -> Artifacts:
        return Artifacts(Path("data/models"), Path("models"))

    def refused(self, source: Path | str, told: str, *arguments: str) -> None:
        """An import is refused with these words, and everything is as before."""
        done = self.take(source, *arguments)
        assert (done.status, done.out, done.err.count("\n")) == (1, "", 1), done
        assert told in done.err
        versions, (newest, first) = self.kept_in_sql()
        assert (newest.action, newest.target, newest.result, first.result) == ("models.import", str(source), "refused", "done")
        assert told in newest.detail["problem"]
        assert self.shelf() == self.kept
        assert versions == (self.base,)
        self.artifacts().verify(self.base)
        assert not folders.CANARY.exists()


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("imported") / "data"


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], before: Path) -> Desk:
    return Desk(monkeypatch, capsys, before)


def test_a_good_adapter_is_imported_and_its_entry_says_so(desk: Desk) -> None:
    assert desk.take(desk.adapter, "--base", desk.base.model_id).status == 0
    (adapter, _), (entry, _) = desk.kept_in_sql()
    assert (adapter.base, entry.result, entry.detail["model_id"]) == (desk.base.location, "done", adapter.model_id)
    assert desk.artifacts().open(adapter).folder == Path("data/models") / adapter.model_id


# Names.


@pytest.mark.parametrize("source", ["missing", "../x", "./x", "/nonexistent/x", "a/../b", "org/na/me", "~no-such-user/x", "x\ny", ""])
def test_bad_input_64_a_missing_name_is_refused(source: str, desk: Desk) -> None:
    desk.refused(source, "There is no such folder, and it is no name of the hub (ORG/NAME) or of a server (remote:NAME).")


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--name", "../x", "'../x' cannot be the name of a model: use letters, digits"),
        ("--name", "a..b", "not two dots in a row"),
        ("--name", "a\x1b[31m", r"'a\x1b[31m' cannot be the name"),
        ("--base", "../x", "No model '../x' is registered. See: frontdesk models list"),
        ("--base", "base@0000", "No model 'base@0000' is registered. Did you mean 'base@"),
    ],
)
def test_bad_input_64_a_name_that_leads_elsewhere_is_refused(option: str, value: str, told: str, desk: Desk) -> None:
    desk.refused(desk.adapter, told, option, value)


@pytest.mark.parametrize("location", ["artifact:../base", "artifact:..", "artifact:", "artifact:a/b", "artifact:/etc"])
def test_bad_input_64_a_location_that_leads_elsewhere_is_not_opened(location: str, desk: Desk) -> None:
    with pytest.raises(ModelError, match="is no folder right below data/models"):
        desk.artifacts().folder(location)


def test_bad_input_64_a_version_that_became_a_link_is_not_opened(desk: Desk) -> None:
    (Path("data/models") / desk.base.model_id).rename("elsewhere")
    (Path("data/models") / desk.base.model_id).symlink_to(Path("elsewhere").resolve())
    with pytest.raises(ModelError, match="is no folder right below"):
        desk.artifacts().open(desk.base)


# Files.


def symlink_out(adapter: Path) -> None:
    (adapter / WEIGHTS).rename("outside.safetensors")
    (adapter / WEIGHTS).symlink_to(Path("outside.safetensors").resolve())


def linked_folder(adapter: Path) -> None:
    Path("outside").mkdir()
    (adapter / "1_Pooling").symlink_to(Path("outside").resolve())


def hard_link(adapter: Path) -> None:
    os.link(adapter / WEIGHTS, "second-name")


def pipe(adapter: Path) -> None:
    os.mkfifo(adapter / "vocab.txt")


def writable_file(adapter: Path) -> None:
    (adapter / CONFIG).chmod(0o666)


def writable_folder(adapter: Path) -> None:
    adapter.chmod(0o777)


def bin_pickle(adapter: Path) -> None:
    (adapter / "pytorch_model.bin").write_bytes(pickle.dumps(folders.Hostile()))


def code(adapter: Path) -> None:
    (adapter / "modeling.py").write_text("import os; os.system('touch canary')")


def deep(adapter: Path) -> None:
    (adapter / "a" / "b").mkdir(parents=True)


def named(name: str) -> Callable[[Path], None]:
    def put(adapter: Path) -> None:
        (adapter / name).write_text("x")

    return put


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (symlink_out, "'adapter_model.safetensors' is a symbolic link, and links are not followed. Put the file itself there."),
        (linked_folder, "'1_Pooling' is a symbolic link"),
        (hard_link, "'adapter_model.safetensors' has 2 names (hard links): whoever has another one could change it. Put a copy there."),
        (pipe, "'vocab.txt' is no regular file but a device, pipe or socket."),
        (writable_file, "'adapter_config.json' may be written by everybody. Look who did, then: chmod o-w"),
        (writable_folder, "adapter' may be written by everybody"),
        (bin_pickle, "'pytorch_model.bin' is of a format that can run code when it is opened; only .safetensors is taken."),
        (code, "'modeling.py' is code, and no code of a model is ever run."),
        (deep, "'a/b' is a folder in a folder"),
        *((named(f"w{ending}"), f"'w{ending}' is of a format") for ending in (".pt", ".PTH", ".pkl", ".ckpt", ".npz", ".npy")),
        (named("model.gguf"), "'model.gguf' is no file that a model needs here"),
        (named("a\n.exe"), r"'a\n.exe' is no file that a model needs here"),
        (named(".hidden.json"), "'.hidden.json' cannot be a file of a model"),
    ],
)
def test_bad_input_64_a_file_that_may_not_be_there_is_refused(spoil: Callable[[Path], None], told: str, desk: Desk) -> None:
    spoil(desk.adapter)
    desk.refused(desk.adapter, told, "--base", desk.base.model_id)


def test_bad_input_64_a_folder_that_is_a_link_is_refused(desk: Desk) -> None:
    Path("link").symlink_to(desk.adapter.resolve())
    desk.refused("link", "link is a symbolic link, and links are not followed. Name the folder it leads to.", "--base", desk.base.model_id)


# Weights.


def nan(adapter: Path) -> None:
    broken = folders.matrices()
    broken["base_model.model.model.layers.0.self_attn.v_proj.lora_B.weight"][-1, -1] = np.nan
    save_file(broken, adapter / WEIGHTS)


def truncated(adapter: Path) -> None:
    (adapter / WEIGHTS).write_bytes((adapter / WEIGHTS).read_bytes()[:-7])


def garbage(adapter: Path) -> None:
    (adapter / WEIGHTS).write_bytes(b"garbage " * 50)


def renamed_pickle(adapter: Path) -> None:
    (adapter / WEIGHTS).write_bytes(pickle.dumps(folders.Hostile()))


def huge_header(adapter: Path) -> None:
    folders.raw(adapter / WEIGHTS, {}, length=2**63)


def large_header(adapter: Path) -> None:
    with (adapter / WEIGHTS).open("wb") as file:
        file.write(struct.pack("<Q", 33 << 20))
        file.truncate(40 << 20)


def deep_header(adapter: Path) -> None:
    folders.raw(adapter / WEIGHTS, b"[" * 100_000)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (
            nan,
            "'adapter_model.safetensors' holds NaN or infinite numbers in 'base_model.model.model.layers.0.self_attn.v_proj.lora_B.weight'",
        ),
        (truncated, "'adapter_model.safetensors' is truncated: its tensors need 768 bytes, 761 are there."),
        (
            garbage,
            "'adapter_model.safetensors' is no safetensors file: its header would have 2,334,385,649,822,622,055 bytes, the file has 400",
        ),
        (renamed_pickle, "'adapter_model.safetensors' is no safetensors file: it looks like a pickle, which could run code. Nothing of it"),
        (huge_header, "its header would have 9,223,372,036,854,775,808 bytes, the file has 10"),
        (large_header, "its header would have 34,603,008 bytes"),
        (deep_header, "'adapter_model.safetensors (its header)' has more than 64 levels"),
        (lambda adapter: (adapter / WEIGHTS).write_bytes(b"abc"), "'adapter_model.safetensors' is truncated: 3 bytes hold no header"),
        (lambda adapter: (adapter / WEIGHTS).unlink(), "It holds no .safetensors file, and no other format is opened."),
    ],
)
def test_bad_input_64_weights_that_are_not_whole_are_refused(spoil: Callable[[Path], object], told: str, desk: Desk) -> None:
    spoil(desk.adapter)
    desk.refused(desk.adapter, told, "--base", desk.base.model_id)


def test_bad_input_64_a_missing_shard_is_refused(desk: Desk) -> None:
    model = folders.base(Path("sharded"))
    (model / "model.safetensors").rename(model / "model-1.safetensors")
    shards = {"model.norm.weight": "model-1.safetensors", "lm_head.weight": "model-2.safetensors"}
    folders.write_json(model / "model.safetensors.index.json", {"weight_map": shards})
    desk.refused(model, "'model-2.safetensors' is missing: 'model.safetensors.index.json' names it.")


def test_bad_input_64_an_index_that_leads_out_of_the_folder_is_refused(desk: Desk) -> None:
    model = folders.base(Path("sharded"))
    folders.write_json(model / "model.safetensors.index.json", {"weight_map": {"lm_head.weight": "../base/model.safetensors"}})
    desk.refused(model, "'../base/model.safetensors' cannot be a file that 'model.safetensors.index.json' names")


# What an adapter says of itself.


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"base_model_name_or_path": "org/other"}, "says that it belongs to 'org/other', not to 'base@"),
        ({"r": 257}, "'adapter_config.json': a rank of 257 is not between 1 and 256. Train with a smaller one."),
        ({"rank_pattern": {"q_proj": 1024}}, "a rank of 1024 is not between 1 and 256"),
        ({"r": True}, "a rank of True is not between"),
        ({"r": 8}, "have the shapes [4, 12] and [16, 4], which do not fit a base of [16, 12] with rank 8."),
        ({"modules_to_save": ["lm_head"]}, "'modules_to_save' replaces whole parts of the base (['lm_head']). Train without it."),
        ({"peft_type": "IA3"}, "its kind is 'IA3'; what is taken is 'LORA', and in this process 'PREFIX_TUNING'."),
        ({"bias": "all"}, "'bias' is 'all'; only 'none' is taken."),
        ({"init_lora_weights": "pissa"}, "'init_lora_weights' 'pissa' would change the base."),
        ({"target_modules": ["k_proj"]}, "has no module 'k_proj'"),
        ({"target_modules": ["q_proj"]}, "changes 'model.layers.0.self_attn.v_proj', which 'target_modules' of"),
        ({"target_modules": ".*"}, "'target_modules' must be a list of names, not '.*'."),
        ({"auto_mapping": {"parent_library": "os"}}, "names code of its own ('auto_mapping')"),
        ({"megatron_config": {"a": 1}}, "names code of its own ('megatron_config')"),
        ({"use_dora": True}, "'use_dora' is set, and no adapter with it is taken."),
        ({"of_the_future": "x"}, "'of_the_future' is set, and no adapter with it is taken."),
        ({"trust_remote_code": True}, "asks to run code of its own ('trust_remote_code')"),
        ({"task_type": "IMAGE"}, "the task 'IMAGE' is none of ours."),
    ],
)
def test_bad_input_64_an_adapter_that_wants_more_than_it_may_is_refused(changes: dict[str, object], told: str, desk: Desk) -> None:
    folders.change_json(desk.adapter / CONFIG, **changes)
    desk.refused(desk.adapter, told, "--base", desk.base.model_id)


def test_bad_input_64_an_adapter_of_another_base_is_refused_however_alike_they_are(desk: Desk) -> None:
    other = folders.base(Path("other"), _name_or_path="org/other", vocab_size=7)
    folders.change_json(desk.adapter / CONFIG, base_model_name_or_path="other@123456789012")
    folders.write_json(desk.adapter / "frontdesk-run.json", {"base": desk.base.model_id})
    desk.refused(desk.adapter, "says that it belongs to 'other@123456789012', not to 'base@")
    assert other.is_dir()


def test_bad_input_64_an_adapter_without_a_base_is_refused(desk: Desk) -> None:
    desk.refused(desk.adapter, "It is an adapter ('adapter_config.json'). Say which model it belongs to: --base ID")


# What a model says of itself.


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (
            {"auto_map": {"AutoModel": "modeling.Evil"}},
            "'config.json' names code of its own ('auto_map'), and no code of a model is ever run.",
        ),
        ({"text_config": {"auto_map": {"AutoConfig": "x.Y"}}}, "names code of its own ('auto_map')"),
        ({"trust_remote_code": True}, "asks to run code of its own ('trust_remote_code')"),
        ({"_attn_implementation": "evil/kernel"}, "would fetch code from the hub ('_attn_implementation' is 'evil/kernel')"),
        ({"tokenizer_file": "/etc/passwd"}, "leads out of the folder ('tokenizer_file' is '/etc/passwd')"),
        ({"model_type": None}, "'config.json' names no 'model_type'."),
    ],
)
def test_bad_input_64_a_model_that_brings_code_is_refused(changes: dict[str, object], told: str, desk: Desk) -> None:
    desk.refused(folders.base(Path("model"), **changes), told)


# After the import.


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_bad_input_64_a_byte_flipped_after_the_import_is_refused_at_load_and_healed_by_another_import(name: str, desk: Desk) -> None:
    folders.flip(Path("data/models") / desk.base.model_id / name)
    with pytest.raises(ModelError, match=rf"'base@\w+' is not opened: '{name}' in .+ was changed after the import \(SHA-256 differs\)"):
        desk.artifacts().open(desk.base)
    assert desk.take("base").status == 0
    desk.artifacts().open(desk.base)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("generation_config.json", "'generation_config.json' was put into .+ after the import. Look who did, and take it out."),
        ("modeling.py", "'modeling.py' is code"),
        (".cache", r"'\.cache' is no file that a model needs"),
    ],
)
def test_bad_input_64_a_file_put_in_after_the_import_is_refused_at_load(name: str, told: str, desk: Desk) -> None:
    (Path("data/models") / desk.base.model_id / name).write_text("{}")
    with pytest.raises(ModelError, match=told):
        desk.artifacts().open(desk.base)


def test_bad_input_64_a_file_lost_after_the_import_is_refused_at_load(desk: Desk) -> None:
    (Path("data/models") / desk.base.model_id / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"'tokenizer.json' is missing in .+ Import the model again"):
        desk.artifacts().open(desk.base)


def test_bad_input_64_for_a_person_a_refusal_is_one_line_and_no_traceback(desk: Desk) -> None:
    renamed_pickle(desk.adapter)
    command = [sys.executable, "-m", "bot", "models", "import", "adapter", "--base", desk.base.model_id]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent.parent.parent)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith("frontdesk: 'adapter' was not imported: 'adapter_model.safetensors' is no safetensors file")
