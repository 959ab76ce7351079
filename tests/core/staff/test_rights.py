"""Who may do what, and above all who may not: whatever is not known is refused."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from core.staff.rights import Person, Rule, is_staff, may_administer

RULE = Rule(
    home_workspaces=frozenset({"home"}),
    admin_ids=frozenset({"ada"}),
    admin_groups=frozenset({"ops"}),
    staff_ids=frozenset({"stan"}),
    staff_groups=frozenset({"desk"}),
)
NOBODY = Person("zoe", "home", is_guest=False, is_stranger=False, is_bot=False, groups=frozenset())
ADA = replace(NOBODY, user_id="ada")
STAN = replace(NOBODY, user_id="stan")
OPS = replace(NOBODY, groups=frozenset({"ops", "other"}))
DESK = replace(NOBODY, groups=frozenset({"desk"}))


@pytest.mark.parametrize(
    ("person", "administers", "works"),
    [(ADA, True, True), (OPS, True, True), (STAN, False, True), (DESK, False, True), (NOBODY, False, False)],
    ids=["admin by id", "admin by group", "staff by id", "staff by group", "nobody"],
)
def test_admins_and_staff_are_those_who_are_listed_or_in_a_group(person: Person, administers: bool, works: bool) -> None:
    assert may_administer(person, RULE).allowed is administers
    assert is_staff(person, RULE).allowed is works


@pytest.mark.parametrize("person", [ADA, OPS], ids=["by id", "by group"])
@pytest.mark.parametrize(
    "but",
    [
        {"is_guest": True}, {"is_guest": None}, {"is_stranger": True}, {"is_stranger": None}, {"is_bot": True}, {"is_bot": None},
        {"workspace_id": "elsewhere"}, {"workspace_id": None}, {"workspace_id": ""},
    ],
    ids=str,
)  # fmt: skip
def test_bad_input_40_being_listed_does_not_help_a_guest_a_stranger_a_bot_or_whoever_is_not_known_to_be_none(
    person: Person, but: dict[str, bool | str | None]
) -> None:
    for verdict in (may_administer(replace(person, **but), RULE), is_staff(replace(person, **but), RULE)):
        assert not verdict.allowed
        assert verdict.reason.endswith(".")


def test_groups_that_could_not_be_looked_up_let_in_only_those_who_are_listed() -> None:
    assert may_administer(replace(ADA, groups=None), RULE).allowed
    refused = may_administer(replace(OPS, groups=None), RULE)
    assert (refused.allowed, "could not be looked up" in refused.reason) == (False, True)


def test_an_empty_rule_lets_nobody_in() -> None:
    for person in (ADA, OPS, replace(ADA, user_id=""), replace(OPS, workspace_id="")):
        assert not may_administer(person, Rule()).allowed
        assert not is_staff(person, Rule()).allowed


def test_an_empty_id_is_nobody_even_where_a_setting_holds_one() -> None:
    careless = replace(RULE, admin_ids=frozenset({""}), home_workspaces=frozenset({"", "home"}))
    assert not may_administer(replace(NOBODY, user_id=""), careless).allowed
    assert not may_administer(replace(ADA, workspace_id=""), careless).allowed


def test_no_one_is_let_in_with_anything_unknown_that_would_refuse_them() -> None:
    for guest, stranger, bot in product((True, False, None), repeat=3):
        person = replace(OPS, is_guest=guest, is_stranger=stranger, is_bot=bot)
        assert may_administer(person, RULE).allowed is (guest is False and stranger is False and bot is False)
