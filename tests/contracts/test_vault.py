"""Every vault keeps secrets by name and lets one at a time replace them; the one in SQL keeps them sealed."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import func, select, update

from core.domain import utc_now
from core.errors import VaultError
from core.storage.database import Database
from core.storage.memory_records import MemoryVault
from core.storage.staff_tables import secrets
from core.storage.vault import SqlVault
from core.vault import Vault

OLD, NEW = Fernet.generate_key(), Fernet.generate_key()
HOUR = timedelta(hours=1)


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def vault(request: pytest.FixtureRequest, open_database: Callable[[str], Awaitable[Database]]) -> Vault:
    return MemoryVault() if request.param == "memory" else SqlVault(await open_database(request.param), [NEW])


async def test_a_secret_is_given_back_byte_for_byte_until_it_is_replaced_or_deleted(vault: Vault) -> None:
    assert await vault.get("slack:T1") is None
    await vault.put("slack:T1", b"\x00xoxb\xff")
    assert await vault.get("slack:T1") == b"\x00xoxb\xff"
    await vault.put("slack:T1", b"")
    assert await vault.get("slack:T1") == b""
    await vault.delete("slack:T1")
    await vault.delete("slack:T1")
    assert await vault.get("slack:T1") is None


async def test_a_secret_is_gone_when_it_expires(vault: Vault) -> None:
    await vault.put("later", b"1", utc_now() + HOUR)
    await vault.put("past", b"2", utc_now() - HOUR)
    assert (await vault.get("later"), await vault.get("past")) == (b"1", None)
    assert await vault.names("") == ("later",)
    async with vault.locked("past") as secret:
        assert secret.value is None


async def test_names_are_those_that_begin_so_letter_for_letter(vault: Vault) -> None:
    for name in ("slack:T2", "slack:T1", "Slack:T3", "slack%", "discord:1"):
        await vault.put(name, b"x")
    assert await vault.names("slack:") == ("slack:T1", "slack:T2")
    assert await vault.names("slack%") == ("slack%",)
    assert await vault.names("_") == ()


@pytest.mark.parametrize("forged", ["x" * 500, "state:\x00", "state:\ud800"])
async def test_a_forged_name_is_a_secret_that_does_not_exist(forged: str, vault: Vault) -> None:
    assert await vault.get(forged) is None


async def test_ten_who_refresh_a_token_at_once_refresh_it_once(vault: Vault) -> None:
    await vault.put("token", b"old")
    refreshed: list[int] = []

    async def refresh(number: int) -> bytes:
        async with vault.locked("token") as secret:
            if secret.value == b"old":
                await asyncio.sleep(0)
                refreshed.append(number)
                await secret.replace(f"new-{number}".encode())
            assert secret.value is not None
            return secret.value

    values = await asyncio.gather(*map(refresh, range(10)))
    assert len(refreshed) == 1
    assert set(values) == {f"new-{refreshed[0]}".encode()} == {await vault.get("token")}


async def test_of_those_who_make_a_secret_at_once_one_does(vault: Vault) -> None:
    made: list[int] = []

    async def make(number: int) -> None:
        async with vault.locked("token") as secret:
            if secret.value is None:
                await asyncio.sleep(0)
                made.append(number)
                await secret.replace(b"made", utc_now() + HOUR)

    await asyncio.gather(*map(make, range(5)))
    assert (len(made), await vault.get("token")) == (1, b"made")


async def test_an_error_under_the_lock_leaves_the_old_secret_and_frees_the_lock(vault: Vault) -> None:
    await vault.put("token", b"old")
    with pytest.raises(RuntimeError):
        async with vault.locked("token") as secret:
            await secret.replace(b"new")
            raise RuntimeError
    assert await vault.get("token") == b"old"
    async with vault.locked("token") as secret:
        await secret.replace(b"newer")
    assert await vault.get("token") == b"newer"


async def test_a_secret_that_is_put_waits_for_whoever_holds_the_lock(vault: Vault) -> None:
    async with vault.locked("token") as secret:
        putting = asyncio.create_task(vault.put("token", b"put"))
        done, _ = await asyncio.wait([putting], timeout=0.2)
        assert not done
        await secret.replace(b"replaced")
    await putting
    assert await vault.get("token") == b"put"


async def rows(database: Database) -> dict[str, str]:
    async with database.read() as connection:
        return {row.name: row.sealed for row in await connection.execute(select(secrets.c.name, secrets.c.sealed))}


async def test_no_row_shows_a_secret(database: Database) -> None:
    await SqlVault(database, [NEW]).put("slack:T1", b"xoxb-secret")
    assert "xoxb" not in (await rows(database))["slack:T1"]


async def test_keys_rotate_the_first_seals_and_all_open(database: Database) -> None:
    await SqlVault(database, [OLD]).put("a", b"1")
    both = SqlVault(database, [NEW, OLD])
    assert await both.get("a") == b"1"
    await both.put("a", b"1")
    assert await SqlVault(database, [NEW]).get("a") == b"1"


async def test_a_missing_key_is_told_by_the_name_of_its_setting(database: Database) -> None:
    await SqlVault(database, [OLD]).put("a", b"1")
    for keys in ([NEW], [], [b"not a key"]):
        with pytest.raises(VaultError, match="vault_keys"):
            await SqlVault(database, keys).get("a")


async def test_a_missing_library_is_told_with_how_to_get_it(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.fernet", None)
    with pytest.raises(VaultError, match=r"frontdesk\[slack\]"):
        await SqlVault(database, [NEW]).put("a", b"1")


async def test_rows_that_were_swapped_open_neither(database: Database) -> None:
    vault = SqlVault(database, [NEW])
    await vault.put("slack:T1", b"1")
    await vault.put("slack:T2", b"2")
    sealed = await rows(database)
    async with database.write() as connection:
        for name, other in (("slack:T1", "slack:T2"), ("slack:T2", "slack:T1")):
            await connection.execute(update(secrets).where(secrets.c.name == name).values(sealed=sealed[other]))
    for name in sealed:
        with pytest.raises(VaultError, match="another name"):
            await vault.get(name)


async def test_a_name_that_begins_another_does_not_open_it(database: Database) -> None:
    vault = SqlVault(database, [NEW])
    await vault.put("ab", b"1")
    async with database.write() as connection:
        await connection.execute(update(secrets).values(name="a"))
    with pytest.raises(VaultError, match="another name"):
        await vault.get("a")


async def test_expired_rows_go_when_the_next_secret_comes(database: Database) -> None:
    vault = SqlVault(database, [NEW])
    await vault.put("state:1", b"1", utc_now() - HOUR)
    await vault.put("state:2", b"2", utc_now() + HOUR)
    async with database.read() as connection:
        assert (await connection.execute(select(func.count()).select_from(secrets))).scalar_one() == 1
