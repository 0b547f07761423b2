"""Orders to a model, by what kinds of words meet in a sentence.

What a text is after shows in few kinds of words, whatever the phrase: one of dropping, one of rules and one for the
model is a try to override. `data/suspicion_words.txt` has the words of each kind, `data/suspicion_rules.txt` which
kinds together are a sign. A word is looked up once and remembered, so that ordinary talk costs little.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, lru_cache

from memory_mgr.policy.lexicon import load_pattern, load_sections

ORDER = "order"
"""The kind of a clause that begins with a verb or says what must be."""
_WORDS, _RULES = "suspicion_words", "suspicion_rules"
_COMMON = "-"
_ALTERNATIVE = re.compile(r"\|(?![^(]*\))")
"""Between the words of a line, but not inside parentheses."""
_FIXED_LETTER = re.compile(r"\w(?![?*|])")
"""Of a word that always begins with this letter."""
_WORD = re.compile(r"[^\W_]+(?:['.][^\W_]+)*")
_PIECE = re.compile(rf"https?://\S+|[^\s@]{{1,64}}@\S+|{_WORD.pattern}|[.!?,;:\n]")
_SOFT = frozenset({"please", "now", "then", "and", "also", "just", "kindly", "so", "ok", "do", "simply", "immediately"})
_MUST = frozenset({"must", "should", "shall"})
_FIRST = frozenset({"always", "never", "please", "kindly", "don't", "ensure"})
_VERBS = frozenset({"drop", "play", "send", "tell", "act", "answer", "remember", "conceal", "use"})
_LONGEST = 60
"""Pieces of a sentence; a longer one is taken as several."""
_LETTERS = 60
"""Of a word, so that no whole address or key is remembered."""
_NONE: frozenset[str] = frozenset()
"""Of most words; one for all of them."""


def sentences(text: str) -> Iterator[tuple[int, frozenset[str]]]:
    """Where each sentence of a folded text ends, and the kinds of its words."""
    kinds: set[str] = set()
    starts, length = True, 0
    for match in _PIECE.finditer(text):
        piece = match.group()
        length += 1
        if piece in ".!?\n" or length > _LONGEST:
            yield match.end(), frozenset(kinds)
            kinds, starts, length = set(), True, 0
        elif piece in ",;:":
            starts = True
        else:
            found = _kinds(piece[:_LETTERS])
            kinds |= found
            if piece in _MUST or (starts and (piece in _FIRST or found & _VERBS)):
                kinds.add(ORDER)
            starts = starts and piece in _SOFT
    yield len(text), frozenset(kinds)


def is_harmless(text: str) -> bool:
    """No sentence of a folded text can be a sign, for not even all its words together are; most texts are told here."""
    if "@" in text or "://" in text:
        return False
    kinds = frozenset({ORDER}).union(*map(_kinds, {word[:_LETTERS] for word in _WORD.findall(text)}))
    return is_plain(kinds) and not signs(kinds)


def is_plain(kinds: frozenset[str]) -> bool:
    """A sentence has no kind of word but common ones, so that it cannot be an order."""
    return kinds <= _common()


@lru_cache(maxsize=4096)
def signs(kinds: frozenset[str]) -> frozenset[str]:
    """What the kinds of words of one sentence are a sign of."""
    return frozenset(section for section, needed in _rules() if needed <= kinds)


@cache
def _common() -> frozenset[str]:
    return frozenset(name[1:] for name in load_sections(_WORDS) if name.startswith(_COMMON)) | {ORDER}


@cache
def _rules() -> tuple[tuple[str, frozenset[str]], ...]:
    return tuple(
        (section, frozenset(line.split())) for section, lines in load_sections(_RULES).items() for line in lines
    )


@cache
def _of_any_kind() -> dict[str, re.Pattern[str]]:
    """What words of any kind look like, by their first letter, "" for all other letters.

    What most words are not is told at once, without asking for each kind.
    """
    by_letter: dict[str, list[str]] = {"": []}
    for line in (line for section in load_sections(_WORDS).values() for line in section):
        for word in _ALTERNATIVE.split(line):
            by_letter.setdefault(word[0] if _FIXED_LETTER.match(word) else "", []).append(word)
    anywhere = by_letter[""]
    return {letter: re.compile("|".join(dict.fromkeys(words + anywhere))) for letter, words in by_letter.items()}


@lru_cache(maxsize=8192)
def _kinds(word: str) -> frozenset[str]:
    bare = word.removesuffix("'s")
    known = _of_any_kind()
    if not known.get(bare[:1], known[""]).fullmatch(bare):
        return _NONE
    return frozenset(
        name.removeprefix(_COMMON)
        for name in load_sections(_WORDS)
        if load_pattern(_WORDS, name, lowered=True).fullmatch(bare)
    )
