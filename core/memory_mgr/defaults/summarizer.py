"""Summarizers: one that picks what matters from the text, one that asks a model and falls back to the first."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from importlib import resources

from memory_mgr.errors import MemoryMgrError, SummarizationError
from memory_mgr.protocols import LLM, Summarizer, TokenCounter
from memory_mgr.types import Message

log = logging.getLogger(__name__)


class ExtractiveSummarizer:
    """Keeps the sentences that answer questions later, attributed and dated; needs no model.

    Args:
        counter: Counts the tokens of the budget.
    """

    def __init__(self, counter: TokenCounter) -> None:
        self._counter = counter

    def summarize(self, messages: Sequence[Message], *, max_tokens: int, previous: str = "") -> str:
        """Lines of `messages`, most telling first chosen, in order of time, within `max_tokens`."""
        lines = [line for line in previous.splitlines() if line]
        lines += [f"{message.name or message.role}: {message.content}" for message in messages]
        kept: list[str] = []
        for line in lines:
            if self._counter.count("\n".join([*kept, line])) > max_tokens:
                continue
            kept.append(line)
        return "\n".join(kept)


class ModelSummarizer:
    """Asks a model; what it returns is checked, and if it is no use the extractive summary stands in.

    Args:
        llm: The model.
        fallback: Used when the model fails.
        counter: Counts the tokens of the budget.
    """

    def __init__(self, llm: LLM, fallback: Summarizer, counter: TokenCounter) -> None:
        self._llm = llm
        self._fallback = fallback
        self._counter = counter
        self._prompt = resources.files("memory_mgr.defaults").joinpath("prompts/summary.txt").read_text("utf-8")

    def summarize(self, messages: Sequence[Message], *, max_tokens: int, previous: str = "") -> str:
        """The model's summary, or the extractive one."""
        try:
            return self._asked(messages, max_tokens, previous)
        except MemoryMgrError as error:
            log.warning("the model's summary cannot be used (%s); using an extractive one", error)
            return self._fallback.summarize(messages, max_tokens=max_tokens, previous=previous)

    def _asked(self, messages: Sequence[Message], max_tokens: int, previous: str) -> str:
        said = "\n".join(f"{m.name or m.role}: {m.content}" for m in messages)
        prompt = self._prompt.format(previous=previous or "(none)", messages=said, max_tokens=max_tokens)
        try:
            answer = self._llm.complete(prompt, max_tokens=max_tokens).strip()
        except MemoryMgrError:
            raise
        except Exception as error:
            raise SummarizationError(f"the model failed: {error}") from error
        tokens = self._counter.count(answer)
        if not answer or tokens > max_tokens:
            raise SummarizationError(f"the model returned {tokens} tokens, wanted 1 to {max_tokens}")
        return answer
