"""Whether a text wants to give a model orders.

A heuristic: kinds of words that meet in a sentence (see `policy.orders`), and patterns of `data/suspicion_patterns.txt`
around whatever is out of the common, both over text folded so that look-alike letters, invisible
characters, spaced-out letters, digits for letters, reversed runs and base64 do not hide words. It catches what is
written plainly, not what is meant; whoever words an attack as a plain statement passes. So it marks, and the fence
around all recalled text (see `policy.rendering`) is what does not depend on it. How much it catches, and how often it
is wrong about ordinary talk, is measured by `benchmarks/poisoning.py`.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from collections.abc import Iterator

from pydantic import Field

from memory_mgr.policy import orders
from memory_mgr.policy.escaping import folded
from memory_mgr.policy.lexicon import load_pattern, may_occur, pattern_sections
from memory_mgr.policy.settings import Settings
from memory_mgr.trust import SuspicionPolicy

HIDDEN = "hidden"
_FILE = "suspicion_patterns"
_CHARACTERS = 50_000
"""Of the beginning and of the end of a longer text."""
_MARKUP = re.compile(
    r"[<>{}|`]|\[ ?/?(?:inst|sys)|##|\*\*|--|==|://|@|\w\(|/etc/|\.ssh|\.env"
    "|[^\x00-\x7f\u2000-\u2bff\U0001f000-\U0001faff]+"
)
"""Besides words: what frames a text for a machine, and letters that English has not."""
_MARKUP_HINTS = (*"<>{}|`[(@", "##", "**", "--", "==", "://", "/etc/", ".ssh", ".env")
"""Of which every match of it in an ASCII text holds one."""
_AROUND = 200
"""Characters before and after what is out of the common that the patterns see."""
_LETTER_BY_LETTER = re.compile(r"[ ._\-*][^\W_][ ._\-*][^\W_][ ._\-*]")
"""What every match of `_SPACED` holds, found in less time."""
_SPACED = re.compile(r"\b(?:[^\W_][ ._\-*]){3,}[^\W_]\b")
_ENCODED = re.compile(r"[A-Za-z0-9+/]{24,}={0,2}")
_BLANK = re.compile(r"[^\S\n ][^\S\n]*| [^\S\n]+|(?<=\w)[-_*](?=\w)")
"""What becomes one space; a lone space is left as it is."""
_LEET = str.maketrans("013457@$", "oieastas")
_DIGIT = re.compile(r"[0-9@$]")
_WORDS_WITH_DIGITS = re.compile(r"\b(?=[a-z]*[0-9@$])[a-z0-9@$]{4,}\b")
_TAGS = re.compile("[\U000e0020-\U000e007e]+")
_REVERSED = re.compile("\u202e([^\u202c\n]+)")


class SuspicionConfig(Settings):
    """What becomes of text that seems to give a model orders."""

    policy: SuspicionPolicy = Field(
        default="flag",
        description='"flag" notes it with the entry; "quarantine" also keeps it out of search and context; "drop" '
        'refuses it, but for messages, which are kept as under "quarantine"; "off" does not look.',
    )

    @property
    def hides(self) -> bool:
        """What is flagged is not recalled."""
        return self.policy in {"quarantine", "drop"}


def suspicions(text: str) -> tuple[str, ...]:
    """What a text seems to be after, by the names of the sections of the patterns, sorted; () for ordinary text."""
    if len(text) > 2 * _CHARACTERS:
        text = f"{text[:_CHARACTERS]}\n{text[-_CHARACTERS:]}"
    found = {sign for view in _views(text) for sign in _signs(view)}
    if not text.isascii() and (_TAGS.search(text) or _REVERSED.search(text)):
        found.add(HIDDEN)
    return tuple(sorted(found))


def _signs(view: str) -> set[str]:
    """What one reading of a text is a sign of; the patterns, which cost much, see it only if it may have something."""
    found: set[str] = set()
    spans = _markup(view)
    if not spans and orders.is_harmless(view):
        return found
    start = 0
    for end, kinds in orders.sentences(view):
        found |= orders.signs(kinds)
        if not orders.is_plain(kinds):
            spans.append((start, end))
        start = end
    merged = _merged(spans)
    for name in _worth_looking(view):
        pattern = load_pattern(_FILE, name, lowered=True)
        if name not in found and any(pattern.search(view, start, end) for start, end in merged):
            found.add(name)
    return found


def _worth_looking(view: str) -> Iterator[str]:
    """The sections of patterns that may be in a text; hints are of ASCII texts."""
    return (name for name in pattern_sections(_FILE) if not view.isascii() or may_occur(_FILE, name, view))


def _markup(view: str) -> list[tuple[int, int]]:
    """Where a text has what is out of the common besides words."""
    if view.isascii() and not any(map(view.__contains__, _MARKUP_HINTS)):
        return []
    return [match.span() for match in _MARKUP.finditer(view)]


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans with what is around them, those that meet as one."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start - _AROUND <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end + _AROUND))
        else:
            merged.append((max(0, start - _AROUND), end + _AROUND))
    return merged


def _views(text: str) -> list[str]:
    """The text as it can be read: as it looks, with letters for digits, backwards, decoded."""
    read = _read(text)
    views = [_with_single_blanks(read)]
    if not text.isascii():
        # As it is written: scripts that are not Latin lose letters when they are read as if they were.
        views.append(unicodedata.normalize("NFKC", text).casefold())
    joined = views[0]
    if _LETTER_BY_LETTER.search(joined):
        # Words may be told apart by wider blanks, so they are joined before those become single ones.
        joined = _with_single_blanks(_SPACED.sub(lambda run: re.sub(r"[ ._\-*]", "", run.group()), read))
    respelt = joined
    if _DIGIT.search(joined):
        respelt = _WORDS_WITH_DIGITS.sub(lambda word: word.group().translate(_LEET), joined)
    views += [view for view in dict.fromkeys((joined, respelt)) if view != views[0]]
    views += [_plain(run[::-1]) for run in _REVERSED.findall(text)]
    views += [_plain(decoded) for run in _ENCODED.findall(text) if (decoded := _decoded(run))]
    return views


def _plain(text: str) -> str:
    return _with_single_blanks(_read(text))


def _read(text: str) -> str:
    return folded(text).replace("\r", "\n").replace("\u2028", "\n").replace("’", "'")


def _with_single_blanks(text: str) -> str:
    return _BLANK.sub(" ", text).strip()


def _decoded(run: str) -> str:
    """What a run of base64 says, if that is text."""
    try:
        said = base64.b64decode(run + "=" * (-len(run) % 4), validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return said if said.isprintable() else ""
