"""The sentences that Frontdesk says in its own name; everything else comes from the knowledge."""

from __future__ import annotations

import re

from core.domain import Hit
from core.text import FILE, IMAGE, MAX_QUESTION_CHARS, VOICE_CLIP, fold

HELP = "What would you like to know? Write your question in a sentence, or ask for a person at any time."
WORDLESS = {
    VOICE_CLIP: "I cannot listen to voice messages yet.",
    IMAGE: "I cannot look at pictures yet.",
    FILE: "I cannot open files yet.",
}
GREETING = "Hello! What can I help you with?"
THANKS = "You're welcome! Is there anything else?"
FAREWELL = "Goodbye, and come back any time."
NO_ANSWER = "I don't have a reliable answer to that, so I won't guess."
PERSON = "Of course."
FAILED = "Sorry, something went wrong on our side and I could not answer that."
FOLLOW_UP = "I've marked this conversation so that a person on our team can follow up."
TOO_MANY = "More messages came in than I can answer, so this one has no answer. Please wait a minute, then ask again in one message."
DELAYED = "We have received your message, an answer takes longer than usual."
OR_A_PERSON = "If this does not help, ask for a person."
CUT = f"(Your message was very long. I read its first {MAX_QUESTION_CHARS:,} characters.)"

_SMALL_TALK = (
    (GREETING, r"(?:hi+|hello|hey+|hiya|howdy|yo|greetings|good (?:morning|afternoon|evening|day)|hallo|guten (?:tag|morgen)"
               r"|bonjour|salut|hola|buenos d[ií]as|ciao|ol[aá]|namaste|你好|こんにちは|안녕하세요)"
               r"(?: (?:there|all|everyone|team|bot|frontdesk))?"),
    (THANKS, r"(?:ok(?:ay)?,? )?(?:many )?(?:thanks?|thx|ty|thank you|cheers|danke|merci|gracias|grazie|obrigado|ありがとう|谢谢)"
             r"(?: (?:a lot|so much|very much|you|again|for (?:your|the) help|that helped|that'?s all))*"),
    (FAREWELL, r"(?:good ?bye|bye(?:[ -]bye)?|see you(?: later)?|cu|ciao|tschüss|au revoir|adi[oó]s)"),
)  # fmt: skip


def nothing_to_read(question: str) -> str:
    """Return the reply to a message that holds no words."""
    return next((f"{why} {HELP}" for sign, why in WORDLESS.items() if sign in question), HELP)


def small_talk(question: str) -> str | None:
    """Return the reply to a greeting, thanks or farewell that says nothing else."""
    said = re.sub(r"[^\w' ]+", " ", fold(question).lower().replace("’", "'")).strip()
    for reply, pattern in _SMALL_TALK:
        if re.fullmatch(pattern, " ".join(said.split())):
            return reply
    return None


def hand_over(opening: str, contact: str) -> str:
    """Return what a customer is told when a person takes over; `contact` is another way to reach the team, or empty."""
    also = f" You can also reach us at {contact}." if contact else ""
    return f"{opening} {FOLLOW_UP}{also}"


def clarification(offered: tuple[Hit, ...]) -> str:
    """Return the question which of the `offered` passages was meant."""
    lines = "\n".join(f"- {hit.passage.title}" for hit in offered)
    opening = "I found more than one thing this could be about." if len(offered) > 1 else "I'm not sure I understood."
    return f"{opening} Did you mean:\n\n{lines}\n\nOr ask for a person."
