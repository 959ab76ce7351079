"""Who works here: the roles of staff, which workspaces a person may look into, and the port they are kept through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple, Protocol

from core.text import fold


class Role(IntEnum):
    """What a member of staff may do; each role may do what those before it may."""

    VIEWER = 1  # read
    AGENT = 2  # review, correct, take over conversations
    EDITOR = 3  # approve corrections, change and publish knowledge
    ADMIN = 4  # models, members


@dataclass(frozen=True, slots=True)
class Scope:
    """The workspaces that somebody may look into, each as platform and id; None: every one."""

    workspaces: frozenset[tuple[str, str]] | None = frozenset()

    def covers(self, platform: str, workspace_id: str) -> bool:
        """Tell whether a workspace is in it."""
        return self.workspaces is None or (platform, workspace_id) in self.workspaces


EVERYWHERE = Scope(None)


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody of staff, known by a name that the audit log uses."""

    member_id: str
    name: str
    role: Role
    scope: Scope

    @property
    def actor(self) -> str:
        """How the audit log names them."""
        return f"console:{self.member_id}"


class Identity(NamedTuple):
    """Who a sign-in provider says somebody is; a provider never gives a subject to somebody else."""

    issuer: str
    subject: str


class Members(Protocol):
    """Who may sign in. Names are compared as people see them: `Ann` and `ann` are one name, look-alike letters too."""

    async def add(self, member: Member) -> bool:
        """Keep somebody new; False, and nothing is kept, when another member has that name."""
        ...

    async def member(self, member_id: str) -> Member | None:
        """Return a member, None when there is none or they were removed."""
        ...

    async def named(self, name: str) -> Member | None:
        """Return the member of this name."""
        ...

    async def all(self) -> tuple[Member, ...]:
        """Return every member, by name."""
        ...

    async def names(self) -> Mapping[str, str]:
        """Return the name of every member by how the audit log names them, also of those who were removed."""
        ...

    async def change(self, member_id: str, role: Role, scope: Scope) -> bool:
        """Give a member another role and scope, from their next request on; False when there is none."""
        ...

    async def remove(self, member_id: str) -> bool:
        """Take a member out, from their next request on; False when there is none."""
        ...

    async def identified(self, identity: Identity) -> Member | None:
        """Return the member whom a provider knows as this."""
        ...

    async def identify(self, member_id: str, identity: Identity) -> bool:
        """Keep as whom a provider knows a member; False when it is somebody else's, or the member is known as another already."""
        ...

    async def password(self, member_id: str) -> str:
        """Return the hash of a member's password, empty when there is none."""
        ...

    async def set_password(self, member_id: str, hashed: str) -> None:
        """Keep the hash of a member's password."""
        ...


def name_key(name: str) -> str:
    """Return what two names have in common that look the same."""
    return fold(name).casefold()
