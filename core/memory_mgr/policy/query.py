"""What a query asks, found without a model: the question, its words, the time it names, what it wants."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from memory_mgr.policy.lexical import query_terms
from memory_mgr.policy.lexicon import load_pattern
from memory_mgr.policy.recall_config import RecallConfig
from memory_mgr.policy.time_expressions import TimeHint, time_hints

_LONG_QUERY_WORDS = 60
"""A query longer than this is taken to carry more than a question."""

_FOCUS_WORDS = 40
"""What is kept of such a query without a question mark: its last words."""

_SENTENCE = re.compile(r"[^.!?。！？؟\n]+[.!?。！？؟]*")
_QUESTION_END = ("?", "？", "؟")
_LABEL = re.compile(r"^\s*(?:user|human|question|query|q)\s*:\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Query:
    """A query, understood as far as its words go.

    Attributes:
        text: The question, without what was put around it; to be embedded.
        terms: Words to look up, distinct, in order, unstemmed.
        asks_when: It wants a time.
        asks_number: It wants an amount.
        times: The times it names.
    """

    text: str
    terms: tuple[str, ...]
    asks_when: bool = False
    asks_number: bool = False
    times: tuple[TimeHint, ...] = ()


def analyse(text: str, *, now: datetime | None = None, config: RecallConfig | None = None) -> Query:
    """Understand `text`.

    Args:
        text: A question, keywords, or either behind a long prompt.
        now: What "yesterday" or "last week" refers to; None leaves them unresolved.
        config: Whether to look for the question in a long text; default settings if None.
    """
    question = focus(text) if (config or RecallConfig()).focus_query else text.strip()
    return Query(
        text=question,
        terms=query_terms(question),
        asks_when=bool(load_pattern("recall_words", "asks_when").search(question)),
        asks_number=bool(load_pattern("recall_words", "asks_number").search(question)),
        times=time_hints(question, now),
    )


def focus(text: str) -> str:
    """The question within `text`.

    A system prompt in front of a question drowns it, in the embedding and in the words: R@10 89.8 -> 1.0 was
    measured elsewhere (MemPalace). Short texts are returned as they are; of a long one the sentence
    that asks, near its end or else at its start, else its last line.
    """
    stripped = text.strip()
    if len(stripped.split()) <= _LONG_QUERY_WORDS and len(stripped) <= 8 * _LONG_QUERY_WORDS:
        return stripped
    sentences = [s.strip() for s in _SENTENCE.findall(stripped) if s.strip()]
    question = (
        _asking_line(stripped) or _asking(reversed(sentences[-4:])) or _asking(sentences[:2]) or _last_line(stripped)
    )
    return _LABEL.sub("", question) or stripped


def _asking_line(text: str) -> str:
    """The last line if it is short and asks; whole, for a full stop in a name does not end a sentence."""
    line = text.splitlines()[-1].strip()
    return line if line.endswith(_QUESTION_END) and len(line.split()) <= _LONG_QUERY_WORDS else ""


def _asking(sentences: Iterable[str]) -> str:
    """The first of `sentences` that asks, shortened to its end if it is very long."""
    for sentence in sentences:
        if sentence.endswith(_QUESTION_END):
            return " ".join(sentence.split()[-_LONG_QUERY_WORDS:])
    return ""


def _last_line(text: str) -> str:
    line = text.splitlines()[-1].strip()
    sentences = [s.strip() for s in _SENTENCE.findall(line) if s.strip()]
    last = sentences[-1] if sentences else line
    tail = last.split()
    return " ".join(tail[-_FOCUS_WORDS:])[-8 * _FOCUS_WORDS :]
