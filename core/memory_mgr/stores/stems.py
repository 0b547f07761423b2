"""What SQLite's tokenizer makes of words, so that frequencies can be asked for by the terms it indexed."""

from __future__ import annotations

import functools
import sqlite3
import threading
from collections.abc import Sequence

from memory_mgr.policy.lexical import FTS_TOKENIZER
from memory_mgr.policy.remembered import WORD_CHARACTERS, remembered


class _Stemmer:
    """A scratch word index in memory; one for the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        self._db.execute(f'CREATE VIRTUAL TABLE scratch USING fts5(word, tokenize = "{FTS_TOKENIZER}")')
        self._db.execute("CREATE VIRTUAL TABLE stems USING fts5vocab(scratch, instance)")

    def stem(self, word: str) -> str | None:
        with self._lock:
            self._db.execute("DELETE FROM scratch")
            self._db.execute("INSERT INTO scratch VALUES (?)", (word,))
            row = self._db.execute("SELECT term FROM stems LIMIT 1").fetchone()
            return None if row is None else str(row[0])


_stemmer = functools.cache(_Stemmer)


@remembered(8192, WORD_CHARACTERS)
def stem(word: str) -> str | None:
    """The first term that the tokenizer makes of `word`, None if it makes none."""
    return _stemmer().stem(word)


def stems(words: Sequence[str]) -> dict[str, str]:
    """The stems of those words that have one."""
    return {word: term for word in words if (term := stem(word)) is not None}
