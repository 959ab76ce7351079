"""Calls of Discord's REST API, and what each failure means: not taken, never taken, not now, or perhaps taken."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Sequence
from time import monotonic
from typing import Any

import aiohttp
import discord
from discord.http import Route, json_or_text

from bot.discord.limits import BAN_SECONDS, Call, Limits
from core.errors import DeliveryError, RateLimitedError, RefusedError, SettingsError, UncertainError

logger = logging.getLogger(__name__)

CALL_SECONDS = 9  # below the courier's own limit of 10, so that this error is the one that says what happened
CALLS_A_SECOND, BURST = 40, 10  # Discord takes 50 of one bot; whoever answers in several processes shares them
LONGEST_QUEUE = 3.0  # seconds
NOBODY = {"parse": [], "replied_user": False}  # whom a message may ping; absent, an edit pings whoever its text names
SUPPRESS_EMBEDS = 1 << 2
UNKNOWN_CHANNEL, UNKNOWN_MESSAGE, ARCHIVED, HAS_THREAD = 10003, 10008, 50083, 160004
FAILURES = (discord.DiscordException, aiohttp.ClientError, TimeoutError, OSError, ValueError)  # of a call of discord.py
MOST_GUILDS = 200  # that Discord lists at once
_PAGE = 100  # the most messages that Discord gives at once
_WRONG_TOKEN = "Discord refuses the bot token: copy it again from the page Bot of your application into discord.bot_token."  # noqa: S105

Json = dict[str, Any]


class DiscordRefusedError(RefusedError):
    """Discord said no; `code` is its number for why."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class Rest:
    """The bot's calls; logs in with the first of them, so that a process which only answers needs no gateway."""

    def __init__(self, client: discord.Client, token: str) -> None:
        self._client = client
        self._token = token
        self._limits = Limits()
        client.http.http_trace = self._limits.watch()
        self._opening = asyncio.Lock()
        self._bot_id = 0
        self._next_call = 0.0

    async def open(self) -> int:
        """Log in if that has not been done; return the bot's id. Raises a `DeliveryError`, and `SettingsError` for a wrong token."""
        async with self._opening:
            if not self._bot_id:
                self._bot_id = await self._log_in()
        return self._bot_id

    async def post(
        self, channel_id: str, content: str, nonce: str, view: discord.ui.View | None = None, reply_to: str = "", pings: str = ""
    ) -> Json:
        """Post a message and return it, or the one that has its `nonce` already; `pings` is the id of a role that it may notify.

        Raises a `DeliveryError`.
        """
        body = _body(content, view) | {"nonce": nonce, "enforce_nonce": True}
        if pings:
            body["allowed_mentions"] = NOBODY | {"roles": [pings]}
        if reply_to:
            body["message_reference"] = {"message_id": reply_to, "fail_if_not_exists": False}
        posted: Json = await self._call(Route("POST", "/channels/{channel_id}/messages", channel_id=channel_id), json=body)
        return posted

    async def edit(self, channel_id: str, message_id: str, content: str, view: discord.ui.View | None = None) -> None:
        """Change a message of the bot. Raises a `DeliveryError`."""
        await self._call(_message("PATCH", channel_id, message_id), json=_body(content, view))

    async def delete(self, channel_id: str, message_id: str) -> None:
        """Delete a message. Raises a `DeliveryError`."""
        await self._call(_message("DELETE", channel_id, message_id))

    async def type(self, channel_id: str) -> None:
        """Show for ten seconds that the bot types. Raises a `DeliveryError`."""
        await self._call(Route("POST", "/channels/{channel_id}/typing", channel_id=channel_id))

    async def start_thread(self, channel_id: str, message_id: str, name: str) -> None:
        """Make a thread of a message; it gets the message's id. Raises a `DeliveryError`."""
        path = "/channels/{channel_id}/messages/{message_id}/threads"
        await self._call(Route("POST", path, channel_id=channel_id, message_id=message_id), json={"name": name})

    async def channel(self, channel_id: str) -> Json:
        """Return a channel or thread. Raises a `DeliveryError`."""
        found: Json = await self._call(Route("GET", "/channels/{channel_id}", channel_id=channel_id))
        return found

    async def set_tags(self, thread_id: str, tag_ids: Sequence[str]) -> None:
        """Set the tags of a post in a forum. Raises a `DeliveryError`."""
        await self._call(Route("PATCH", "/channels/{channel_id}", channel_id=thread_id), json={"applied_tags": [*tag_ids]})

    async def member(self, guild_id: str, user_id: str) -> Json:
        """Return a member of a guild. Raises a `DeliveryError`."""
        path = "/guilds/{guild_id}/members/{member_id}"
        found: Json = await self._call(Route("GET", path, guild_id=guild_id, member_id=user_id))
        return found

    async def direct(self, user_id: str) -> str:
        """Return the channel of the direct conversation with somebody. Raises a `DeliveryError`."""
        return str((await self._call(Route("POST", "/users/@me/channels"), json={"recipient_id": user_id}))["id"])

    async def guild(self, guild_id: str) -> Json:
        """Return a guild with its roles. Raises a `DeliveryError`."""
        found: Json = await self._call(Route("GET", "/guilds/{guild_id}", guild_id=guild_id))
        return found

    async def guilds(self) -> list[Json]:
        """Return the guilds that the bot is in, at most `MOST_GUILDS`. Raises a `DeliveryError`."""
        found: list[Json] = await self._call(Route("GET", "/users/@me/guilds"), params={"limit": MOST_GUILDS})
        return found

    async def channels(self, guild_id: str) -> list[Json]:
        """Return the channels of a guild, those too that the bot does not see. Raises a `DeliveryError`."""
        found: list[Json] = await self._call(Route("GET", "/guilds/{guild_id}/channels", guild_id=guild_id))
        return found

    async def session_starts(self) -> Json:
        """Return how many shards the gateway wants, and how many sessions may still be started. Raises a `DeliveryError`."""
        found: Json = await self._call(Route("GET", "/gateway/bot"))
        return found

    async def mine_after(self, channel_id: str, after: int, reply_to: str = "", most: int = 2 * _PAGE) -> list[Json]:
        """Return the bot's own among the `most` messages that follow an id, oldest first; only those that reply to `reply_to`, if given.

        Raises a `DeliveryError`.
        """
        me, mine, read = str(await self.open()), [], 0
        while read < most:
            route = Route("GET", "/channels/{channel_id}/messages", channel_id=channel_id)
            page: list[Json] = await self._call(route, params={"after": str(after), "limit": _PAGE})
            page.sort(key=lambda message: int(message["id"]))
            mine += [message for message in page if message["author"]["id"] == me]
            if len(page) < _PAGE:
                break
            read, after = read + len(page), int(page[-1]["id"])
        return [message for message in mine if not reply_to or (message.get("message_reference") or {}).get("message_id") == reply_to]

    async def _call(self, route: Route, **request: Any) -> Any:
        call = Call(f"{route.key} {route.major_parameters}")
        self._limits.check(call.counted)
        try:
            await self.open()
        except SettingsError as error:
            raise DeliveryError(str(error)) from error
        await asyncio.sleep(self._wait())
        asked = f"{route.method} {route.path}"
        try:
            async with asyncio.timeout(CALL_SECONDS):
                return await self._client.http.request(route, trace_request_ctx=call, **request)
        except TimeoutError as error:
            if call.response is not None and call.response.ok:  # read already: the library waits for the sake of the next call
                return await json_or_text(call.response)
            if call.may_be_taken:
                raise meaning(asked, error) from error
            raise RateLimitedError(f"Discord takes no more of {asked} for now.", CALL_SECONDS) from error
        except FAILURES as error:
            raise meaning(asked, error) from error

    def _wait(self) -> float:
        """Seconds until the next call may go out: each refusal of Discord for being too quick counts towards a ban of this host.

        Raises `RateLimitedError` when it would be long, for whoever calls has a limit of its own.
        """
        now = monotonic()
        mine = max(self._next_call, now - BURST / CALLS_A_SECOND)
        if mine - now > LONGEST_QUEUE:
            raise RateLimitedError(f"{CALLS_A_SECOND} calls of Discord a second are used up for {mine - now:.1f} s.", mine - now)
        self._next_call = mine + 1 / CALLS_A_SECOND
        return max(0.0, mine - now)

    async def _log_in(self) -> int:
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await self._client.login(self._token)
                return self._client.user.id if self._client.user else 0
        except discord.LoginFailure as error:
            await self._forget_session()
            raise SettingsError(_WRONG_TOKEN) from error
        except discord.RateLimited as error:
            await self._forget_session()
            raise meaning("the login", error) from error
        except (discord.DiscordException, aiohttp.ClientError, TimeoutError, OSError) as error:
            await self._forget_session()
            raise DeliveryError(f"Discord cannot be reached to log in: {error.__class__.__name__}") from error

    async def _forget_session(self) -> None:
        """Let the next attempt to log in open connections of its own: discord.py leaves the old ones open."""
        await self._client.http.close()
        self._client.http.connector = discord.utils.MISSING


def nonce_of(key: str, part: int | str) -> str:
    """Return what Discord knows a part of a message by for some minutes: 25 characters, the same at every attempt."""
    return hashlib.sha256(f"{key}:{part}".encode()).hexdigest()[:25]


def _body(content: str, view: discord.ui.View | None) -> Json:
    components = view.to_components() if view is not None else []
    return {"content": content, "flags": SUPPRESS_EMBEDS, "allowed_mentions": NOBODY, "components": components}


def _message(method: str, channel_id: str, message_id: str) -> Route:
    return Route(method, "/channels/{channel_id}/messages/{message_id}", channel_id=channel_id, message_id=message_id)


def meaning(asked: str, error: Exception) -> DeliveryError:
    """Return the error that a failure of a call means, whoever made it with discord.py."""
    match error:
        case discord.RateLimited():
            return RateLimitedError(f"Discord takes no more of {asked} for {error.retry_after:.1f} s.", error.retry_after)
        case discord.HTTPException(status=429):  # at every attempt of discord.py
            return RateLimitedError(f"Discord answered {asked} with 429.", BAN_SECONDS)
        case discord.HTTPException(status=401):
            return DeliveryError(_WRONG_TOKEN)
        case discord.HTTPException(status=status, code=code) if 400 <= status < 500 and status != 408:
            return DiscordRefusedError(f"Discord answered {asked} with {status}, code {code}.", code)
        case aiohttp.ClientConnectorError() | aiohttp.ConnectionTimeoutError():  # nothing was written
            return DeliveryError(f"Discord is out of reach for {asked}: {error.__class__.__name__}")
        case _:
            return UncertainError(f"Discord broke off before it answered {asked}: {error.__class__.__name__}")
