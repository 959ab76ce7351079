"""A reply becomes messages that Discord takes, in which nothing pings, nothing shows a page and nothing is live but sources."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.discord.messages import CUT, alert, draft, render, shared, sources
from bot.handoff_card import HINT
from bot.parting import size
from bot.replies import allowed_links
from core import markup
from core.domain import Action, Address, Citation, Decision, Exchange, Passage, Reason, Reply, notice, utc_now
from core.handoff import Packet, Tried
from core.mood import mood_of
from core.ports import Delivery
from tests.bot.discord.reader import pings, show
from tests.bot.hostile import BOMBS, EVIL, EXAMPLES, HOSTILE, KINDS, ODD, PACKET, PAY, URLS, WAITING, cite, reply

HERE = Address("discord", "1", "2", "3")
JUMP = "https://discord.com/channels/1/2/3"


def parcel(said: Reply, action: Action = Action.REPLY) -> Delivery:
    return Delivery(1, "lease", HERE, "turn-1", said, "turn-1-0", 1, uncertain=False, asked_at=utc_now(), action=action)


def check(parts: tuple[str, ...], allowed: set[str]) -> None:
    assert 1 <= len(parts) <= 4
    for part in parts:
        assert part.strip() and size(part) <= 2000
        shown = show(part)
        assert not (shown.previews or shown.open_fence or pings(part))
        assert part.replace("\\`", "").count("```") % 2 == 0
        assert shown.tokens == []
        assert {unquote(url) for url in shown.links} <= {unquote(url) for url in allowed}


def test_an_answer_shows_its_sources_and_who_wrote_it_in_one_line_of_small_print() -> None:
    (part,) = render(parcel(reply(f"Pay at {PAY}. [1]", Decision.ANSWER, Reason.COMPOSED, cite())))
    assert part == f"Pay at <{PAY}>. \\[1\\]\n-# Written by an AI from these help articles: [1] [Paying](<{PAY}>)"
    assert show(part).styles() == {"u", "a"}


@pytest.mark.parametrize(("decision", "reason"), [(Decision.CLARIFY, Reason.CLOSE_CANDIDATES), (Decision.HANDOFF, Reason.LOW_CONFIDENCE)])
def test_what_is_no_answer_names_no_sources(decision: Decision, reason: Reason) -> None:
    assert render(parcel(reply("Which one?", decision, reason, cite()))) == ("Which one?",)


def test_a_notice_is_its_words() -> None:
    assert render(parcel(notice(Decision.CLARIFY, Reason.DELAYED, "It takes longer."), Action.NOTICE)) == ("It takes longer.",)


def test_bad_input_14_an_address_that_no_source_holds_is_code() -> None:
    text = f"[Pay]({EVIL}) ![x]({EVIL}) or [here]({PAY})"
    (part,) = render(parcel(reply(text, Decision.CLARIFY, Reason.CLOSE_CANDIDATES, cite(url=PAY))))
    assert part == f"Pay `{EVIL}` x or [here](<{PAY}>)"


def test_an_address_written_in_a_cited_text_is_a_link() -> None:
    said = parcel(reply(f"see {PAY}", Decision.CLARIFY, Reason.CLOSE_CANDIDATES))
    assert render(said) == (f"see `{PAY}`",)
    assert render(said, (f"Go to {PAY}.",)) == (f"see <{PAY}>",)


@pytest.mark.parametrize("text", BOMBS)
def test_bad_input_20_an_answer_too_long_for_discord_is_cut_and_says_so(text: str) -> None:
    long = Citation("p", "Title " * 100, "https://x.test/" + "u" * 600, 0.9)
    for said in (reply(text, Decision.DIRECT, Reason.CONFIDENT, cite()), reply(text, Decision.ANSWER, Reason.COMPOSED, *[long] * 3)):
        for parts in (render(parcel(said)), draft(parcel(said), text, JUMP)):
            check(parts, {PAY, JUMP, long.url or ""})
            assert CUT in parts[-1]


def test_an_answer_that_fits_is_not_cut_and_ends_between_paragraphs() -> None:
    paragraphs = [f"{number} " + "word " * 99 + "end" for number in range(12)]
    parts = render(parcel(reply("\n\n".join(paragraphs), Decision.ANSWER, Reason.COMPOSED, cite())))
    assert CUT not in "".join(parts)
    assert all(size(part) <= 1900 for part in parts)
    *first, last = parts
    assert [paragraph for part in (*first, last.partition("\n-#")[0]) for paragraph in part.split("\n\n")] == paragraphs


@pytest.mark.parametrize("text", [*ODD, "[a]: https://x.test\n" * 5000])
def test_odd_texts_make_messages_that_discord_takes(text: str) -> None:
    parts = render(parcel(reply(text)))
    check(parts, set())
    assert "\u202e" not in str(parts) and "\x00" not in str(parts)


def test_staff_see_the_question_why_and_where_it_was_asked() -> None:
    said = alert(WAITING, PACKET._replace(question="How?\n# <@42> see https://evil.test"), JUMP, "42")
    lines = said.split("\n")
    assert lines[:3] == [
        f"**A customer waits for a person** · [see the message](<{JUMP}>)",
        "They asked for a person.",
        "They asked in private: <@42>",
    ]
    assert show("\n".join(lines[3:5])).text.replace("\u2060", "") == "How?\n# <@42> see https://evil.test"
    assert "<@" not in alert(WAITING, PACKET, JUMP, "@everyone")


def test_a_long_packet_is_one_message_that_keeps_the_question_and_what_can_be_done() -> None:
    long = "*_`" * 500
    packet = PACKET._replace(question=long, said=long, exchanges=(Exchange(long, long),) * 4, tried=(Tried(long, 0.5),) * 3)
    said = alert(WAITING, packet, JUMP)
    assert len(said) <= 2000
    assert said.startswith("**A customer waits") and HINT in said


def test_a_draft_and_a_shared_answer_stand_under_their_question() -> None:
    delivery = parcel(reply("So.", Decision.DIRECT, Reason.CONFIDENT))
    assert draft(delivery, "How?") == ("**A draft for you to check**\n> How?\nSo.\n-# From the help articles",)
    assert shared(delivery, "How?") == ("> How?\nSo.\n-# From the help articles",)


def test_sources_are_shown_with_their_text_and_those_that_are_gone_are_said_to_be() -> None:
    (said,) = sources([Passage("p", "d", "Paying", f"Go to {PAY} or [x]({EVIL})", url=PAY)])
    assert said == f"**[Paying](<{PAY}>)**\nGo to <{PAY}> or [x](<{EVIL}>)"
    assert "no longer part" in sources([])[0]


def test_code_that_would_end_the_style_around_it_goes_without_that_style() -> None:
    (part,) = render(parcel(reply("_https://discord.gg/evil*_")))
    assert part.startswith("`https://discord\u2060.gg/evil*`\n")


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(HOSTILE, HOSTILE, st.sampled_from(KINDS), st.lists(st.tuples(HOSTILE, URLS), max_size=5))
def test_bad_input_09_whatever_is_said_nothing_pings_and_nothing_is_live_but_sources(
    text: str, question: str, kind: tuple[Decision, Reason], cited: list[tuple[str, str | None]]
) -> None:
    said = reply(text, *kind, *[cite(title, url) for title, url in cited])
    allowed = {url for _, url in cited if url} | set(allowed_links(said))
    delivery = parcel(said)
    check(render(delivery), allowed)
    check(shared(delivery, question), allowed)
    check(draft(delivery, question, JUMP), allowed | {JUMP})
    packet = Packet(question, text, (Exchange(question, text),), tuple(Tried(title, 0.5, url) for title, url in cited), mood_of([question]))
    check((alert(WAITING, packet, JUMP),), {JUMP})
    passages = [Passage("p", "d", title, question, url=url) for title, url in cited]
    check(sources(passages), {url for _, url in cited if url} | markup.urls(question))
