"""Members, sessions, tickets and attempts in dictionaries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from core.domain import utc_now
from core.members import Identity, Member, Role, Scope, name_key
from core.sessions import IDLE, LASTS
from core.text import clean

Clock = Callable[[], datetime]


class MemoryMembers:
    """`Members` in a dictionary."""

    def __init__(self) -> None:
        self._members: dict[str, Member] = {}
        self._identities: dict[str, Identity] = {}
        self._passwords: dict[str, str] = {}
        self._names: dict[str, str] = {}

    async def add(self, member: Member) -> bool:
        """See `Members.add`."""
        if await self.named(member.name):
            return False
        self._members[member.member_id] = replace(member, name=clean(member.name))
        self._names[member.actor] = clean(member.name)
        return True

    async def member(self, member_id: str) -> Member | None:
        """See `Members.member`."""
        return self._members.get(member_id)

    async def named(self, name: str) -> Member | None:
        """See `Members.named`."""
        return next((one for one in self._members.values() if name_key(one.name) == name_key(name)), None)

    async def all(self) -> tuple[Member, ...]:
        """See `Members.all`."""
        return tuple(sorted(self._members.values(), key=lambda one: name_key(one.name)))

    async def names(self) -> Mapping[str, str]:
        """See `Members.names`."""
        return dict(self._names)

    async def change(self, member_id: str, role: Role, scope: Scope) -> bool:
        """See `Members.change`."""
        if member_id in self._members:
            self._members[member_id] = replace(self._members[member_id], role=role, scope=scope)
        return member_id in self._members

    async def remove(self, member_id: str) -> bool:
        """See `Members.remove`."""
        self._identities.pop(member_id, None)
        self._passwords.pop(member_id, None)
        return self._members.pop(member_id, None) is not None

    async def identified(self, identity: Identity) -> Member | None:
        """See `Members.identified`."""
        return next((self._members[member_id] for member_id, known in self._identities.items() if known == identity), None)

    async def identify(self, member_id: str, identity: Identity) -> bool:
        """See `Members.identify`."""
        if member_id not in self._members or member_id in self._identities or await self.identified(identity):
            return False
        self._identities[member_id] = identity
        return True

    async def password(self, member_id: str) -> str:
        """See `Members.password`."""
        return self._passwords.get(member_id, "")

    async def set_password(self, member_id: str, hashed: str) -> None:
        """See `Members.set_password`."""
        if member_id in self._members:
            self._passwords[member_id] = hashed


class MemorySessions:
    """`Sessions` in a dictionary, of the members of a store."""

    def __init__(self, members: MemoryMembers, clock: Clock = utc_now) -> None:
        self._members = members
        self._clock = clock
        self._sessions: dict[str, tuple[str, datetime, datetime]] = {}

    async def begin(self, session: str, member_id: str) -> None:
        """See `Sessions.begin`."""
        self._sessions[session] = (member_id, self._clock(), self._clock())

    async def member(self, session: str) -> Member | None:
        """See `Sessions.member`."""
        member = await self.look(session)
        if member is not None:
            self._sessions[session] = (*self._sessions[session][:2], self._clock())
        return member

    async def look(self, session: str) -> Member | None:
        """See `Sessions.look`."""
        member_id, begun_at, seen_at = self._sessions.get(session, ("", datetime.min, datetime.min))
        if not member_id or self._clock() - begun_at >= LASTS or self._clock() - seen_at >= IDLE:
            return None
        return await self._members.member(member_id)

    async def end(self, session: str) -> None:
        """See `Sessions.end`."""
        self._sessions.pop(session, None)

    async def end_all(self, member_id: str) -> None:
        """See `Sessions.end_all`."""
        self._sessions = {session: kept for session, kept in self._sessions.items() if kept[0] != member_id}


class MemoryTickets:
    """`Tickets` in a dictionary."""

    def __init__(self, clock: Clock = utc_now) -> None:
        self._clock = clock
        self._tickets: dict[tuple[str, str], tuple[str, datetime]] = {}

    async def issue(self, ticket: str, purpose: str, payload: str, lasts: timedelta) -> None:
        """See `Tickets.issue`."""
        self._tickets[ticket, purpose] = (payload, self._clock() + lasts)

    async def look(self, ticket: str, purpose: str) -> str | None:
        """See `Tickets.look`."""
        payload, until = self._tickets.get((ticket, purpose), ("", self._clock()))
        return payload if until > self._clock() else None

    async def take(self, ticket: str, purpose: str) -> str | None:
        """See `Tickets.take`."""
        payload = await self.look(ticket, purpose)
        self._tickets.pop((ticket, purpose), None)
        return payload


class MemoryAttempts:
    """`Attempts` in lists."""

    def __init__(self, clock: Clock = utc_now) -> None:
        self._clock = clock
        self._attempts: dict[str, list[datetime]] = defaultdict(list)

    async def allow(self, key: str, limit: int, window: timedelta) -> bool:
        """See `Attempts.allow`."""
        if sum(at > self._clock() - window for at in self._attempts[key]) >= limit:
            return False
        self._attempts[key].append(self._clock())
        return True
