"""Who works here: the roles of staff, and which workspaces a person may look into."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


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
