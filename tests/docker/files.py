"""The files of docker/ as tests read them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import click
import yaml

from bot import settings
from bot.cli import cli

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "docker"
COMPOSE = FOLDER / "compose.yaml"
MANIFESTS = sorted(path for path in (FOLDER / "kubernetes").glob("*.yaml") if path.name != "kustomization.yaml")
_KNOWN = {settings.variable(name) for name in settings.names()}
_SECRET = re.compile(r"PASSWORD|TOKEN|SECRET|API_KEY|VAULT_KEYS|DATABASE_URL")


@cache
def instructions() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile in order, continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", (FOLDER / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines) if name]


@cache
def stages() -> dict[str, list[tuple[str, str]]]:
    """The instructions of each target, those of the stages it stands on first."""
    found: dict[str, list[tuple[str, str]]] = {}
    name = ""
    for instruction, rest in instructions():
        if instruction == "FROM":
            base, _, name = rest.partition(" AS ")
            found[name] = list(found.get(base, []))
        elif name:
            found[name].append((instruction, rest))
    return found


@cache
def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return document


@cache
def objects() -> list[dict[str, Any]]:
    """Every Kubernetes object that is applied."""
    return [document for path in MANIFESTS for document in yaml.safe_load_all(path.read_text())]


def pods() -> dict[str, dict[str, Any]]:
    """By name, what each workload runs."""
    workloads = [found for found in objects() if found["kind"] in {"Deployment", "StatefulSet"}]
    return {found["metadata"]["name"]: found["spec"]["template"]["spec"] for found in workloads}


def unknown_settings(variables: Iterator[str]) -> set[str]:
    """Those that the program would refuse to start with."""
    return {name for name in variables if name.startswith("FRONTDESK_")} - _KNOWN - {f"{name}_FILE" for name in _KNOWN}


def plain_secrets(variables: dict[str, str]) -> set[str]:
    """Variables that look like a secret and hold it, not the path of its file."""
    return {name for name in variables if _SECRET.search(name) and not name.endswith("_FILE")}


def check_command(words: list[str]) -> None:
    """Parse `frontdesk ...` as the program does, without running it. Raises `click.UsageError`."""
    assert words[0] == "frontdesk", words
    command: click.Command = cli
    rest = words[1:]
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        name, *rest = rest
        inner = command.get_command(click.Context(command), name)
        assert inner is not None, f"there is no command {name}"
        command = inner
    if "--help" not in rest:
        command.make_context(" ".join(words), rest)


def exec_form(rest: str) -> list[str]:
    """The words of a CMD or ENTRYPOINT."""
    words: list[str] = json.loads(rest)
    return words
