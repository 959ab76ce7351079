"""The migrations make the tables that the code expects, can be undone, and depend on no code that may change."""

from __future__ import annotations

import ast
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

import migrations
from core.domain import Actor, Address, Decision, InboundMessage, Lineage, Reason, Reply
from core.storage.conversation_log import SqlConversationLog
from core.storage.database import Database, newest_revision
from core.storage.inbox import SqlInbox
from core.storage.member_tables import members
from core.storage.model_tables import models
from core.storage.review_tables import reviews
from core.storage.staff_tables import metadata

FOLDER = Path(migrations.__file__).parent
FILES = sorted((FOLDER / "versions").glob("*.py"))
WORDS = "turn_words"  # another kind of table on each database, and on SQLite those that FTS5 keeps it in
assert models.metadata is metadata is members.metadata is reviews.metadata  # all tables are known once these modules are imported
BOTH = pytest.mark.parametrize("kind", ["sqlite", "postgresql"])


def config(connection: Connection | None = None) -> Config:
    found = Config()
    found.set_main_option("script_location", str(FOLDER))
    found.attributes["connection"] = connection
    return found


async def on(database: Database, work: Callable[[Connection], Any]) -> Any:
    async with database.write() as connection:
        return await connection.run_sync(work)


def differences(connection: Connection) -> list[Any]:
    options = {"compare_type": True, "include_name": lambda name, kind, _parents: kind != "table" or not (name or "").startswith(WORDS)}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


def shape(connection: Connection) -> dict[str, set[str]]:
    """What autogenerate does not compare: primary keys, unique and foreign keys, with their columns."""
    inspector = inspect(connection)
    return {
        table: {f"primary {inspector.get_pk_constraint(table)['constrained_columns']}"}
        | {f"unique {unique['name']} {unique['column_names']}" for unique in inspector.get_unique_constraints(table)}
        | {f"{key['constrained_columns']} to {key['referred_table']}" for key in inspector.get_foreign_keys(table)}
        | {f"{column['name']} {'may' if column['nullable'] else 'must not'} be null" for column in inspector.get_columns(table)}
        for table in inspector.get_table_names()
        if table != "alembic_version" and not table.startswith(WORDS)
    }


@BOTH
async def test_an_upgrade_from_nothing_gives_exactly_the_tables_of_the_code(kind: str, new_database_url: Callable[[str], str]) -> None:
    migrated, made = Database(new_database_url(kind)), Database(new_database_url(kind) if kind == "postgresql" else "sqlite:///made.db")
    await migrated.upgrade()
    await on(made, metadata.create_all)
    assert await on(migrated, differences) == []
    assert await on(migrated, shape) == await on(made, shape)
    await migrated.close()
    await made.close()


async def test_a_difference_would_be_noticed(database: Database) -> None:
    await on(database, lambda connection: connection.exec_driver_sql("ALTER TABLE turns ADD COLUMN mood TEXT"))
    await on(database, lambda connection: connection.exec_driver_sql("DROP INDEX passages_by_source"))
    assert {difference[0] for difference in await on(database, differences)} == {"remove_column", "add_index"}


async def test_every_migration_can_be_undone_and_done_again(database: Database) -> None:
    await on(database, lambda connection: command.downgrade(config(connection), "base"))
    assert await on(database, lambda connection: inspect(connection).get_table_names()) == ["alembic_version"]
    assert await database.revision() is None
    await database.upgrade()
    assert await on(database, differences) == []


async def test_a_second_upgrade_changes_nothing(database: Database) -> None:
    before = await on(database, shape)
    await database.upgrade()
    assert await on(database, shape) == before


CONVERSATION = "INSERT INTO conversations VALUES ('c', 'web', 'local', 'chat', 't1', '2026-01-02 03:04:05')"
TURN = """INSERT INTO turns VALUES ('turn', 'c', 1, 'ann', 'How do I pay?', 'hash', '2026-01-02 03:04:05', '2026-01-02 03:04:06',
 'direct', 'confident', 'By card.', 0.9, '[]', '[]', '{"model": "m", "index": "i", "prompt": "p", "embedder": "e", "policy": "o"}',
 '{"retrieve": 1, "generate": 2, "total": 3}', 4, 5)"""


async def test_bad_input_62_what_was_said_before_the_inbox_came_is_still_read_and_the_conversation_goes_on(database: Database) -> None:
    await on(database, lambda connection: command.downgrade(config(connection), "0001"))
    for statement in (CONVERSATION, TURN):
        await on(database, lambda connection, told=statement: connection.exec_driver_sql(told))
    await database.upgrade()
    log, inbox, address = SqlConversationLog(database), SqlInbox(database), Address("web", "local", "chat", "t1")
    (before,) = await log.turns(address)
    assert (before.question, before.reply.text, before.reply.timings_ms.total) == ("How do I pay?", "By card.", 3)
    await inbox.accept(InboundMessage("m1", address, Actor("ann"), "and in cash?"))
    claim = await inbox.claim(60)
    assert claim is not None
    await inbox.finish(claim, before.reply)
    assert [turn.question for turn in await log.turns(address)] == ["How do I pay?", "and in cash?"]


async def test_bad_input_62_a_version_that_knows_no_newer_column_still_writes_turns(database: Database) -> None:
    await on(database, lambda connection: command.downgrade(config(connection), "0001"))
    told = {name: await on(database, lambda connection, table=name: columns(connection, table)) for name in ("conversations", "turns")}
    await database.upgrade()
    for statement in (CONVERSATION, TURN):
        table, _, values = statement.removeprefix("INSERT INTO ").partition(" VALUES ")
        old = f"INSERT INTO {table} ({told[table]}) VALUES {values}"
        await on(database, lambda connection, old=old: connection.exec_driver_sql(old))
    (turn,) = await SqlConversationLog(database).turns(Address("web", "local", "chat", "t1"))
    assert turn.reply.lineage.model == "m"


def columns(connection: Connection, table: str) -> str:
    return ", ".join(column["name"] for column in inspect(connection).get_columns(table))


async def test_bad_input_62_turns_of_the_new_version_are_still_there_after_going_back(database: Database) -> None:
    inbox, address = SqlInbox(database), Address("web", "local", "chat", "t1")
    await inbox.accept(InboundMessage("m1", address, Actor("ann"), "How do I pay?"))
    claim = await inbox.claim(60)
    assert claim is not None
    await inbox.finish(claim, Reply(Decision.DIRECT, Reason.CONFIDENT, "By card.", (), 0.9, Lineage("m", "i", "p", "e", "o")))
    await on(database, lambda connection: command.downgrade(config(connection), "0001"))
    query = "SELECT question, text FROM turns"
    assert await on(database, lambda connection: connection.exec_driver_sql(query).all()) == [("How do I pay?", "By card.")]


def test_migrations_are_numbered_and_in_one_line() -> None:
    revisions = list(reversed(list(ScriptDirectory.from_config(config()).walk_revisions())))
    assert [revision.revision for revision in revisions] == [f"{number:04}" for number in range(1, len(FILES) + 1)]
    assert [revision.down_revision for revision in revisions] == [None, *(earlier.revision for earlier, _ in pairwise(revisions))]
    assert revisions[-1].revision == newest_revision()
    assert all(Path(revision.path).name.startswith(f"{revision.revision}_") for revision in revisions)


@pytest.mark.parametrize("path", [*FILES, FOLDER / "env.py"], ids=lambda path: path.stem)
def test_a_migration_imports_no_application_code(path: Path) -> None:
    imported = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {name.name.split(".")[0] for node in imported if isinstance(node, ast.Import) for name in node.names}
    names |= {(node.module or "").split(".")[0] for node in imported if isinstance(node, ast.ImportFrom)}
    assert names <= {"alembic", "sqlalchemy", "datetime", "__future__"}
    assert not [node for node in imported if isinstance(node, ast.ImportFrom) and node.level]
