"""Who may do what: pure, and closed wherever something is not known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class Person:
    """Whoever asks for something, as far as the platform told; None is what it did not tell."""

    user_id: str
    workspace_id: str | None  # where the account belongs, which is not always where it writes
    is_guest: bool | None  # a restricted account of the workspace
    is_stranger: bool | None  # of another company, in a shared channel
    is_bot: bool | None
    groups: frozenset[str] | None  # user groups or roles


@dataclass(frozen=True, slots=True)
class Rule:
    """What the operator has set; an empty rule lets nobody do anything."""

    home_workspaces: frozenset[str] = frozenset()
    admin_ids: frozenset[str] = frozenset()
    admin_groups: frozenset[str] = frozenset()
    staff_ids: frozenset[str] = frozenset()
    staff_groups: frozenset[str] = frozenset()


class Verdict(NamedTuple):
    """Whether it is allowed, and why or why not, fit to be shown to whoever asked."""

    allowed: bool
    reason: str


def may_administer(person: Person, rule: Rule) -> Verdict:
    """Judge whether `person` may do what admins do."""
    return _judge(person, rule, rule.admin_ids, rule.admin_groups, "admins")


def is_staff(person: Person, rule: Rule) -> Verdict:
    """Judge whether `person` may do what staff do; admins are staff."""
    return _judge(person, rule, rule.staff_ids | rule.admin_ids, rule.staff_groups | rule.admin_groups, "staff")


def _judge(person: Person, rule: Rule, ids: frozenset[str], groups: frozenset[str], name: str) -> Verdict:
    refusal = _outside(person, rule)
    if refusal:
        return Verdict(False, refusal)
    if person.user_id in ids:
        return Verdict(True, f"You are listed among the {name}.")
    if not groups:
        return Verdict(False, f"Only {name} may do this, and you are not listed among them.")
    if person.groups is None:
        return Verdict(False, "Your groups could not be looked up, so nothing was done. Please try again in a minute.")
    if person.groups & groups:
        return Verdict(True, f"You are in a group of the {name}.")
    return Verdict(False, f"Only {name} may do this, and you are neither listed nor in one of their groups.")


def _outside(person: Person, rule: Rule) -> str:
    """Why this account may do nothing here, whatever lists it is on; empty when it may."""
    if person.is_bot is not False:
        return "Only people may do this, not bots." if person.is_bot else _unknown("whether you are a person")
    if not person.user_id:
        return _unknown("who you are")
    if not person.workspace_id:
        return _unknown("where your account belongs; this cannot be done in a direct message")
    if person.workspace_id not in rule.home_workspaces:
        return "Your account does not belong to a workspace of the operator."
    if person.is_stranger is not False:
        return "Accounts of other companies may not do this." if person.is_stranger else _unknown("whether you belong to this workspace")
    if person.is_guest is not False:
        return "Guest accounts may not do this." if person.is_guest else _unknown("whether yours is a guest account")
    return ""


def _unknown(what: str) -> str:
    return f"The platform did not say {what}, so nothing was done."
