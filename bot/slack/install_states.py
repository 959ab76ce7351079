"""That whoever comes back from Slack is the browser that went there, once and within ten minutes."""

from __future__ import annotations

import hashlib
import secrets
from collections import deque
from collections.abc import Callable
from datetime import timedelta
from hmac import compare_digest
from time import monotonic
from typing import NamedTuple

from core.domain import utc_now
from core.vault import Vault

PREFIX = "slack-install-state:"
LASTS = timedelta(minutes=10)
_A_MINUTE = 60  # starts that are taken: nobody is known yet who asks for one, and each is a row
_LONGEST = 64


class Started(NamedTuple):
    """What goes to Slack and comes back, and what only the browser holds."""

    state: str
    browser: str


class InstallStates:
    """States of OAuth, kept as their hashes."""

    def __init__(self, vault: Vault, clock: Callable[[], float] = monotonic) -> None:
        self._vault = vault
        self._clock = clock
        self._starts: deque[float] = deque(maxlen=_A_MINUTE)

    async def start(self) -> Started | None:
        """Return a new one, None when too many were asked for in the last minute."""
        now = self._clock()
        if len(self._starts) == _A_MINUTE and now - self._starts[0] < 60:
            return None
        self._starts.append(now)
        started = Started(secrets.token_urlsafe(32), secrets.token_urlsafe(32))
        await self._vault.put(_name(started.state), started.browser.encode(), utc_now() + LASTS)
        return started

    async def redeem(self, state: str, browser: str) -> bool:
        """Tell whether this browser was given this state; it is worth nothing from then on."""
        if not state or not browser or max(len(state), len(browser)) > _LONGEST:
            return False
        if not _is(await self._vault.get(_name(state)), browser):  # without a lock, which strangers could keep busy
            return False
        async with self._vault.locked(_name(state)) as kept:
            if not _is(kept.value, browser):
                return False
            await kept.replace(b"", utc_now() + LASTS)
        return True


def _name(state: str) -> str:
    return PREFIX + hashlib.sha256(state.encode(errors="replace")).hexdigest()


def _is(kept: bytes | None, browser: str) -> bool:
    return bool(kept) and compare_digest(kept or b"", browser.encode(errors="replace"))
