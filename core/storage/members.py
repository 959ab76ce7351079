"""Who may sign in, in SQL: one row for each; whoever is removed keeps theirs, without a name that anybody else wants."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, select, update

from core.members import Identity, Member, Role, Scope, name_key
from core.storage.database import Database
from core.storage.member_tables import members, sessions
from core.text import clean

_present = members.c.removed_at.is_(None)


class SqlMembers:
    """`Members` on a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, member: Member) -> bool:
        """See `Members.add`."""
        row = {"member_id": member.member_id, "name": clean(member.name), "name_key": name_key(member.name)}
        async with self._database.write() as connection:
            now = await self._database.now(connection)
            insert = self._database.insert(members).values(**row, **_rights(member.role, member.scope), added_at=now)
            return bool((await connection.execute(insert.on_conflict_do_nothing())).rowcount)

    async def member(self, member_id: str) -> Member | None:
        """See `Members.member`."""
        return await self._one(members.c.member_id == clean(member_id))

    async def named(self, name: str) -> Member | None:
        """See `Members.named`."""
        return await self._one(members.c.name_key == name_key(name))

    async def all(self) -> tuple[Member, ...]:
        """See `Members.all`."""
        async with self._database.read() as connection:
            rows = (await connection.execute(select(members).where(_present))).mappings()
            return tuple(sorted(map(member_of, rows), key=lambda one: name_key(one.name)))

    async def names(self) -> Mapping[str, str]:
        """See `Members.names`."""
        async with self._database.read() as connection:
            rows = (await connection.execute(select(members))).mappings()
            return {member_of(row).actor: row["name"] for row in rows}

    async def change(self, member_id: str, role: Role, scope: Scope) -> bool:
        """See `Members.change`."""
        return await self._update(member_id, **_rights(role, scope))

    async def remove(self, member_id: str) -> bool:
        """See `Members.remove`."""
        async with self._database.write() as connection:
            now = await self._database.now(connection)
            nothing = {"password": None, "issuer": None, "subject": None}
            gone = update(members).where(members.c.member_id == clean(member_id), _present).values(removed_at=now, **nothing)
            await connection.execute(sessions.delete().where(sessions.c.member_id == clean(member_id)))
            return bool((await connection.execute(gone)).rowcount)

    async def identified(self, identity: Identity) -> Member | None:
        """See `Members.identified`."""
        return await self._one(members.c.issuer == clean(identity.issuer), members.c.subject == clean(identity.subject))

    async def identify(self, member_id: str, identity: Identity) -> bool:
        """See `Members.identify`."""
        issuer, subject = clean(identity.issuer), clean(identity.subject)
        taken = select(members.c.member_id).where(members.c.issuer == issuer, members.c.subject == subject, _present)
        free = update(members).where(members.c.member_id == clean(member_id), members.c.subject.is_(None), _present, ~taken.exists())
        async with self._database.write() as connection:
            return bool((await connection.execute(free.values(issuer=issuer, subject=subject))).rowcount)

    async def password(self, member_id: str) -> str:
        """See `Members.password`."""
        query = select(members.c.password).where(members.c.member_id == clean(member_id), _present)
        async with self._database.read() as connection:
            return (await connection.execute(query)).scalar() or ""

    async def set_password(self, member_id: str, hashed: str) -> None:
        """See `Members.set_password`."""
        await self._update(member_id, password=hashed)

    async def _one(self, *wanted: ColumnElement[bool]) -> Member | None:
        async with self._database.read() as connection:
            row = (await connection.execute(select(members).where(*wanted, _present))).mappings().first()
            return member_of(row) if row else None

    async def _update(self, member_id: str, **values: Any) -> bool:
        async with self._database.write() as connection:
            changed = update(members).where(members.c.member_id == clean(member_id), _present).values(**values)
            return bool((await connection.execute(changed)).rowcount)


def member_of(row: RowMapping) -> Member:
    """Return the member that a row is about."""
    kept = row["workspaces"]
    scope = Scope(None if kept is None else frozenset((platform, workspace_id) for platform, workspace_id in json.loads(kept)))
    return Member(row["member_id"], row["name"], Role[row["role"]], scope)


def _rights(role: Role, scope: Scope) -> dict[str, Any]:
    return {"role": role.name, "workspaces": None if scope.workspaces is None else json.dumps(sorted(scope.workspaces))}
