"""What the README says is what the program does: every command and every setting, no more and no less."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from bot.cli import cli
from bot.reply_document import reply_document
from bot.settings import fields
from core.domain import Citation, Decision, Lineage, Reason, Reply

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def commands(group: click.Group, path: str = "frontdesk") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def settings() -> dict[str, tuple[str, str]]:
    """Default and description of every setting, nested ones as `policy.direct`; those in a user's folder vary."""
    return {
        name: ("~/.cache/frontdesk/models" if name == "model_dir" else str(field.default), str(field.description))
        for name, field in fields().items()
    }


def test_every_command_is_in_the_table_of_commands() -> None:
    told = set(re.findall(r"^\| `(frontdesk [\w -]+)` \|", README, re.MULTILINE))
    assert told == {path for path, _ in commands(cli)}


@pytest.mark.parametrize(("path", "command"), list(commands(cli)), ids=lambda value: value if isinstance(value, str) else "")
def test_every_command_shows_an_example_of_itself(path: str, command: click.Command) -> None:
    text = click.unstyle(command.get_help(click.Context(command, info_name=path)))
    assert re.search(rf"Example:\s+{re.escape(path)}", text), text


def test_every_setting_is_in_the_table_with_its_default_and_description() -> None:
    rows = re.findall(r"^\| `([a-z_.]+)` \| (?:`(.*?)`)? ?\| (.+?) \|$", README, re.MULTILINE)
    assert {name: (default, description) for name, default, description in rows} == settings()


def test_the_document_of_ask_has_the_keys_that_the_readme_shows() -> None:
    shown = json.loads(re.search(r'```json\n(\{"decision".*?)```', README, re.DOTALL)[1])  # type: ignore[index]
    lineage = Lineage("m", "i", "p", "e", "policy")
    reply = Reply(Decision.DIRECT, Reason.CONFIDENT, "text", (Citation("p", "t", None, 0.5),), 0.5, lineage)
    assert shape(reply_document(reply)) == shape(shown)


def shape(document: object) -> object:
    if isinstance(document, dict):
        return {key: shape(value) for key, value in document.items()}
    return [shape(document[0])] if isinstance(document, list) else type(document)


def test_every_document_that_the_readme_links_to_exists() -> None:
    links = re.findall(r"\]\(([A-Z]+(?:\.md)?)\)", README)
    assert links and all((Path(__file__).parent.parent / link).is_file() for link in links)
