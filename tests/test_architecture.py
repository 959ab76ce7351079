"""The shape of the code: import rules that hold and bite, modules of a readable length, a README tree that is true."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("bot", "retrieval", "core", "migrations")
MAX_LINES = 300
# Each line, added to its file, must break the contract of that name.
TRESPASSES = {
    "bot > retrieval > core": ("core/text.py", "import retrieval.problems"),
    "The rooms of core meet in its ports": ("core/dialogue/policy.py", "import core.storage.memory"),
    "Knowledge uses only the nouns, ports, errors and text of core": ("retrieval/rows.py", "import core.storage.memory"),
    "A surface reaches the dialogue through dispatch only": ("bot/web/app.py", "import bot.bootstrap"),
    "Only bootstrap names concrete classes": ("bot/dispatch.py", "import core.storage.knowledge_store"),
    "The core opens no socket and draws nothing": ("core/dialogue/engine.py", "import rich"),
    "Language models live in core.serving and the trainers": ("retrieval/embedding.py", "import torch"),
    "trl and datasets live in the trainers": ("core/training/dataset.py", "import datasets"),
    "optuna lives in core.training.search": ("core/training/recipe.py", "import optuna"),
    "sacrebleu lives in core.training.evaluation": ("core/training/card.py", "import sacrebleu"),
    "SQL lives in core.storage": ("bot/dispatch.py", "import sqlalchemy"),
    "sentence_transformers lives in retrieval.embedding and the trainer of it": ("core/serving/local.py", "import sentence_transformers"),
    "faiss lives in retrieval.faiss_index": ("retrieval/ingest.py", "import faiss"),
    "bm25s lives in retrieval.lexical": ("retrieval/ingest.py", "import bm25s"),
    "openai lives in core.serving.remote_server": ("core/serving/remote.py", "import openai"),
    "prometheus_client lives in bot.metrics": ("bot/dispatch.py", "import prometheus_client"),
    "Slack's libraries live in bot.slack": ("bot/dispatch.py", "import slack_sdk"),
    "Discord's library lives in bot.discord": ("bot/slack/client.py", "import discord"),
    "aiohttp lives where the chat platforms are": ("bot/dispatch.py", "import aiohttp"),
    "cryptography lives in core.storage.vault": ("core/storage/previews.py", "import cryptography"),
    "Surfaces do not know one another": ("bot/console/parts.py", "import bot.web.protection"),
    "argon2 lives in core.staff.passwords": ("core/staff/rights.py", "import argon2"),
    "Authlib lives where staff sign in elsewhere": ("bot/console/discord_oauth.py", "import authlib"),
    "Templates are rendered for the console and for reports": ("bot/console/auth.py", "import jinja2"),
    "Migrations never import the application": ("migrations/env.py", "import core.domain"),
}


def lint_imports(folder: Path) -> str:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=folder, env={"PYTHONPATH": str(folder), "PATH": ""}, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def modules() -> list[Path]:
    return [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]


def test_import_contracts_are_kept() -> None:
    said = lint_imports(ROOT)
    assert re.search(r"Contracts: \d+ kept, 0 broken", said), said


def test_every_import_contract_bites(tmp_path: Path) -> None:
    for name in (*PACKAGES, "pyproject.toml"):
        source = ROOT / name
        shutil.copytree(source, tmp_path / name) if source.is_dir() else shutil.copy(source, tmp_path / name)
    for file, line in TRESPASSES.values():
        with (tmp_path / file).open("a") as module:
            module.write(f"\n{line}\n")
    said = lint_imports(tmp_path)
    broken = set(re.findall(r"^(.+?) BROKEN", said, re.MULTILINE))
    assert broken == set(TRESPASSES), said
    assert not re.search(r" KEPT$", said, re.MULTILINE), "a contract has no trespass here that proves it"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_is_longer_than_a_person_can_hold(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_LINES


def test_every_module_says_in_one_sentence_what_it_is() -> None:
    silent = [str(path.relative_to(ROOT)) for path in modules() if "versions" not in path.parts and not path.read_text().startswith('"""')]
    assert silent == []


def test_the_tree_in_the_readme_is_the_tree_on_disk() -> None:
    block = re.search(r"```\n(bot/.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert block, "README.md shows no tree"
    told = set(_told(block.group(1)))
    rooms = {path.parent.relative_to(ROOT).as_posix() for path in modules() if path.parent.name != "versions"}
    top = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".") and any(path.rglob("*.py"))}
    assert told == rooms | top


def _told(block: str) -> list[str]:
    """The folders of a tree: `name/` at the depth its indentation gives."""
    told: list[str] = []
    for line in block.splitlines():
        found = re.match(r"( *)([\w.]+)/ ", line)
        if found:
            depth = len(found[1]) // 2
            parents = told[-1].split("/")[:depth] if told else []
            told.append("/".join([*parents, found[2]]))
    return told


def test_help_needs_no_heavy_library() -> None:
    code = (
        "import sys; from bot.cli import cli; cli(['--help'], standalone_mode=False); "
        "heavy = {'torch', 'transformers', 'faiss', 'sentence_transformers', 'sqlalchemy', 'fastapi', 'numpy', 'rich'} & set(sys.modules); "
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
