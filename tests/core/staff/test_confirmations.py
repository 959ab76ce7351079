"""What somebody has asked for is done when they confirm it: they alone, within a minute, once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography.fernet import Fernet

from core.domain import utc_now
from core.staff.actions import NotAllowedError
from core.staff.commands import Caller, Order
from core.staff.confirmations import Confirmations
from core.staff.rights import Person
from core.storage.database import Database
from core.storage.vault import SqlVault

ADA = Caller(Person("ada", "home", is_guest=False, is_stranger=False, is_bot=False, groups=None), "slack", "home")
ZOE = ADA._replace(person=Person("zoe", "home", is_guest=False, is_stranger=False, is_bot=False, groups=None))
ORDER = Order("promote", "b@2")


@pytest.fixture
def vault(database: Database) -> SqlVault:
    return SqlVault(database, [Fernet.generate_key()])


async def test_an_order_is_confirmed_once(vault: SqlVault) -> None:
    token = await Confirmations(vault).ask(ADA, ORDER)
    assert await Confirmations(vault).take(ADA, token) == ORDER  # another process may take it
    with pytest.raises(NotAllowedError, match="has been done"):
        await Confirmations(vault).take(ADA, token)


async def test_nobody_else_confirms_it_and_whoever_gave_it_still_can(vault: SqlVault) -> None:
    token = await Confirmations(vault).ask(ADA, ORDER)
    for other in (ZOE, ADA._replace(platform="discord")):
        with pytest.raises(NotAllowedError, match="Only whoever gave the command"):
            await Confirmations(vault).take(other, token)
    assert await Confirmations(vault).take(ADA, token) == ORDER


async def test_after_a_minute_it_is_over_and_a_made_up_one_never_was(vault: SqlVault) -> None:
    confirmations = Confirmations(vault)
    token = await confirmations.ask(ADA, ORDER)
    await vault.put(f"confirm:{token}", await vault.get(f"confirm:{token}") or b"", utc_now() - timedelta(seconds=1))
    for over in (token, "made-up"):
        with pytest.raises(NotAllowedError, match="more than a minute ago"):
            await confirmations.take(ADA, over)
