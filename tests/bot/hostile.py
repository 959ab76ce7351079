"""Texts and addresses that every platform must show without harm; `FUZZ_EXAMPLES` says how many are tried."""

from __future__ import annotations

import os

from hypothesis import strategies as st

from core.domain import Address, Citation, Decision, Exchange, Lineage, Reason, Reply, utc_now
from core.handoff import Handoff, Packet, State, Tried, Why
from core.mood import Mood, Tone

PAY, EVIL = "https://example.com/pay", "https://evil.test/x?q=1"
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "500"))
KINDS = [(Decision.ANSWER, Reason.COMPOSED), (Decision.DIRECT, Reason.CONFIDENT), (Decision.CLARIFY, Reason.CLOSE_CANDIDATES)]
HOSTILE = st.lists(
    st.one_of(
        st.sampled_from(
            ["```", "\n```\n", "`", "**", "*", "_", "~", "[", "](", ")", "![x](", "<", ">", "<!", "<!channel>", "<!subteam^S1|@x>",
             "<@U1>", "<#C1|general>", "<!date^1^{date}|x>", "@channel", "@here", "＠everyone", "@\u200beveryone", "@ev\u200beryone",
             "＜!here＞", "&lt;!", "&amp;", "&#60;", "&", "|", "#", "# ", "\n", "\n\n", "- ", "1. ", "> ", "    ", "~~",
             "\u200b", "\u2060", "\ufeff", "\u202e", "＊", "＿", PAY, EVIL, f"<{EVIL}|Pay>", f"[Pay]({EVIL})", f"[Pay]({PAY})",
             f"<{PAY}>", "https:/", "/evil.test", "javascript:alert(1)", "http://", "mailto:a@b.c", "www.evil.test",
             "word " * 200, "x" * 700, "&" * 400, "```" * 30, "\\", "😀" * 50,
             "@everyone", "x@here", "<@42>", "<@!42>", "<@&42>", "<#42>", "<id:home>", "</ask:42>", "<:x:42>", "<a:x:42>", "<t:42:R>",
             "||", "__", "-# ", "### ", ">>> ", "```py\n", "discord.gg/evil", "https://discord.gg/evil", "discord://x", "<a@b.c>", "7. "]
        ),
        st.text(alphabet="ab <>&@!|*_~`#[]()\n\u200b\u2060＠：-.1", max_size=12),
        st.text(max_size=5),
    ),
    max_size=40,
).map("".join)  # fmt: skip
URLS = st.sampled_from(
    [None, PAY, EVIL, "https://example.com/a|b>c?x=1&y=2", "javascript:alert(1)", "not a link", "https://x.test/" + "a" * 3000,
     "https://x.test/(a)[b]*c*_d_/@everyone/\\`", "https://x.test/" + "b" * 680]
)  # fmt: skip
BOMBS = ["word " * 10_000, "p\n\n" * 5000, "```\n" + "x\n" * 20_000, "`" * 30_000, "- &\n" * 6000, "&" * 30_000, "|a|" * 9000]
ODD = ["", " ", "\u200b", "\x00", "\ud800", "\u202eabc", "😀" * 3000]


def reply(text: str, decision: Decision = Decision.ANSWER, reason: Reason = Reason.COMPOSED, *citations: Citation) -> Reply:
    return Reply(decision, reason, text, citations, 0.9, Lineage("m", "i", "p", "e", "q"))


def cite(title: str = "Paying", url: str | None = PAY) -> Citation:
    return Citation("p1", title, url, 0.9)


WAITING = Handoff("h1", Address("web", "local", "chat", "t1"), "ann", Why.ASKED, State.WAITING, utc_now())
PACKET = Packet("How?", "So.", (Exchange("Before?", "That."),), (Tried("Paying", 0.43),), Mood(Tone.CALM))
