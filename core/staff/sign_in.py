"""How members sign in and out: by a link that is good for once, by a password, or as whom a provider knows them. All of it is audited."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta

from core.audit import AuditLog
from core.members import EVERYWHERE, Identity, Member, Members, Role, name_key
from core.sessions import LINK_LASTS, Attempts, Sessions, Tickets, digest, new_token
from core.staff.actions import NotAllowedError
from core.staff.passwords import LEAST_CHARS, MOST_CHARS, Passwords

LINK_OVER = "This link is over: it is good for one sign-in, within 15 minutes. Ask an admin for another, or run: frontdesk staff add NAME"
WRONG = "Name and password do not belong together."
TOO_MANY = "Too many tries. Please wait a quarter of an hour."
NO_PASSWORDS = "Passwords are switched off here: sign in with your organisation's account."
NOT_A_MEMBER = "You are not a member of this team yet. Ask an admin to add you under the e-mail address of your account."
PASSWORD_LENGTH = f"A password has {LEAST_CHARS} to {MOST_CHARS} characters."
FIRST_NAME = "admin"
OTHER_DOMAIN = "Your e-mail address does not belong to this organisation."
ELSEWHERE_FAILED = "Signing in there did not work. Please try again; if it goes on, tell whoever runs this: the log says why."
_LINK = "sign-in link"
_FIRST = "first admin"  # the payload of a link that makes its user the first member
_WINDOW = timedelta(minutes=15)
_TRIES = 10  # of one address, and of one name, within the window
_STARTS = 60  # sign-ins elsewhere that one address begins within the window: an office may share it
_MOST_TOKEN = 200  # characters; ours have 43


@dataclass(frozen=True)
class SignIn:
    """Who comes in, and who is in."""

    members: Members
    sessions: Sessions
    tickets: Tickets
    attempts: Attempts
    audit: AuditLog
    takes_passwords: bool
    domains: frozenset[str] = frozenset()  # of e-mail addresses that may come in; empty: any
    passwords: Passwords = Passwords()

    async def member(self, session: str) -> Member | None:
        """Return whose session a token is."""
        return await self.sessions.member(digest(session)) if 0 < len(session) <= _MOST_TOKEN else None

    async def still(self, session: str) -> Member | None:
        """Return whose session a token still is, without counting it as used: a page that only listens keeps nobody signed in."""
        return await self.sessions.look(digest(session)) if 0 < len(session) <= _MOST_TOKEN else None

    async def link_for(self, member: Member) -> str:
        """Return the token of a link by which a member can sign in once."""
        return await self._issue(member.member_id)

    async def first_link(self) -> str | None:
        """Return the token of a link that makes whoever uses it the first admin; None once there are members."""
        return None if await self.members.all() else await self._issue(_FIRST)

    async def invited(self, link: str) -> str | None:
        """Return the name of whoever a link is for, None when it is over."""
        payload = await self.tickets.look(digest(link), _LINK)
        if payload == _FIRST:
            return FIRST_NAME
        member = await self.members.member(payload) if payload else None
        return member.name if member else None

    async def by_link(self, link: str, address: str) -> str:
        """Use a link up and return the token of a new session. Raises `NotAllowedError`."""
        payload = await self.tickets.take(digest(link), _LINK)
        member = await self._first() if payload == _FIRST else await self.members.member(payload or "")
        if member is None:  # nobody guesses 256 bits; what is counted is how much of this goes into the audit log
            await self._count(f"link:{address}", "link")
            await self._refuse("", "link", "link is over")
            raise NotAllowedError(LINK_OVER)
        return await self._begin(member, "link")

    async def by_password(self, name: str, password: str, address: str) -> str:
        """Check a password and return the token of a new session. Raises `NotAllowedError`, the same for every name that does not fit."""
        if not self.takes_passwords:
            raise NotAllowedError(NO_PASSWORDS)
        # Counted as it is looked up: else every invisible character would make another name with tries of its own.
        for key in (f"password:{address}", f"password-of:{name_key(name)[:_MOST_TOKEN]}"):
            await self._count(key, "password")
        member = await self.members.named(name)
        hashed = await self.members.password(member.member_id) if member else ""
        if not await self.passwords.fits(hashed, password) or member is None:
            await self._refuse(member.actor if member else "", "password", "wrong")
            raise NotAllowedError(WRONG)
        return await self._begin(member, "password")

    async def by_identity(self, identity: Identity, email: str) -> str:
        """Sign in whom a provider has identified, by a verified e-mail address at the first time. Raises `NotAllowedError`.

        Nobody becomes a member by this: a provider for everybody would let everybody in.
        """
        if self.domains and email.lower().rpartition("@")[2] not in self.domains:
            await self._refuse("", "provider", "domain", issuer=identity.issuer, subject=identity.subject)
            raise NotAllowedError(OTHER_DOMAIN)
        member = await self.members.identified(identity)
        if member is None:
            named = await self.members.named(email) if email else None
            named = named if named and named.name.lower() == email.lower() else None  # what only looks the same is somebody else's
            member = named if named and await self.members.identify(named.member_id, identity) else None
        if member is None:
            await self._refuse("", "provider", "not a member", issuer=identity.issuer, subject=identity.subject)
            raise NotAllowedError(NOT_A_MEMBER)
        return await self._begin(member, "provider")

    async def end(self, session: str, member: Member) -> None:
        """End a session."""
        await self.sessions.end(digest(session))
        await self.audit.record(member.actor, "console.sign_out", member.name, "done")

    async def set_password(self, member: Member, password: str) -> str:
        """Give a member another password, end all their sessions and return the token of a new one. Raises `NotAllowedError`."""
        if not self.takes_passwords:
            raise NotAllowedError(NO_PASSWORDS)
        if not LEAST_CHARS <= len(password) <= MOST_CHARS:
            raise NotAllowedError(PASSWORD_LENGTH)
        await self.members.set_password(member.member_id, await self.passwords.hashed(password))
        await self.sessions.end_all(member.member_id)
        await self.audit.record(member.actor, "console.password", member.name, "done")
        return await self._begin(member, "new password")

    async def may_start(self, address: str) -> None:
        """Count a sign-in elsewhere that is begun: each is a row. Raises `NotAllowedError`."""
        await self._count(f"provider:{address}", "provider", _STARTS)

    async def failed(self, reason: str) -> NotAllowedError:
        """Record that signing in elsewhere did not work, and return what to raise."""
        await self._refuse("", "provider", reason)
        return NotAllowedError(ELSEWHERE_FAILED)

    async def _first(self) -> Member | None:
        """The first admin; None when somebody else was quicker, with another link."""
        first = Member(uuid.uuid4().hex, FIRST_NAME, Role.ADMIN, EVERYWHERE)
        if await self.members.all() or not await self.members.add(first):
            return None
        await self.audit.record(first.actor, "members.add", first.name, "done", role=first.role.name)
        return first

    async def _issue(self, payload: str) -> str:
        link = new_token()
        await self.tickets.issue(digest(link), _LINK, payload, LINK_LASTS)
        return link

    async def _count(self, key: str, how: str, limit: int = _TRIES) -> None:
        if await self.attempts.allow(key, limit, _WINDOW):
            return
        if await self.attempts.allow(f"told {key}", 1, _WINDOW):  # once: whoever goes on must not fill the audit log
            await self._refuse("", how, "too many")
        raise NotAllowedError(TOO_MANY)

    async def _refuse(self, actor: str, how: str, reason: str, **detail: str) -> None:
        await self.audit.record(actor or "console", "console.sign_in", how, "denied", reason=reason, **detail)

    async def _begin(self, member: Member, how: str) -> str:
        session = new_token()
        await self.sessions.begin(digest(session), member.member_id)
        await self.audit.record(member.actor, "console.sign_in", how, "done")
        return session
