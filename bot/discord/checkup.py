"""What `frontdesk doctor` finds out about Discord, each with its fix in one line; no token ever stands in what it says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from time import time
from typing import TYPE_CHECKING

from bot.check import Check, seconds_ahead
from bot.discord.invite import PORTAL, READ_HISTORY, SEND, SEND_IN_THREADS, VIEW, is_id
from bot.discord.permissions import TEXT_KINDS, THREAD_KINDS, VOICE_KINDS, Json, Server, Survey, fix, lacking, listed, survey
from bot.setting_groups import Discord
from core.domain import utc_now
from core.errors import DeliveryError, RefusedError, SettingsError
from core.presence import Mode
from core.text import clean

if TYPE_CHECKING:
    import discord

    from bot.discord.rest import Rest

MOST_SURVEYED = 10  # servers whose channels are looked at, three calls each
_MOST_SKEW = 2.0  # seconds; NTP keeps hosts within 0.1
_COPY_TOKEN = f"{PORTAL} > your application > Bot > Reset Token, copy it to DISCORD_BOT_TOKEN"
_GRANT = f"{PORTAL} > your application > Bot > Privileged Gateway Intents > Message Content Intent > Save Changes"
_ADD = "Run `frontdesk discord invite`, open the address that it prints"
_COPY_ID = "User Settings > Advanced > Developer Mode, then right-click it > Copy"


async def examine(asked: Discord, clock: Callable[[], float] = time) -> list[Check]:
    """Return what was found, nothing where Discord is not set up. Raises `SettingsError` when its packages are not installed."""
    if asked == Discord():
        return []
    if not asked.bot_token:
        return [Check("discord token", False, f"there is none. {_COPY_TOKEN}")]
    token = asked.bot_token.strip()  # as discord.py does
    if not (token.isascii() and token.isprintable() and " " not in token):
        return [Check("discord token", False, f"it has characters that no token has. {_COPY_TOKEN}")]
    if find_spec("discord") is None:
        raise SettingsError("Discord needs packages that are not installed: pip install 'frontdesk[discord]'")
    import discord

    from bot.discord.rest import Rest

    discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False  # nobody speaks here
    async with discord.Client(intents=discord.Intents(guilds=True), max_ratelimit_timeout=30) as client:  # it warns without guilds
        return await _Checkup(asked, client, Rest(client, asked.bot_token), clock).run()


class _Checkup:
    """One look at everything of Discord; the gateway is not connected to, for that would take one of the day's sessions."""

    def __init__(self, asked: Discord, client: discord.Client, rest: Rest, clock: Callable[[], float]) -> None:
        self._asked = asked
        self._client = client
        self._rest = rest
        self._clock = clock
        self._bot_id = ""
        self._guilds: list[Json] = []
        self._servers: dict[str, Server] = {}

    async def run(self) -> list[Check]:
        checks: list[Check] = []
        try:
            self._bot_id = str(await self._rest.open())
            checks += self._application()
            for look in (self._gateway, self._membership, self._permissions, self._staff_channel, self._staff, self._time):
                checks.append(await look())
        except SettingsError:
            checks.append(Check("discord token", False, f"Discord refuses it. {_COPY_TOKEN}"))
        except DeliveryError as error:  # whatever else is asked now would wait as long, for the same
            told = str(error).rstrip(".")
            checks.append(Check("discord", False, f"{told}. This host must reach https://discord.com; the rest of Discord was not checked"))
        return checks

    def _application(self) -> list[Check]:
        """What the log-in has told."""
        user, application = self._client.user, self._client.application
        assert user is not None and application is not None  # noqa: S101  # it has logged in
        flags = application.flags
        return [
            Check("discord token", True, f"@{clean(user.name)} of the application {clean(application.name)} ({application.id})"),
            content_check(self._asked, granted=flags.gateway_message_content or flags.gateway_message_content_limited),
            commands_check(application.interactions_endpoint_url),
        ]

    async def _gateway(self) -> Check:
        return gateway_check(await self._rest.session_starts())

    async def _membership(self) -> Check:
        """In which servers the bot is."""
        name, home = "discord servers", self._asked.home_guild
        self._guilds = await self._rest.guilds()
        self._guilds.sort(key=lambda guild: guild["id"] != home)  # one's own is looked at first
        if not self._guilds:
            return Check(name, False, f"the bot is in none. {_ADD}")
        if home and await self._home() is None:
            return Check(name, False, f"the bot is not in the server {home} (discord.home_guild). {_ADD}; or {_COPY_ID} Server ID")
        found = listed([clean(str(guild["name"])) for guild in self._guilds])
        return Check(name, True, f"the bot is in {len(self._guilds)}: {found}")

    async def _permissions(self) -> Check:
        asked = self._asked
        tags = (asked.answered_tag, asked.needs_human_tag, asked.solved_tag)
        servers = [await self._server(str(guild["id"])) for guild in self._guilds[:MOST_SURVEYED]]
        surveys = [survey(server, tags, utc_now(), asked.staff_channel) for server in servers]
        return permissions_check(surveys, len(self._guilds) - len(servers))

    async def _staff_channel(self) -> Check:
        name, channel_id = "discord staff channel", self._asked.staff_channel
        if not channel_id:
            is_needed = self._asked.mode == Mode.DRAFT
            lost = "drafts have nowhere to go" if is_needed else "staff are not told in Discord when a customer waits for a person"
            return Check(name, not is_needed, f"none is set, so {lost}. Set discord.staff_channel to the id of a channel", warns=True)
        try:
            channel = await self._rest.channel(channel_id)
        except RefusedError:
            unseen = "Discord shows the bot no such channel. In a private one: Edit Channel > Permissions > Add members or roles > the bot"
            return Check(name, False, f"{channel_id}: {unseen}; its id: {_COPY_ID} Channel ID")
        guild_id, home = channel.get("guild_id"), self._asked.home_guild
        if guild_id is None or channel["type"] not in (*TEXT_KINDS, *VOICE_KINDS, *THREAD_KINDS):
            return Check(name, False, f"{channel_id} takes no messages. Set discord.staff_channel to the id of a text channel")
        shown = f"#{clean(str(channel['name']))}"
        if home and guild_id != home:
            return Check(name, False, f"{shown} is not in discord.home_guild, so nobody there is staff. Set it to a channel of that server")
        return staff_channel_check(shown, channel, await self._server(guild_id))

    async def _staff(self) -> Check:
        asked, name = self._asked, "discord staff"
        roles, people = _ids(f"{asked.staff_role},{asked.admin_role}"), _ids(f"{asked.staff},{asked.admins}")
        wrong = [one for one in (*roles, *people) if not is_id(one)]
        if wrong:
            return Check(name, False, f"no ids of Discord: {listed(wrong)}. Ids: {_COPY_ID} Role ID or Copy User ID")
        if not (roles or people):
            nobody = "nobody is named, so nobody may take over, correct, decide about drafts or run /support-admin"
            return Check(name, True, f"{nobody}. Set discord.staff_role and discord.admins", warns=True)
        home = await self._home() if asked.home_guild else None
        among = [home] if home else [] if asked.home_guild else list(self._servers.values())
        known = {str(role["id"]) for server in among for role in server.guild["roles"] if role["id"] != server.guild["id"]}
        if lost := [role for role in roles if role not in known]:
            where = listed([server.name for server in among]) or "discord.home_guild"
            return Check(
                name, False, f"no such roles in {where}: {listed(lost)}. Server Settings > Roles > ⋮ > Copy Role ID; not @everyone"
            )
        found = f"{len(people)} member ids, {len(roles)} roles"
        if (asked.admins or asked.admin_role) and not asked.home_guild:
            return Check(
                name, True, f"{found}; /support-admin is there in your own server only: set discord.home_guild to its id", warns=True
            )
        return Check(name, True, found)

    async def _time(self) -> Check:
        import aiohttp
        from discord.http import Route

        from bot.discord.rest import CALL_SECONDS

        before, headers = self._clock(), {"User-Agent": self._client.http.user_agent}
        try:  # discord.py keeps no headers of answers; this is asked without the token
            timeout = aiohttp.ClientTimeout(total=CALL_SECONDS)
            async with aiohttp.ClientSession(timeout=timeout) as session, session.get(f"{Route.BASE}/gateway", headers=headers) as answer:
                told = answer.headers.get("Date", "")
        except (aiohttp.ClientError, TimeoutError, OSError):
            told = ""
        return clock_check(told, before, self._clock())

    async def _home(self) -> Server | None:
        """The operator's own server, None when the bot is not there."""
        try:
            return await self._server(self._asked.home_guild)
        except RefusedError:
            return None

    async def _server(self, guild_id: str) -> Server:
        """Look at a server, once. Raises a `DeliveryError`."""
        if guild_id not in self._servers:
            guild, channels = await self._rest.guild(guild_id), await self._rest.channels(guild_id)
            self._servers[guild_id] = Server(guild, channels, await self._rest.member(guild_id, self._bot_id))
        return self._servers[guild_id]


def content_check(asked: Discord, *, granted: bool) -> Check:
    """Compare what the settings want to read with what the application may."""
    name = "discord message content"
    if asked.message_content and not granted:
        return Check(
            name, False, f"the intent is not granted, so Discord lets nobody in. {_GRANT}; or set discord.message_content to false"
        )
    if asked.message_content:
        return Check(name, True, "the intent is granted: what does not mention the bot is read too")
    narrow = "mentions, direct messages and replies to the bot only (discord.message_content is false)"
    if asked.mode in (Mode.CONFIDENT, Mode.DRAFT):
        wanted = f"and the mode {asked.mode} is for the others. Set it to true" + ("" if granted else f", and {_GRANT}")
        return Check(name, True, f"{narrow}, {wanted}", warns=True)
    return Check(name, True, narrow)


def commands_check(endpoint: str | None) -> Check:
    """Commands and buttons come over the gateway, unless the application has them sent elsewhere."""
    name = "discord commands"
    if not endpoint:
        return Check(name, True, "commands and buttons come over the gateway")
    empty = f"{PORTAL} > your application > General Information > Interactions Endpoint URL > empty it > Save Changes"
    return Check(name, False, f"commands and buttons are sent to another address, not to this bot. {empty}")


def gateway_check(told: Json) -> Check:
    """Tell how many sessions may still be started: a process that restarts over and over uses them up."""
    name, limit = "discord gateway", told["session_start_limit"]
    left, total, shards = int(limit["remaining"]), int(limit["total"]), int(told["shards"])
    found = f"{left} of {total} sessions may still be started today, {shards} with each start"
    again = f"new ones in {int(limit['reset_after']) / 3_600_000:.1f} h"
    if left < shards:
        return Check(name, False, f"{found}; {again}. Something starts over and over: read its log and stop it until then")
    if left <= total // 5:
        return Check(name, True, f"{found}; {again}. At none Discord resets the token: find in the logs what starts so often", warns=True)
    return Check(name, True, found)


def permissions_check(surveys: Sequence[Survey], left_out: int) -> Check:
    """Put together what was found in the channels of servers; `left_out` were not looked at."""
    broken, weak, notes = ([one for found in surveys for one in found[part]] for part in range(3))
    more = [f"{left_out} more servers were not looked at"] if left_out > 0 else []
    told = "; ".join([*broken, *weak] or notes or ["there is nothing to look at"])
    return Check("discord permissions", not broken, "; ".join([told, *more]), warns=bool(weak) and not broken)


def staff_channel_check(shown: str, channel: Json, server: Server) -> Check:
    """Tell whether the bot can write in a channel of staff, and find again what it wrote."""
    name, is_thread = "discord staff channel", channel["type"] in THREAD_KINDS
    place = next((one for one in server.channels if one["id"] == channel["parent_id"]), channel) if is_thread else channel
    missing = lacking(server, place, (VIEW, SEND_IN_THREADS if is_thread else SEND, READ_HISTORY), utc_now())
    if missing:
        return Check(name, False, f"the bot lacks {missing[0].label} in {shown}. {fix(server, missing[0])}")
    return Check(name, True, f"the bot writes in {shown} of {server.name}")


def clock_check(told: str, before: float, after: float) -> Check:
    """Compare the time of Discord's answer with this host's, just before it was asked and just after."""
    from bot.discord.backfill import MAX_AGE

    name = "discord clock"
    try:
        ahead = seconds_ahead(told, before, after)
    except ValueError:
        return Check(name, True, "Discord's answer tells no time", warns=True)
    if abs(ahead) <= _MOST_SKEW:
        return Check(name, True, f"this host's and Discord's agree within {_MOST_SKEW:g} s")
    found = f"this host's is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} Discord's"
    if ahead < 0:
        return Check(name, True, f"{found}, so what was said more than half an hour ago may be answered. Let NTP set it", warns=True)
    if ahead < MAX_AGE.total_seconds():
        return Check(name, True, f"{found}, so a lost answer to a press of a button may be sent twice. Let NTP set it", warns=True)
    return Check(name, False, f"{found}, so nothing that was said while the bot was away is read. Let NTP set it")


def _ids(several: str) -> list[str]:
    return list(dict.fromkeys(one.strip() for one in several.split(",") if one.strip()))
