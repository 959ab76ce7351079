"""Secrets in SQL, sealed with keys that are not in the database (only importer of cryptography)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from core.errors import VaultError
from core.storage.database import Database
from core.storage.staff_tables import secrets
from core.text import clean

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

_KEYS = "vault_keys (FRONTDESK_VAULT_KEYS)"
_NEW_KEY = "Make one: python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"


class SqlVault:
    """`Vault` on a `Database`."""

    def __init__(self, database: Database, keys: Sequence[bytes]) -> None:
        """`keys` as Fernet makes them: the first seals, all open. Nothing is checked before the first secret."""
        self._database = database
        self._keys = keys

    async def put(self, name: str, value: bytes, expires_at: datetime | None = None) -> None:
        """See `Vault.put`."""
        async with self._database.write() as connection:
            await self._lock(connection, name)
            await self._write(connection, name, value, expires_at)
            await _forget_expired(connection, await self._database.now(connection))

    async def get(self, name: str) -> bytes | None:
        """See `Vault.get`."""
        async with self._database.read() as connection:
            return await self._read(connection, name)

    async def delete(self, name: str) -> None:
        """See `Vault.delete`."""
        async with self._database.write() as connection:
            await self._lock(connection, name)
            await connection.execute(delete(secrets).where(secrets.c.name == name))

    async def names(self, prefix: str) -> tuple[str, ...]:
        """See `Vault.names`."""
        begins = func.substr(secrets.c.name, 1, len(prefix)) == prefix  # LIKE of SQLite takes A for a
        async with self._database.read() as connection:
            query = select(secrets.c.name).where(begins, _valid(await self._database.now(connection)))
            return tuple(sorted((await connection.execute(query)).scalars()))

    @asynccontextmanager
    async def locked(self, name: str) -> AsyncIterator[_Locked]:
        """See `Vault.locked`."""
        async with self._database.write() as connection:
            await self._lock(connection, name)
            yield _Locked(self, connection, name, await self._read(connection, name))

    async def _lock(self, connection: AsyncConnection, name: str) -> None:
        """One writer of a name at a time, also of one that has no row yet to lock; on SQLite a write transaction is alone anyway."""
        if not self._database.is_sqlite:
            await connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))

    async def _read(self, connection: AsyncConnection, name: str) -> bytes | None:
        if clean(name) != name:  # names hold ids that come from outside, and PostgreSQL refuses NUL
            return None
        query = select(secrets.c.sealed).where(secrets.c.name == name, _valid(await self._database.now(connection)))
        sealed = (await connection.execute(query)).scalar()
        return self._open(name, sealed) if sealed is not None else None

    async def _write(self, connection: AsyncConnection, name: str, value: bytes, expires_at: datetime | None) -> None:
        values: dict[str, Any] = {"sealed": self._seal(name, value), "expires_at": expires_at}
        values["changed_at"] = await self._database.now(connection)
        insert = self._database.insert(secrets).values(name=name, **values)
        await connection.execute(insert.on_conflict_do_update(index_elements=[secrets.c.name], set_=values))

    def _seal(self, name: str, value: bytes) -> str:
        # The name is inside: whoever can write rows but has no key cannot give one workspace the token of another.
        return self._cipher.encrypt(_label(name) + value).decode()

    def _open(self, name: str, sealed: str) -> bytes:
        from cryptography.fernet import InvalidToken

        try:
            opened = self._cipher.decrypt(sealed)
        except InvalidToken:
            raise VaultError(
                f"The secret {name!r} cannot be opened: it is damaged, or its key is not in {_KEYS}. Add the key it was sealed with."
            ) from None
        if not opened.startswith(_label(name)):
            raise VaultError(f"The secret {name!r} was sealed under another name: somebody has changed rows of the table secrets.")
        return opened[len(_label(name)) :]

    @cached_property
    def _cipher(self) -> MultiFernet:
        try:
            from cryptography.fernet import Fernet, MultiFernet
        except ImportError:
            raise VaultError("Secrets need the library cryptography. Run: pip install 'frontdesk[slack]'") from None
        if not self._keys:
            raise VaultError(f"Secrets need a key, and {_KEYS} is empty. {_NEW_KEY}")
        try:
            return MultiFernet([Fernet(key) for key in self._keys])
        except ValueError:
            raise VaultError(f"A key in {_KEYS} is none: it must be 32 bytes in URL-safe base64. {_NEW_KEY}") from None


class _Locked:
    """`LockedSecret` in the transaction that holds the lock."""

    def __init__(self, vault: SqlVault, connection: AsyncConnection, name: str, value: bytes | None) -> None:
        self._vault = vault
        self._connection = connection
        self._name = name
        self._value = value

    @property
    def value(self) -> bytes | None:
        """See `LockedSecret.value`."""
        return self._value

    async def replace(self, value: bytes, expires_at: datetime | None = None) -> None:
        """See `LockedSecret.replace`."""
        await self._vault._write(self._connection, self._name, value, expires_at)
        self._value = value


def _label(name: str) -> bytes:
    return name.encode() + b"\0"


def _valid(now: datetime) -> ColumnElement[bool]:
    return or_(secrets.c.expires_at.is_(None), secrets.c.expires_at > now)


async def _forget_expired(connection: AsyncConnection, now: datetime) -> None:
    """Rows that somebody is replacing right now are left alone: waiting for them could end in a deadlock."""
    expired = select(secrets.c.name).where(secrets.c.expires_at <= now).with_for_update(skip_locked=True)
    await connection.execute(delete(secrets).where(secrets.c.name.in_(expired)))
