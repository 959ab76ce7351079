"""One installation of the app, as it is kept."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field, replace

from bot.slack.events import Identity
from bot.slack.payload import Payload, is_true, part, word
from core.errors import DeliveryError, RefusedError

_TOKEN = re.compile(r"[!-~]{1,500}")
_ID = re.compile(r"[A-Z0-9]{1,32}")


@dataclass(frozen=True, slots=True)
class Installation:
    """Who the bot is in one workspace, and the token with which it speaks there. Shown without its tokens."""

    workspace_id: str
    name: str  # of the workspace
    identity: Identity
    token: str = field(repr=False)
    refresh_token: str = field(default="", repr=False)
    expires_at: float | None = None  # seconds since the epoch; None where tokens do not rotate

    def expires_within(self, seconds: float, now: float) -> bool:
        """Tell whether the token ends so soon, and another can be had."""
        return bool(self.refresh_token) and self.expires_at is not None and self.expires_at - now < seconds

    def renewed(self, told: Payload, now: float) -> Installation:
        """Return it with the token of a refresh. Raises `RefusedError` when that is of another workspace."""
        after = installed(told, now)
        if after.workspace_id != self.workspace_id:
            raise RefusedError("Slack gave a token of another workspace.")
        return replace(self, token=after.token, refresh_token=after.refresh_token or self.refresh_token, expires_at=after.expires_at)

    def dump(self) -> bytes:
        """Return it as bytes."""
        return json.dumps(asdict(self)).encode()


def load(raw: bytes | None) -> Installation | None:
    """Return what was dumped. Raises `DeliveryError` when it is something else."""
    if not raw:
        return None
    try:
        kept = json.loads(raw)
        return Installation(**kept | {"identity": Identity(**kept["identity"])})
    except (ValueError, TypeError, KeyError):  # their texts would hold what was read
        raise DeliveryError("A kept installation of Slack cannot be read: it is of another version. Install the app again.") from None


def installed(told: Payload, now: float) -> Installation:
    """Return what an answer of oauth.v2.access grants. Raises `RefusedError` when that is no token of a bot in a workspace."""
    enterprise = word(told, "enterprise", "id") if is_true(told, "is_enterprise_install") else ""
    workspace_id = enterprise or word(told, "team", "id")
    token, bot_user_id = word(told, "access_token"), word(told, "bot_user_id")
    if not _ID.fullmatch(workspace_id) or not bot_user_id or not _TOKEN.fullmatch(token) or word(told, "token_type") != "bot":
        raise RefusedError("Slack gave no token of a bot in a workspace.")
    lasts = told.get("expires_in")
    return Installation(
        workspace_id,
        word(part(told, "enterprise" if enterprise else "team"), "name"),
        Identity(bot_user_id, "", word(told, "app_id"), workspace_id),
        token,
        word(told, "refresh_token"),
        now + lasts if isinstance(lasts, int) and lasts > 0 else None,
    )
