"""What can be known of the images without building them."""

from __future__ import annotations

import fnmatch
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

from docker.requirements import requirements
from tests.docker.files import FOLDER, ROOT, check_command, exec_form, instructions, plain_secrets, stages, unknown_settings

TARGETS = ("bot", "bot-local", "trainer")
PYPROJECT = ROOT / "pyproject.toml"


def test_the_linter_of_dockerfiles_has_nothing_to_say() -> None:
    command = [str(Path(sys.executable).parent / "hadolint"), "--failure-threshold", "style", str(FOLDER / "Dockerfile")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("script", ["entrypoint", "make-secrets"])
def test_the_scripts_are_executable_posix_shell(script: str) -> None:
    assert (FOLDER / script).stat().st_mode & 0o111
    assert subprocess.run(["sh", "-n", str(FOLDER / script)], check=False).returncode == 0


@pytest.mark.parametrize(("name", "kind"), [("accelerate-fsdp", "FSDP"), ("accelerate-deepspeed", "DEEPSPEED")])
def test_the_files_for_several_gpus_are_such_as_accelerate_reads(name: str, kind: str) -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    config = load_config_from_file(str(FOLDER / f"{name}.yaml"))  # an unknown key is an error
    assert (config.distributed_type.value, config.mixed_precision, config.num_machines) == (kind, "bf16", 1)


def test_every_base_image_is_named_with_its_version() -> None:
    bases = {rest.partition(" AS ")[0] for name, rest in instructions() if name == "FROM"} - set(stages())
    assert bases == {"python:3.12-slim-bookworm"}


def test_everything_that_is_copied_is_there_and_gets_into_the_context() -> None:
    ignored = [line for line in (FOLDER / "Dockerfile.dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert ignored[0] == "*"
    allowed = {line[1:] for line in ignored if line.startswith("!")}
    copied = {source for name, rest in instructions() if name == "COPY" and "--from=" not in rest for source in _sources(rest)}
    assert {source for source in copied if not (ROOT / source).exists()} == set()
    assert copied == allowed


def _sources(rest: str) -> list[str]:
    return [word for word in rest.split() if not word.startswith("--")][:-1]


def test_stages_copy_from_stages_that_there_are() -> None:
    named = set(re.findall(r"(?:--from=|from=)([\w-]+)", " ".join(rest for _, rest in instructions())))
    assert named <= set(stages())


def test_the_extras_are_those_of_the_project_and_torch_is_not_in_the_image_of_the_surfaces() -> None:
    def extras(target: str) -> set[str]:
        installed = next(re.search(r"--from=(\S+)", rest)[1] for name, rest in stages()[target] if name == "COPY" and "--from=" in rest)  # type: ignore[index]
        text = " ".join(rest for _, rest in stages()[installed])
        return {extra for found in re.findall(r"requirements\.py ([\w ]+?) >", text) for extra in found.split()}

    assert [extras(target) for target in TARGETS] == [
        {"slack", "discord", "console", "postgresql", "documents"},
        {"slack", "discord", "console", "postgresql", "documents", "local", "remote"},
        {"slack", "discord", "console", "postgresql", "documents", "local", "remote", "train"},
    ]
    assert all(requirements(PYPROJECT, list(extras(target))) for target in TARGETS)
    assert not any(fnmatch.fnmatch(line, "*torch*") or "transformers" in line for line in requirements(PYPROJECT, list(extras("bot"))))


def test_requirements_are_those_of_the_extras_and_of_the_extras_that_they_name(tmp_path: Path) -> None:
    extras = 'x = ["b>=2"]\ny = ["frontdesk[x]", "c"]'
    (tmp_path / "p.toml").write_text(f'[project]\ndependencies = ["a>=1"]\n[project.optional-dependencies]\n{extras}\n')
    assert requirements(tmp_path / "p.toml", []) == ["a>=1"]
    assert requirements(tmp_path / "p.toml", ["y"]) == ["a>=1", "b>=2", "c"]
    with pytest.raises(KeyError):
        requirements(tmp_path / "p.toml", ["z"])


def test_every_install_keeps_to_the_tested_versions() -> None:
    installs = [part for name, rest in instructions() if name == "RUN" for part in rest.split("&&") if "pip install" in part]
    assert installs
    assert all("-c constraints.txt" in part or "--no-deps /wheel/" in part for part in installs)


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads(PYPROJECT.read_text())["project"]
    text = " ".join(rest for _, rest in instructions())
    assert set(re.findall(r'version="([^"]+)"|frontdesk-([\d.]+)-py3', text)) == {(project["version"], ""), ("", project["version"])}
    assert version("frontdesk") == project["version"]


@pytest.mark.parametrize("target", TARGETS)
def test_every_image_runs_as_nobody_in_particular_with_a_command_that_there_is(target: str) -> None:
    last = dict(stages()[target])
    assert last["USER"] == "10001:10001"
    assert exec_form(last["ENTRYPOINT"]) == ["/usr/local/bin/entrypoint"]
    check_command(exec_form(last["CMD"]))
    assert ("HEALTHCHECK" in last) and (last["HEALTHCHECK"] == "NONE") == (target == "trainer")


def test_no_layer_holds_a_secret_and_no_setting_is_unknown() -> None:
    variables = dict(word.split("=", 1) for name, rest in instructions() if name in {"ENV", "ARG"} for word in rest.split())
    assert plain_secrets(variables) == set()
    assert unknown_settings(iter(variables)) == set()
