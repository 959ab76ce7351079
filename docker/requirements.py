"""Prints what Frontdesk and some of its extras depend on, so that an image has them in a layer below the code."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path


def requirements(pyproject: Path, extras: list[str]) -> list[str]:
    """Return the requirements of the project and of `extras`. Raises `KeyError` for an extra that there is not."""
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    return [*project["dependencies"], *(line for extra in extras for line in _of(project["optional-dependencies"], extra))]


def _of(extras: dict[str, list[str]], name: str) -> list[str]:
    """The requirements of one extra, with those of extras that it names: `frontdesk[local,slack]`."""
    found: list[str] = []
    for line in extras[name]:
        inner = re.fullmatch(r"frontdesk\[(.+)\]", line)
        found += [deeper for part in inner[1].split(",") for deeper in _of(extras, part.strip())] if inner else [line]
    return found


if __name__ == "__main__":
    sys.stdout.write("\n".join(requirements(Path("pyproject.toml"), sys.argv[1:])) + "\n")
