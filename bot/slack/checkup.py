"""What `frontdesk doctor` finds out about Slack, each with its fix in one line; no token ever stands in what it says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import time
from typing import TYPE_CHECKING, Any

from bot.check import Check, seconds_ahead
from bot.setting_groups import Slack
from bot.slack.client import SlackClient, SlackNotNowError, SlackRefusedError, open_session
from bot.slack.http import PATH, WINDOW_SECONDS
from bot.slack.manifest import SCOPES, base_of, scopes
from core.errors import DeliveryError
from core.presence import Mode

if TYPE_CHECKING:
    from aiohttp import ClientSession

_MOST_SKEW = 2.0  # seconds; NTP keeps hosts within 0.1
_COPY_BOT = "OAuth & Permissions > copy the Bot User OAuth Token (xoxb-...) to SLACK_BOT_TOKEN"
_REVIVE = {
    "account_inactive": "The app is not installed any more: OAuth & Permissions > Install to Workspace, then copy the new token",
    "token_revoked": "The app is not installed any more: OAuth & Permissions > Install to Workspace, then copy the new token",
    "token_expired": "Token rotation is on in this app: make another one from `frontdesk slack manifest`, which has it off",
}
_COPY_APP = (
    "Basic Information > App-Level Tokens > Generate Token and Scopes > add connections:write, copy it (xapp-...) to SLACK_APP_TOKEN; "
    "and Socket Mode > Enable Socket Mode"
)
_NO_TRANSPORT = "nothing comes in: set SLACK_APP_TOKEN (Socket Mode) or SLACK_SIGNING_SECRET (HTTP)"


async def examine(asked: Slack, clock: Callable[[], float] = time) -> list[Check]:
    """Return what was found, nothing where Slack is not set up. Raises `SettingsError` when its packages are not installed."""
    if not (asked.bot_token or asked.app_token or asked.signing_secret):
        return []
    async with open_session() as session:
        return await _Checkup(asked, session, clock).run()


class _Checkup:
    """One look at everything of Slack."""

    def __init__(self, asked: Slack, session: ClientSession, clock: Callable[[], float]) -> None:
        self._asked = asked
        self._session = session
        self._clock = clock
        self._client = SlackClient(asked.bot_token, asked.api_url, session)

    async def run(self) -> list[Check]:
        if not self._asked.bot_token:
            return [Check("slack token", False, f"there is none. {_COPY_BOT}"), *await self._transport("")]
        before = self._clock()
        try:
            who, headers = await self._client.introduce()
        except (SlackRefusedError, SlackNotNowError) as error:
            fix = _REVIVE.get(error.code, _COPY_BOT)
            return [Check("slack token", False, f"Slack refuses it ({error.code}). {fix}"), *await self._transport("")]
        except DeliveryError as error:  # whatever else is asked now would wait as long, for the same
            told = str(error).rstrip(".")
            return [Check("slack token", False, f"{told}. This host must reach {self._asked.api_url}; nothing else of Slack was checked")]
        return [
            _token(who),
            scopes_check(headers.get("x-oauth-scopes"), Mode(self._asked.mode)),
            *await self._transport(str(who.get("app_id") or "")),
            await self._staff_channel(),
            await self._staff(),
            clock_check(headers.get("date", ""), before, self._clock()),
        ]

    async def _transport(self, app_id: str) -> list[Check]:
        """Every way in that is set up; `app_id` is the app of the bot token, where it is known."""
        checks = []
        if self._asked.app_token:
            checks.append(await self._socket(app_id))
        if self._asked.signing_secret:
            checks.append(_http(self._asked.public_url))
        return checks or [Check("slack transport", False, _NO_TRANSPORT)]

    async def _socket(self, app_id: str) -> Check:
        name = "slack transport"
        try:  # the address that comes back is not used: no connection is made, and no event taken from one that stands
            await SlackClient(self._asked.app_token, self._asked.api_url, self._session).call("apps.connections.open")
        except SlackRefusedError as error:
            return Check(name, False, f"Socket Mode: Slack refuses the app-level token ({error.code}). {_COPY_APP}")
        except DeliveryError as error:
            return Check(name, False, f"Socket Mode: {error}")
        if app_id and self._asked.app_token.startswith("xapp-") and f"-{app_id}-" not in self._asked.app_token:
            return Check(name, False, "Socket Mode: the app-level token is of another app than the bot token. Copy both from one app")
        return Check(name, True, "Socket Mode: Slack opens a connection")

    async def _staff_channel(self) -> Check:
        name, channel = "slack staff channel", self._asked.staff_channel
        if not channel:
            is_needed = self._asked.mode == Mode.DRAFT
            lost = "drafts have nowhere to go" if is_needed else "staff are not told in Slack when a customer waits for a person"
            return Check(name, not is_needed, f"none is set, so {lost}. Set slack.staff_channel to the id of a channel", warns=True)
        try:
            about = (await self._client.ask("conversations.info", channel=channel))["channel"]
        except SlackRefusedError as error:
            return Check(name, False, f"{channel}: {_refused(error, _UNSEEN)}")
        except DeliveryError as error:
            return Check(name, False, str(error))
        shown = f"#{about.get('name') or channel}"
        if about.get("is_archived"):
            return Check(name, False, f"{shown} is archived. Set slack.staff_channel to the id of another channel")
        if not about.get("is_member"):
            return Check(name, False, f"the bot is not in {shown}. Write there: /invite @Frontdesk")
        return Check(name, True, f"the bot is in {shown}")

    async def _staff(self) -> Check:
        asked = self._asked
        name, groups = "slack staff", [one.strip() for one in f"{asked.staff_group},{asked.admin_group}".split(",") if one.strip()]
        if not (groups or asked.staff or asked.admins):
            nobody = "nobody is named, so nobody may take over, correct, decide about drafts or run /support-admin"
            return Check(name, True, f"{nobody}. Set slack.staff and slack.admins to member ids", warns=True)
        problems, members = [], 0
        for group in dict.fromkeys(groups):
            try:
                members += len((await self._client.ask("usergroups.users.list", usergroup=group)).get("users") or ())
            except SlackRefusedError as error:
                problems.append(f"user group {group}: {_refused(error, _NO_GROUP)}")
            except DeliveryError as error:
                problems.append(str(error))
        if problems:
            return Check(name, False, "; ".join(problems))
        return Check(name, True, f"{_ids(asked)} member ids, {len(groups)} user groups with {members} members")


_UNSEEN = "Slack shows no such channel. Its id is below About when you click its name; in a private one write first: /invite @Frontdesk"
_NO_GROUP = "Slack shows no such group. Its id (S...) is behind People & user groups > the group > ... > Copy group ID; paid plans only"


def _token(told: Mapping[str, Any]) -> Check:
    if not told.get("bot_id"):
        return Check("slack token", False, f"it is a person's token, not the bot's. {_COPY_BOT}")
    return Check("slack token", True, f"@{told.get('user')} in the workspace {told.get('team')} ({told.get('team_id')})")


def scopes_check(granted: str | None, mode: Mode) -> Check:
    """Compare the scopes of a token, as Slack's header lists them, with those that the manifest asks for."""
    name = "slack scopes"
    if granted is None:
        return Check(name, True, "Slack does not tell which this token has", warns=True)
    has = {scope.strip() for scope in granted.split(",")}
    missing = [scope for scope in scopes(minimal=mode in (Mode.OFF, Mode.MENTION)) if scope not in has]
    if missing:
        lost = "; ".join(f"without {scope} {SCOPES[scope]}" for scope in missing)
        return Check(name, False, f"{lost}. {_scope_fix(', '.join(missing))}")
    narrow = "" if has >= set(SCOPES) else ", for mentions and direct messages only: channels cannot be read"
    return Check(name, True, f"all that are needed{narrow}")


def clock_check(told: str, before: float, after: float) -> Check:
    """Compare the time of Slack's answer with this host's, just before it was asked and just after."""
    name = "slack clock"
    try:
        ahead = seconds_ahead(told, before, after)
    except ValueError:
        return Check(name, True, "Slack's answer tells no time", warns=True)
    if abs(ahead) <= _MOST_SKEW:
        return Check(name, True, f"this host's and Slack's agree within {_MOST_SKEW:g} s")
    found = f"this host's is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} Slack's"
    if abs(ahead) <= WINDOW_SECONDS:
        return Check(
            name, True, f"{found}; beyond {WINDOW_SECONDS} s everything that comes over HTTP is refused. Let NTP set it", warns=True
        )
    return Check(name, False, f"{found}, so everything that comes over HTTP is refused. Let NTP set it")


def _http(public_url: str) -> Check:
    name, base = "slack transport", base_of(public_url)
    if not public_url:
        return Check(name, True, f"HTTP: requests to {PATH} are taken; where Slack sends them is not set (slack.public_url)", warns=True)
    if base is None:
        return Check(name, False, "HTTP: Slack sends to https only. Set slack.public_url to https://HOST")
    return Check(name, True, f"HTTP: Event Subscriptions > Request URL must be {base}{PATH}")


def _refused(error: SlackRefusedError, otherwise: str) -> str:
    """What to do about a question that Slack did not answer."""
    return f"({error.code}) {_scope_fix('what `frontdesk slack manifest` lists') if error.code == 'missing_scope' else otherwise}"


def _scope_fix(scope: str) -> str:
    return f"OAuth & Permissions > Bot Token Scopes > add {scope}, then Reinstall to Workspace"


def _ids(asked: Slack) -> int:
    return len({one.strip() for one in f"{asked.staff},{asked.admins}".split(",") if one.strip()})
