"""What somebody has asked for and not confirmed yet: theirs alone, for a minute, once."""

from __future__ import annotations

import json
import secrets
from datetime import timedelta

from core.domain import utc_now
from core.staff.actions import NotAllowedError
from core.staff.commands import Caller, Order
from core.vault import Vault

LASTS = timedelta(seconds=60)
_GONE = "This has been done, or was asked more than a minute ago. Give the command again."
_NOT_YOURS = "Only whoever gave the command can confirm it."


class Confirmations:
    """Orders that wait for a second press, in the vault: any process may take the press."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    async def ask(self, caller: Caller, order: Order) -> str:
        """Keep an order for a minute and return the token that confirms it."""
        token = secrets.token_urlsafe(16)
        kept = {"actor": caller.actor, "name": order.name, "argument": order.argument}
        await self._vault.put(_name(token), json.dumps(kept).encode(), utc_now() + LASTS)
        return token

    async def take(self, caller: Caller, token: str) -> Order:
        """Return the order of a token, once. Raises `NotAllowedError` for anybody else, and when it is over."""
        async with self._vault.locked(_name(token)) as kept:
            found = json.loads(kept.value or b"{}")
            if not found:
                raise NotAllowedError(_GONE)
            if found["actor"] != caller.actor:
                raise NotAllowedError(_NOT_YOURS)
            await kept.replace(b"{}", utc_now() + LASTS)
        return Order(found["name"], found["argument"])


def _name(token: str) -> str:
    return f"confirm:{token}"
