"""What a prompt is told from memory: the core's context of one question, counted, made safe, and remembered."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from llamaindex_memory_mgr.counting import MessageCounter
from llamaindex_memory_mgr.failures import OnError, goes_on
from llamaindex_memory_mgr.insertion import neutralised
from memory_mgr import SyncMemoryManager
from memory_mgr.types import Filters

_TRIES = 4
"""Times a smaller budget is asked for when the caller's tokenizer counts more than the memory's own."""


@dataclass(frozen=True)
class Question:
    """What is to be recalled.

    Attributes:
        text: The question; blank = nothing is recalled.
        sent: Ids of the messages of the conversation that are in the prompt anyway; None = all of its window.
        since: Id of the last user message; a new one makes a new question of the same text.
        tiers: The tiers to recall from, None = all but working.
        filters: What may be recalled.
    """

    text: str
    sent: Sequence[str] | None = None
    since: str | None = None
    tiers: Sequence[str] | None = None
    filters: Filters | None = field(default=None, hash=False)

    @property
    def key(self) -> str:
        """Equal for questions whose answer is the same until the user speaks again."""
        first = self.sent[:1] if self.sent is not None else None
        return json.dumps([self.text, first, self.since, self.tiers, self.filters], default=str, sort_keys=True)


class Recall:
    """Answers questions for one conversation; the last answer is kept. Thread-safe.

    Args:
        memory: Gives the open memory.
        counter: Counts what is sent.
        on_error: See `failures.goes_on`.
    """

    def __init__(self, memory: Callable[[], SyncMemoryManager], counter: MessageCounter, on_error: OnError) -> None:
        self._memory = memory
        self._counter = counter
        self._on_error = on_error
        self._lock = threading.Lock()
        self._last: tuple[str, str] | None = None

    def text(self, question: Question, conversation_id: str | None, budget: int) -> str:
        """The block of prompt text for a question, of at most `budget` tokens; "" if there is nothing to tell."""
        if not question.text.strip() or budget <= 0:
            return ""
        key = json.dumps([conversation_id, question.key])
        with self._lock:
            if self._last is not None and self._last[0] == key and self._counter.text(self._last[1]) <= budget:
                return self._last[1]
        try:
            text = self._asked(question, conversation_id, budget)
        except Exception as error:
            if not goes_on(error, self._on_error, "nothing can be recalled now; going on without"):
                raise
            return ""
        with self._lock:
            self._last = (key, text)
        return text

    def _asked(self, question: Question, conversation_id: str | None, budget: int) -> str:
        asked = budget
        for _ in range(_TRIES):
            text = neutralised(self._context(question, conversation_id, asked))
            tokens = self._counter.text(text)
            if tokens <= budget:
                return text
            asked = min(asked - 1, asked * budget // tokens)
        return ""

    def _context(self, question: Question, conversation_id: str | None, budget: int) -> str:
        sent: Collection[str] | None = None if question.sent is None else set(question.sent)
        options: dict[str, Any] = {"filters": question.filters, "memory_type": question.tiers}
        context = self._memory().build_context(
            question.text, budget, conversation_id, include_recent=False, sent=sent, **options
        )
        return context.text
