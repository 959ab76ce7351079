"""Text that comes in: cleaned for keeping and showing, and folded for matching and for models.

The order matters. Cleaning keeps what a person typed (ZWJ and ZWNJ carry meaning in emoji, Persian and Hindi); folding is for
machines only and removes what a person cannot see. Nothing folded is ever shown.
"""

from __future__ import annotations

import re
import unicodedata

MAX_QUESTION_CHARS = 4000
# What stands for a message without words. Emoji, so that to everything that looks for words it says nothing.
VOICE_CLIP, IMAGE, FILE = "🎤", "🖼️", "📎"

# C0/C1 controls except tab and newline; lone surrogates, which PostgreSQL and UTF-8 both refuse.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
# ANSI and OSC escape sequences, so that none of their letters stays behind when the escape byte goes.
_ESCAPE_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_TAGS = re.compile("[\U000e0000-\U000e007f]")
_REGION_FLAG = re.compile("\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{1,6}\U000e007f")  # England, Scotland, Wales
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200d\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0080-\U000e0fff]"
)
_EMOJI_NAME = re.compile(r":[\w+-]{1,60}:")  # all emoji in Slack, those of a server in Discord
_SPACE = re.compile(r"\s+")
_WORD = re.compile(r"\w+")
# Han, kana and Hangul are written without spaces between words.
UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_IS_UNSPACED = re.compile(rf"[{UNSPACED}]")
_RUN = re.compile(rf"[{UNSPACED}]+|[^\W{UNSPACED}]+")
_PRONOUNCEABLE = re.compile(r"[^\W_]")
_CHAT_TOKEN = re.compile(r"<(?=\|[^<>]{0,40}\|>|/?s>|/?(?:start|end)_of_\w+>|/?(?:im_\w+|eot|[be]os|pad|unk)\b[^<>]{0,20}>)|\[(?=/?INST\])")
# Letters that look Latin, folded only inside words that also hold a Latin letter.
_LOOKALIKES = str.maketrans("аеорсухіјѕԁԛԝАВЕКМНОРСТХІЈЅαορνιΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "aeopcyxijsdqwABEKMHOPCTXIJSaopviABEZHIKMNOPTYX")


def clean(text: str) -> str:
    """Return `text` as it may be stored and shown: NFC, without control, escape or bidirectional-override characters."""
    text = _ESCAPE_SEQUENCE.sub("", text)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return unicodedata.normalize("NFC", _BIDI.sub("", _CONTROL.sub("", text))).strip()


def fold(text: str) -> str:
    """Return the copy of `text` that matching and models see: NFKC, nothing invisible, single spaces.

    Equal-looking texts fold to the same string (NFD, full width, zero width, look-alike letters).
    """
    text = _INVISIBLE.sub("", _TAGS.sub("", clean(text)))
    text = unicodedata.normalize("NFKC", text)
    text = unicodedata.normalize("NFKC", _WORD.sub(_fold_lookalikes, text))
    return _SPACE.sub(" ", text).strip()


def hides_text(text: str) -> bool:
    """Tell whether `text` carries characters of the Unicode tag block: invisible instructions, never typed by a person.

    The flags of England, Scotland and Wales are spelled with them and hide nothing.
    """
    return _TAGS.search(_REGION_FLAG.sub("", text)) is not None


def says_something(text: str) -> bool:
    """Tell whether `text` holds any letter or digit (an emoji, a sticker or white space alone does not)."""
    return _PRONOUNCEABLE.search(_EMOJI_NAME.sub("", fold(text))) is not None


def defuse(text: str) -> str:
    """Return `text` with chat-template markers such as `<|im_start|>` or `[INST]` broken, so that a tokenizer reads them as text."""
    return _CHAT_TOKEN.sub(lambda found: found.group() + " ", text)


def words(text: str) -> list[str]:
    """Return the lower-case words of the folded text; runs of Chinese, Japanese or Korean become overlapping character pairs."""
    return [word for found in _RUN.findall(fold(text).lower()) for word in _pairs(found)]


def _pairs(run: str) -> list[str]:
    if not _IS_UNSPACED.match(run) or len(run) == 1:
        return [run]
    return [run[index : index + 2] for index in range(len(run) - 1)]


def _fold_lookalikes(word: re.Match[str]) -> str:
    text = word.group()
    if text.isascii() or not any("a" <= letter <= "z" for letter in text.lower()):
        return text
    return text.translate(_LOOKALIKES)
