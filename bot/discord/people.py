"""Who somebody is in a guild, as Discord tells it; asked for at most once a minute, and unknown rather than guessed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from time import monotonic

import discord

from bot.discord.events import PRIVATE
from bot.discord.rest import Rest
from bot.setting_groups import Discord
from core.errors import DeliveryError
from core.staff.rights import Person, Rule, Verdict, is_staff

logger = logging.getLogger(__name__)

KEPT_SECONDS = 60.0  # so long somebody whose role was taken still counts as having it, where Discord does not tell it with each message
_PATIENCE_SECONDS = 2.0
_MAX_KEPT = 10_000


def rule_of(asked: Discord) -> Rule:
    """Return what the settings say about who may do what."""
    return Rule(
        home_workspaces=_ids(asked.home_guild),
        admin_ids=_ids(asked.admins), admin_groups=_ids(asked.admin_role),
        staff_ids=_ids(asked.staff), staff_groups=_ids(asked.staff_role),
    )  # fmt: skip


def _ids(listed: str) -> frozenset[str]:
    return frozenset(one.strip() for one in listed.split(",") if one.strip())


class People:
    """Looks people up and judges what they may do."""

    def __init__(self, rest: Rest, rule: Rule, clock: Callable[[], float] = monotonic) -> None:
        """`rule` without a home guild: whoever is listed is at home wherever they are, for ids of users and roles are Discord's own."""
        self._rest = rest
        self._rule = rule
        self._clock = clock
        self._kept: dict[tuple[str, int], tuple[float, frozenset[str]]] = {}

    async def is_staff(self, guild: str, user: discord.abc.User) -> Verdict:
        """Judge whether somebody belongs to staff; `guild` is its id, or `dm`, where nobody does."""
        rule = self._rule
        if not (rule.staff_ids or rule.staff_groups or rule.admin_ids or rule.admin_groups):
            return Verdict(False, "No staff are named in the settings (discord.staff, discord.staff_role).")
        return is_staff(*await self.person_and_rule(guild, user))

    async def person_and_rule(self, guild: str, user: discord.abc.User) -> tuple[Person, Rule]:
        """Return who somebody is, and what the operator has set for their guild."""
        home = None if guild == PRIVATE else guild
        rule = self._rule if self._rule.home_workspaces or home is None else replace(self._rule, home_workspaces=frozenset({home}))
        is_guest = bool(user.pending or user.flags.guest) if isinstance(user, discord.Member) else False
        roles = await self._roles(home, user) if home is not None else None
        return Person(str(user.id), home, is_guest, is_stranger=False, is_bot=bool(user.bot), groups=roles), rule

    async def _roles(self, guild: str, user: discord.abc.User) -> frozenset[str] | None:
        if isinstance(user, discord.Member):  # told with the message or the press itself
            return frozenset(str(one) for one in user._roles)
        if not (self._rule.staff_groups or self._rule.admin_groups):
            return frozenset()
        key = (guild, user.id)
        at, known = self._kept.get(key, (0.0, frozenset[str]()))
        if key in self._kept and self._clock() - at < KEPT_SECONDS:
            return known
        return await self._asked(key)

    async def _asked(self, key: tuple[str, int]) -> frozenset[str] | None:
        self._kept.pop(key, None)
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                member = await self._rest.member(key[0], str(key[1]))
        except (DeliveryError, TimeoutError) as error:
            logger.warning("Discord does not tell the roles of %s: %s", key[1], error)
            return None
        if len(self._kept) >= _MAX_KEPT:
            self._kept.clear()
        self._kept[key] = (self._clock(), frozenset(str(role) for role in member["roles"]))
        return self._kept[key][1]
