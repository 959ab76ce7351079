"""Personal data and credentials are masked, what only looks like them is not, and no text takes long."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.redaction import Kind, finds, redact

JWT = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4ifQ.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c"
# Credentials of no account, put together here so that no scanner takes this file for a leak.
SLACK, APP = "xoxb-" + "123456789012-abcdefABCDEF", "xapp-" + "1-A0123-456-abcdef0123456789"
DISCORD = "MTk4NjIyNDgzNDcxOTI1MjQ4" + ".Cl2FMQ." + "ZnCjm1XVW7vRze4b7Cq4se7kKWs"
OPENAI, AWS, GITHUB = "sk-" + "proj-abcdEFGH0123456789abcdEFGH", "AKIA" + "IOSFODNN7EXAMPLE", "ghp_" + "a1B2" * 9

PERSONAL = [
    (Kind.EMAIL, ["ann@example.com", "ann.o'hara+shop@mail.example.co.uk", "a@b.io", "jürgen@müller.de", "ANN_1@EXAMPLE.COM"]),
    (Kind.PHONE, ["+49 30 901820", "+1 (415) 555-2671", "+442079460958", "0049 30 9018 2000", "030 9018 2000", "0151-12345678",
                  "01512345678", "415-555-2671", "(415) 555-2671", "415.555.2671", "+41/44/668/18/00",
                  "01.84.17.61.18", "345-899-3560x4587", "+1-903-140-4508x769", "(37) 788-063", "(71) 4233-6306"]),
    (Kind.CARD, ["4111 1111 1111 1111", "4111-1111-1111-1111", "5555555555554444", "378282246310005", "6011111111111117",
                 "2223003122003222", "3558331500082481", "30288610434735", "630427373398", "180016070420458"]),
    (Kind.IBAN, ["DE89 3704 0044 0532 0130 00", "DE89370400440532013000", "GB29NWBK60161331926819", "gb29 nwbk 6016 1331 9268 19",
                 "NO93 8601 1117 947", "MT84MALT011000012345MTLCAST001S", "FR14 2004 1010 0505 0001 3M02 606"]),
    (Kind.IP, ["8.8.8.8", "192.168.178.20", "2001:db8::8a2e:370:7334", "fe80::1", "2001:0db8:85a3:0000:0000:8a2e:0370:7334"]),
    (Kind.TOKEN, [JWT, SLACK, APP, DISCORD, OPENAI, AWS, GITHUB]),
]  # fmt: skip
HARMLESS = [
    "user@host", "@everyone", "ann@", "@ann.example", "logo@2x.png", "package@1.2.3", "a@b.c1",  # no addresses
    "4111 1111 1111 1112", "1234 5678 9012 3456", "9111111111111111", "41111111111", "411111111111111111111111",  # no cards
    "DE88 3704 0044 0532 0130 00", "DE89 3704 0044", "ZZ89 3704 0044 0532 0130 00", "AB12",  # no accounts
    "256.1.1.1", "1.2.3", "1.2.3.4.5", "v1.2.3.4", "127.0.0.1", "::1", "::", "12:30:45", "aa:bb:cc:dd:ee:ff", "std::vector", "10:00",
    "2026-11-27", "27.11.2026", "01.02.2026", "(2026) was", "order 12345678", "order 1234567890", "1 000 000",
    "14 days", "0.5", "007", "3-4 weeks", "24/7",
    "0012345678",
    "https://shop.example/orders/4711-0815", "ISBN 978-3-16-148410-0", "+1", "C0123456789", "1600x1200",  # no phones
    "sk-short", "xoxb-", "AKIA", "eyJ.eyJ.x", "eyJhbGciOi", "task-force-of-the-year-2026-edition", "risk-assessment-of-everything",
    "MNO.abc.def",
    "[email]", "[1]", "We answer within 3 days. [1]",
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in PERSONAL for text in texts])
@pytest.mark.parametrize("around", ["{}", "it is {}, thanks", "({})", "{}.", "mine: {} and more", "{}\n", "„{}“", "a={}&b"])
def test_personal_data_is_masked_and_the_words_around_it_stay(kind: Kind, text: str, around: str) -> None:
    assert redact(around.format(text)) == around.format(f"[{kind}]")


@pytest.mark.parametrize("text", HARMLESS)
@pytest.mark.parametrize("around", ["{}", "it is {}, thanks", "({})", "{}."])
def test_what_only_looks_like_it_stays(text: str, around: str) -> None:
    assert redact(around.format(text)) == around.format(text)


def test_several_in_one_text_are_masked_each_and_told_in_order() -> None:
    text = f"Ann (ann@example.com, +49 30 901820) pays with 4111 1111 1111 1111 from DE89 3704 0044 0532 0130 00 OK, {AWS}"
    assert redact(text) == "Ann ([email], [phone]) pays with [card] from [iban] OK, [token]"
    assert [find.kind for find in finds(text)] == [Kind.EMAIL, Kind.PHONE, Kind.CARD, Kind.IBAN, Kind.TOKEN]


def test_what_is_public_stays_but_credentials_never_do() -> None:
    public = f"Write to help@shop.example or call 0800 123 4567. Key: {AWS}"
    said = f"Write to help@shop.example, not to ann@example.com. {AWS}"
    assert redact(said, public) == "Write to help@shop.example, not to [email]. [token]"


@given(st.text())
def test_what_was_masked_once_stays_as_it_is(text: str) -> None:
    assert redact(redact(text)) == redact(text)


@pytest.mark.parametrize(
    "piece", ["a", "1", "a@", "a.", "@a.", "+1", "1.", "1:", ":", "AB12", "4 ", "0-", "(", "eyJ", "xoxb-", "sk-", "a-b@c.", "00 "]
)
def test_bad_input_a_hostile_text_of_12000_characters_takes_no_second(piece: str) -> None:
    started = time.perf_counter()
    redact(piece * (12_000 // len(piece)))
    assert time.perf_counter() - started < 1
