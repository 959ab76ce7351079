"""Who somebody is in a workspace, as Slack tells it; kept for a minute, and unknown rather than guessed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from time import monotonic
from typing import Any

from bot.setting_groups import Slack
from bot.slack.workspaces import Workspace
from core.errors import DeliveryError, RefusedError
from core.staff.rights import Person, Rule, Verdict, is_staff

logger = logging.getLogger(__name__)

KEPT_SECONDS = 60.0  # so long somebody who was taken from a group still counts as in it
_PATIENCE_SECONDS = 2.0  # Slack waits 3 s for whoever asks this
_MAX_KEPT = 10_000


def rule_of(asked: Slack) -> Rule:
    """Return what the settings say about who may do what."""
    return Rule(
        home_workspaces=_ids(asked.home_workspace),
        admin_ids=_ids(asked.admins), admin_groups=_ids(asked.admin_group),
        staff_ids=_ids(asked.staff), staff_groups=_ids(asked.staff_group),
    )  # fmt: skip


def _ids(listed: str) -> frozenset[str]:
    return frozenset(one.strip() for one in listed.split(",") if one.strip())


class People:
    """Looks people up and judges what they may do."""

    def __init__(self, rule: Rule, clock: Callable[[], float] = monotonic, *, many: bool = False) -> None:
        """`rule` without home workspaces: whoever belongs to the installation's own team is at home; with `many` teams, nobody."""
        self._rule = rule
        self._many = many
        self._clock = clock
        self._kept: dict[tuple[str, str, str], tuple[float, Any]] = {}

    async def person_and_rule(self, workspace: Workspace, user_id: str) -> tuple[Person, Rule]:
        """Return who somebody is, nobody while Slack does not say, and what the operator has set for their workspace."""
        try:
            return await self._person(workspace, user_id), self._at_home(workspace)
        except DeliveryError as error:
            logger.warning("who %s is could not be looked up: %s", user_id, error)
            return _unknown(user_id), self._at_home(workspace)

    async def is_staff(self, workspace: Workspace, user_id: str) -> Verdict:
        """Judge whether somebody belongs to staff."""
        if not self._has_staff():
            return Verdict(False, "No staff are named in the settings (slack.staff, slack.staff_group).")
        return is_staff(*await self.person_and_rule(workspace, user_id))

    async def knows_staff(self, workspace: Workspace, user_id: str) -> bool:
        """Tell whether somebody belongs to staff. Raises `DeliveryError` while Slack does not say."""
        return self._has_staff() and is_staff(await self._person(workspace, user_id), self._at_home(workspace)).allowed

    def _has_staff(self) -> bool:
        rule = self._rule
        return bool(rule.staff_ids or rule.staff_groups or rule.admin_ids or rule.admin_groups)

    def _at_home(self, workspace: Workspace) -> Rule:
        if self._rule.home_workspaces or self._many:
            return self._rule
        return replace(self._rule, home_workspaces=frozenset({workspace.identity.team_id}))

    async def _person(self, workspace: Workspace, user_id: str) -> Person:
        user = await self._told(workspace, "users.info", "user", user_id)
        if user is None:
            return _unknown(user_id)
        groups = [group for group in self._rule.staff_groups | self._rule.admin_groups if await self._is_in(workspace, group, user_id)]
        return Person(
            user_id,
            workspace_id=str(user.get("team_id") or "") or None,
            is_guest=bool(user.get("is_restricted") or user.get("is_ultra_restricted")),
            is_stranger=bool(user.get("is_stranger")),
            is_bot=bool(user.get("is_bot")),
            groups=frozenset(groups),
        )

    async def _is_in(self, workspace: Workspace, group: str, user_id: str) -> bool:
        members = await self._told(workspace, "usergroups.users.list", "usergroup", group)
        return members is not None and user_id in members

    async def _told(self, workspace: Workspace, method: str, name: str, value: str) -> Any:
        """Ask Slack, at most once a minute; None for what it refuses to tell. Raises `DeliveryError` while it does not answer."""
        key = (workspace.workspace_id, method, value)
        at, known = self._kept.get(key, (0.0, None))
        if known is not None and self._clock() - at < KEPT_SECONDS:
            return known
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                answer = await workspace.client.ask(method, **{name: value})
        except RefusedError as error:
            logger.warning("Slack does not tell %s of %s: %s", method, value, error)
            return None
        except TimeoutError as error:
            raise DeliveryError(f"Slack did not answer {method} in {_PATIENCE_SECONDS:g} s.") from error
        known = answer.get("user") if method == "users.info" else answer.get("users")
        if len(self._kept) >= _MAX_KEPT:
            self._kept.clear()
        self._kept[key] = (self._clock(), known)
        return known


def _unknown(user_id: str) -> Person:
    return Person(user_id, None, None, None, None, None)
