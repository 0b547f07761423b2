"""What recalled text must not do: end its block, open another role, pose as the system, or say what cannot be seen.

All that is not needed for that stays verbatim. A `<` is looked at together with what follows it, folded: letters of
other alphabets that look Latin, full-width forms, invisible characters and case do not hide a tag.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from memory_mgr.policy.lexicon import load_words

_OPENER = re.compile(r"[<＜﹤](?=([^<＜﹤]{0,60}))")
_BRACKET = re.compile(r"[\[［](?=([^\[［]{0,40}))")
_SKIPPED = r"[\s/|!\\:_.\-]*"
_LINE_BREAK = re.compile(r"\r\n|[\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f"  # control characters: escape sequences of terminals
    "\u202d\u202e"  # overrides of direction; embeddings and isolates are part of ordinary bidirectional text
    "\U000e0000-\U000e007f]"  # tags: a second ASCII that is not shown
    "|[\ufe00-\ufe0f\U000e0100-\U000e01ef]{2,}"  # one selects a glyph, several carry bytes
)
_STRUCTURE = re.compile(r"\n(?= ?(?:[>*_`~|]{1,3} ?)?(?:[#\[]|- \[|[^\W\d_][^\n:]{0,60}:))")
"""A line that could be taken for one of the block's own: a heading, a date, a speaker."""
_LATIN = str.maketrans(
    "ааеорсухіјѕԁһӏмтнквԛԝαεορτυνικμΑΕΟΡΤΥΝΙΚΜЅІЈАЕОРСУХМТНКВı",
    "aaeopcyxijsdhlmthkbqwaeoptuvikmaeoptuvikmsijaeopcyxmthkbi",
)
"""Letters of other alphabets as what they look like, for those in the words that are looked for."""


def escaped(text: str) -> str:
    """`text` so that it cannot close the block or open another role; otherwise verbatim."""
    if text.isascii() and text.isprintable() and "<" not in text and "[" not in text:
        return text.lstrip()  # nothing below could find anything
    plain = _UNSEEN.sub("", _LINE_BREAK.sub("\n", text))
    plain = _BRACKET.sub(_without_bracket, _OPENER.sub(_without_opener, plain))
    return _STRUCTURE.sub("\n  ", plain.lstrip().rstrip("\n"))


def is_privileged(name: str) -> bool:
    """Whether a speaker's name claims more than a speaker in recalled text can have."""
    return not load_words("markup_words", "privileged").isdisjoint(re.findall(r"[^\W\d_]+", folded(name)))


def begins_like_a_role(text: str) -> bool:
    """Whether a text begins as if a role of a chat were speaking: "System: …"."""
    return bool(_role().match(folded(text[:80])))


def folded(text: str) -> str:
    """`text` as it looks: one case, one width, Latin letters for those that look so, nothing invisible."""
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKD", text).casefold().translate(_LATIN)
    return "".join(c for c in plain if unicodedata.category(c) not in {"Cf", "Mn", "Me"})


def _without_opener(match: re.Match[str]) -> str:
    following = folded(match.group(1))
    return "‹" if following.startswith("|") or _tag().match(following) else match.group()


def _without_bracket(match: re.Match[str]) -> str:
    return "⁅" if _turn().match(folded(match.group(1))) else match.group()


@cache
def _tag() -> re.Pattern[str]:
    return re.compile(_SKIPPED + _any("tags"))


@cache
def _turn() -> re.Pattern[str]:
    return re.compile(_SKIPPED + _any("brackets") + r"\b[^\]］\n]{0,20}[\]］]")


@cache
def _role() -> re.Pattern[str]:
    names = f"(?:{_any('privileged')}|{_any('roles')})"
    return re.compile(rf"[\W_]*{names}\b[^\n:]{{0,20}}:")


def _any(section: str) -> str:
    return f"(?:{'|'.join(map(re.escape, sorted(load_words('markup_words', section))))})"
