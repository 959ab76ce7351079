"""Masks personal data and credentials before text is kept for training: patterns whose finds are checked, standard library only."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from enum import StrEnum
from ipaddress import ip_address
from typing import NamedTuple


class Kind(StrEnum):
    """What was found; its value is what stands in its place, in brackets."""

    TOKEN = "token"  # noqa: S105
    EMAIL = "email"
    IBAN = "iban"
    CARD = "card"
    IP = "ip"
    PHONE = "phone"


class Find(NamedTuple):
    """One piece of personal data, and where it stands."""

    kind: Kind
    start: int
    end: int


def redact(text: str, public: str = "") -> str:
    """Return `text` with what is personal replaced by its kind, such as `[email]`; masks stay as they are.

    What also stands in `public`, such as the address of your own support in a help article, is kept; credentials never are.
    """
    kept, position = [], 0
    for find in finds(text):
        if find.kind is not Kind.TOKEN and text[find.start : find.end] in public:
            continue
        kept += [text[position : find.start], f"[{find.kind}]"]
        position = find.end
    return "".join([*kept, text[position:]])


def finds(text: str) -> tuple[Find, ...]:
    """Return everything personal in `text`, in the order in which it stands there; what lies in another find is part of that."""
    found: list[Find] = []
    for kind, pattern, length in _RULES:
        found += [one for one in _matches(text, kind, pattern, length) if not any(_overlap(one, other) for other in found)]
    return tuple(sorted(found, key=lambda one: one.start))


def _matches(text: str, kind: Kind, pattern: re.Pattern[str], length: Callable[[str], int]) -> Iterator[Find]:
    """Yield what `pattern` matches and `length` confirms: how many characters of a match count, 0 for none."""
    position = 0
    while (match := pattern.search(text, position)) is not None:
        counted = length(match.group())
        if counted:
            yield Find(kind, match.start(), match.start() + counted)
        position = match.start() + max(counted, 1)  # inside a match that was none another may begin; matches are short


def _overlap(one: Find, other: Find) -> bool:
    return one.start < other.end and other.start < one.end


def _email(match: str) -> int:
    """An address; `logo@2x.png` is a file."""
    is_file = match.rpartition(".")[2].lower() in _FILE_ENDINGS
    return 0 if is_file or match.startswith(".") else len(match)


def _iban(match: str) -> int:
    """Letters and digits of its country's length whose remainder by 97 is 1 (ISO 13616)."""
    places = [place for place, sign in enumerate(match) if sign.isalnum()]
    wanted = _IBAN_LENGTHS.get(match[:2].upper(), 0)
    if not wanted or len(places) < wanted:
        return 0
    signs = "".join(match[place] for place in places[:wanted]).upper()
    number = "".join(str(int(sign, 36)) for sign in signs[4:] + signs[:4])
    return places[wanted - 1] + 1 if int(number) % 97 == 1 else 0


def _card(match: str) -> int:
    """12 to 19 digits, as networks of cards number them, that pass Luhn's check."""
    digits = [int(sign) for sign in match if sign.isdigit()]
    doubled = [digit * 2 if place % 2 else digit for place, digit in enumerate(reversed(digits))]
    is_card = sum(digit - 9 if digit > 9 else digit for digit in doubled) % 10 == 0
    is_short = len(digits) < 13 and digits[0] not in (5, 6)  # Maestro's
    return len(match) if is_card and not is_short else 0


def _ip(match: str) -> int:
    """An address of some machine; one's own (loopback) tells nothing about anybody."""
    match = match.rstrip(":.")
    try:
        address = ip_address(match)
    except ValueError:
        return 0
    return 0 if address.is_loopback or address.is_unspecified else len(match)


def _phone(match: str) -> int:
    """8 to 15 digits, as E.164 has it, with a country code or a trunk zero, or written in the North American way."""
    digits = sum(sign.isdigit() for sign in match.partition("x")[0])
    return len(match) if 8 <= digits <= 15 else 0


_FILE_ENDINGS = {"png", "jpg", "jpeg", "gif", "svg", "webp", "css", "js", "pdf"}
_IBAN_LENGTHS = dict(
    pair
    for length, countries in {
        15: "NO", 16: "BE", 18: "DK FI FO GL NL", 19: "MK SI", 20: "AT BA EE KZ LT LU XK", 21: "CH CR HR LI LV",
        22: "BG BH DE GB GE IE ME RS", 23: "AE GI IL", 24: "AD CZ ES MD PK RO SA SE SK TN", 25: "PT", 26: "IS TR",
        27: "FR GR IT MC SM", 28: "AL AZ CY DO GT HU LB PL", 29: "BR QA UA", 30: "JO KW MU", 31: "MT",
    }.items()
    for pair in ((country, length) for country in countries.split())
)  # fmt: skip
_JWT = r"eyJ[\w-]{8,2000}\.eyJ[\w-]{8,4000}\.[\w-]{8,2000}"
_SLACK = r"x(?:ox[a-z]|app)-[\w-]{10,250}"
_DISCORD = r"(?:mfa\.[\w-]{60,120}|[MNO][\w-]{22,27}\.[\w-]{6}\.[\w-]{25,45})"
_OPENAI = r"[sr]k-(?:[a-z]{2,10}-)?[\w-]{20,250}"  # and those who took over its form
_AWS = r"(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}"
_GITHUB = r"(?:gh[pousr]_[A-Za-z0-9]{36,250}|github_pat_\w{40,250})"
_FREE = r"(?<![\w.-])"  # it begins here, and is not the end of something longer
# Every repetition has an upper bound, so a hostile text of n characters takes time in proportion to n.
_RULES: tuple[tuple[Kind, re.Pattern[str], Callable[[str], int]], ...] = (
    (Kind.TOKEN, re.compile(rf"(?<![\w-])(?:{'|'.join((_JWT, _SLACK, _DISCORD, _OPENAI, _AWS, _GITHUB))})(?![\w-])"), len),
    (Kind.EMAIL, re.compile(r"(?<![\w.%+-])[\w.%+'-]{1,64}@(?:[^\W_](?:[\w-]{0,62})\.){1,8}[^\W\d_]{2,24}(?![\w-])"), _email),
    (Kind.IBAN, re.compile(rf"{_FREE}[A-Za-z]{{2}}\d{{2}}(?:[ -]?[A-Za-z0-9]){{11,34}}"), _iban),
    (Kind.CARD, re.compile(rf"{_FREE}(?<!\d )(?:1800|2[1-7]|3\d|4\d|5[0-8]|6\d)(?:[ -]?\d){{8,17}}(?!\d)"), _card),
    (Kind.IP, re.compile(rf"{_FREE}\d{{1,3}}(?:\.\d{{1,3}}){{3}}(?![\w]|\.\d)"), _ip),
    (Kind.IP, re.compile(r"(?<![\w:.])(?=[^\s]{0,4}[:\d])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w])"), _ip),
    (Kind.PHONE, re.compile(rf"{_FREE}0[1-9](?:[ .-]\d\d){{4}}(?![\w]|\.\d)"), _phone),
    (
        Kind.PHONE,
        re.compile(r"(?<![\w.+-])(?:\+|(?<!\d )00(?=[1-9](?:[ ()./-]{0,3}\d){9}))[1-9](?:[ ()./-]{0,3}\d){6,14}(?:x\d{1,6})?(?!\d)"),
        _phone,
    ),
    (Kind.PHONE, re.compile(rf"{_FREE}(?<!\d )(?:\(0[1-9]\d{{0,5}}\)|0[1-9])(?:[ ()/-]{{0,3}}\d){{3,11}}(?![\w]|\.\d)"), _phone),
    (
        Kind.PHONE,
        re.compile(rf"{_FREE}(?<!\d )(?:1[ .-])?(?:\(\d{{3}}\) ?|\d{{3}}[ .-])\d{{3}}[ .-]\d{{4}}(?:x\d{{1,6}})?(?![\w]|\.\d)"),
        _phone,
    ),
    (Kind.PHONE, re.compile(rf"{_FREE}\(\d{{2,4}}\) ?\d{{3,4}}[ -]\d{{3,4}}(?![\w]|\.\d)"), _phone),
)
