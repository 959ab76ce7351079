"""The gateway of the local Discord: who is let in, what goes to which shard, what is replayed, and connections that break."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from starlette.websockets import WebSocket, WebSocketDisconnect

from tests.servers import discord_wire as wire
from tests.servers.discord_sessions import CONTENT, GUILDS, MEMBERS, Connection, Session
from tests.servers.discord_state import DIRECT, Can, Channel, Json, Message, World

_KNOWN = sum(1 << bit for bit in (*range(17), 20, 21, 24, 25))
_FATAL = {1000, 1001, 4004, 4007, 4009, 4010, 4011, 4012, 4013, 4014}  # after which a session is not resumed
Shown = Callable[[bool], Json]  # an event, given whether contents are withheld


@dataclass(eq=False)
class Gateway(World):
    """Sessions of the bot; guilds go to the shard `(id >> 22) % count`, direct conversations to shard 0."""

    heartbeat_ms: int = 41_250
    acknowledges: bool = True  # heartbeats
    shards: int = 1  # recommended
    max_concurrency: int = 1
    identify_seconds: float = 0.0  # between the identifies of a bucket; Discord asks for 5
    starts: int = 1000  # identifies in a day
    sessions: dict[str, Session] = field(default_factory=dict)
    connections: list[Connection] = field(default_factory=list)
    identifies: list[Json] = field(default_factory=list)
    resumes: list[Json] = field(default_factory=list)
    closes: list[int] = field(default_factory=list)  # codes that clients closed with
    _shut: asyncio.Event | None = None

    @property
    def connected(self) -> list[Session]:
        """Sessions that somebody listens to."""
        return [one for one in self.sessions.values() if one.socket]

    async def connect(self, socket: WebSocket) -> None:
        """A client connects."""
        if self._shut:
            await self._shut.wait()
        await socket.accept()
        here = Connection(socket)
        self.connections.append(here)
        writing = asyncio.create_task(here.write())
        here.send({"op": 10, "s": None, "t": None, "d": {"heartbeat_interval": self.heartbeat_ms, "_trace": []}})
        try:
            while True:
                self._heard(here, json.loads(await socket.receive_text()))
        except WebSocketDisconnect as gone:
            self.closes.append(gone.code)
            if here.session and gone.code in (1000, 1001):
                self.sessions.pop(here.session.id, None)
        finally:
            writing.cancel()
            self.connections.remove(here)
            if here.session and here.session.socket is here:
                here.session.socket = None
            self.changed()

    def _heard(self, here: Connection, said: Json) -> None:
        op, data = said["op"], said.get("d")
        if op == 1:
            here.beats += 1
            if self.acknowledges:
                here.send({"op": 11})
        elif op == 2:
            self._identify(here, data)
        elif op == 6:
            self._resume(here, data)
        elif here.session is None:
            here.close(4003)
        elif op == 8:
            self._members(here.session, data)
        elif op not in (3, 4):
            here.close(4001)
        self.changed()

    def _identify(self, here: Connection, data: Json) -> None:
        shard, count = data.get("shard") or (0, 1)
        intents = data.get("intents", 0)
        one = {"shard": shard, "count": count, "intents": intents, "at": self.clock(), "bucket": shard % self.max_concurrency}
        hasty = any(each["bucket"] == one["bucket"] and one["at"] - each["at"] < self.identify_seconds for each in self.identifies)
        self.identifies.append(one)
        refused = (intents & CONTENT and not self.privileged_content) or (intents & MEMBERS and not self.privileged_members)
        if here.session:
            here.close(4005)
        elif data.get("token") != self.token or len(self.identifies) > self.starts:
            here.close(4004)
        elif not 0 <= shard < count:
            here.close(4010)
        elif intents & ~_KNOWN:
            here.close(4013)
        elif refused:
            here.close(4014)
        elif hasty:
            here.send({"op": 9, "d": False})
        else:
            self._begin(here, Session(f"session-{self.snowflake()}", shard, count, intents))

    def _begin(self, here: Connection, session: Session) -> None:
        session.socket, here.session = here, session
        self.sessions[session.id] = session
        guilds = [one for one in self.guilds.values() if self._shard(one.id, session.count) == session.shard]
        about = {"v": 10, "user": wire.user(self.people[self.bot]) | {"email": None, "mfa_enabled": True, "verified": True}}
        about |= {"session_id": session.id, "resume_gateway_url": self.gateway_url, "shard": [session.shard, session.count]}
        about |= {"application": {"id": str(self.bot), "flags": wire.application(self)["flags"]}, "private_channels": []}
        session.hear("READY", about | {"guilds": [{"id": str(one.id), "unavailable": True} for one in guilds]})
        for one in guilds if session.intents & GUILDS else []:
            session.hear("GUILD_CREATE", wire.guild_create(self, one))

    def _resume(self, here: Connection, data: Json) -> None:
        session = self.sessions.get(data["session_id"])
        self.resumes.append(data)
        if data.get("token") != self.token:
            here.close(4004)
        elif session is None or data["seq"] > session.sequence:
            here.send({"op": 9, "d": False})
        else:
            if session.socket:
                session.socket.close(4000)
            session.socket, here.session = here, session
            for frame in session.sent:
                if frame["s"] > data["seq"]:
                    here.send(frame)
            session.resumed += 1
            session.hear("RESUMED", {"_trace": []})

    def _members(self, session: Session, data: Json) -> None:
        place = self.guilds[int(data["guild_id"])]
        asked = data.get("user_ids") or list(place.members)
        wanted = [int(one) for one in (asked if isinstance(asked, list) else [asked])]
        found = [wire.member(self, place, one) for one in wanted if one in place.members]
        chunk = {"guild_id": str(place.id), "members": found, "chunk_index": 0, "chunk_count": 1, "nonce": data.get("nonce")}
        session.hear("GUILD_MEMBERS_CHUNK", chunk | {"not_found": [str(one) for one in wanted if one not in place.members]})

    @property
    def gateway_url(self) -> str:
        """Where it is."""
        return self.url.replace("http", "ws") + "/gateway"

    @staticmethod
    def _shard(guild: int | None, count: int) -> int:
        return (guild >> 22) % count if guild else 0

    def emit(self, event: str, channel: Channel | None, shown: Shown, guild: int | None = None) -> None:
        """Tell every session that the event is for; of a channel that the bot does not see, none."""
        place = channel.guild if channel else guild
        if channel and not self.allowed(self.bot, channel) & Can.VIEW_CHANNEL and event != "INTERACTION_CREATE":
            return
        direct = channel is not None and channel.kind == DIRECT
        for session in self.sessions.values():
            if self._shard(place, session.count) == session.shard and session.wants(event, direct):
                session.hear(event, shown(not session.intents & CONTENT))
        self.changed()

    def tell(self, event: str, message: Message) -> None:
        """Tell of a message."""
        channel = self.channels[message.channel]
        if event != "MESSAGE_DELETE":
            self.emit(event, channel, lambda withhold: wire.message_event(self, message, withhold))
            return
        where = {"guild_id": str(channel.guild)} if channel.guild else {}
        self.emit(event, channel, lambda _: {"id": str(message.id), "channel_id": str(channel.id)} | where)

    def tell_thread(self, event: str, thread: Channel) -> None:
        """Tell of a thread."""
        more = {"newly_created": True} if event == "THREAD_CREATE" else {}
        if self.bot in thread.members:
            more |= {"member": wire.thread_member(thread, self.bot)}
        self.emit(event, thread, lambda _: wire.channel(self, thread) | more)

    def tell_channel(self, channel: Channel) -> None:
        """Tell that a channel is not as it was."""
        if channel.is_thread:
            self.tell_thread("THREAD_UPDATE", channel)
        else:
            self.emit("CHANNEL_UPDATE", channel, lambda _: wire.channel(self, channel))

    @contextmanager
    def hold_gateway(self) -> Iterator[None]:
        """Whoever connects waits."""
        self._shut = asyncio.Event()
        try:
            yield
        finally:
            self._shut.set()
            self._shut = None

    async def drop(self) -> None:
        """Every connection breaks off; sessions can be resumed."""
        for one in list(self.connections):
            one.cut()
        await self.until(lambda: not self.connected)

    async def close(self, code: int) -> None:
        """Every connection is closed with a code."""
        going = list(self.connections)
        for one in going:
            if one.session and code in _FATAL:
                self.sessions.pop(one.session.id, None)
            one.close(code)
        await self.until(lambda: not any(one in self.connections for one in going))

    async def reconnect(self) -> None:
        """Every client is told to connect again."""
        for one in self.connections:
            one.send({"op": 7, "d": None})

    async def invalidate(self, resumable: bool = False) -> None:
        """Every session is said to be invalid."""
        for one in self.connections:
            if one.session and not resumable:
                self.sessions.pop(one.session.id, None)
            one.send({"op": 9, "d": resumable})
