"""The summarizer that asks a model, and does without when the model is no use."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from importlib.resources import files

from memory_mgr.defaults.asking import Model
from memory_mgr.errors import ExtensionError
from memory_mgr.policy.importance_features import read
from memory_mgr.policy.lexicon import load_pattern
from memory_mgr.policy.rendering import day
from memory_mgr.protocols import Summarizer, TokenCounter
from memory_mgr.types import Message

log = logging.getLogger(__name__)
_LEAST_TOKENS = 64
"""Of the summary of one part; with less a model says nothing."""
_GROUNDED = 0.2
"""Least share of a summary's informative words that its source has; models that do their work reach .5 and more."""
_CHECKED_WORDS = 3
"""Fewer informative words are not judged."""


class ModelSummarizer:
    """Asks a model for every part of the span; if one answer is no use, the whole is summarised without it.

    An answer is of use if it fits the budget, is no refusal, and shares words with what it is about.

    Args:
        model: The model.
        fallback: Summarises when the model cannot.
        counter: Counts tokens.
        chunk_tokens: Tokens of the conversation in one question; >= 1.
    """

    def __init__(self, model: Model, fallback: Summarizer, counter: TokenCounter, *, chunk_tokens: int) -> None:
        self._model = model
        self._fallback = fallback
        self._counter = counter
        self._chunk_tokens = chunk_tokens
        self._prompt = files("memory_mgr.defaults").joinpath("prompts/summary.txt").read_text("utf-8")

    def summarize(self, messages: Sequence[Message], *, max_tokens: int, previous: str = "") -> str:
        """The model's summary, or the fallback's."""
        try:
            return self._asked([*([previous] if previous else []), *map(_line, messages)], max_tokens)
        except ExtensionError as error:
            log.warning("the model's summary cannot be used, an extractive one takes its place: %s", error)
            return self._fallback.summarize(messages, max_tokens=max_tokens, previous=previous)

    def _asked(self, lines: Sequence[str], max_tokens: int) -> str:
        """Each part gets its share of the budget; parts too many for that are summarised again together."""
        parts = list(self._parts(lines))
        if len(parts) == 1:
            return self._summary(parts[0], max_tokens)
        share = max(_LEAST_TOKENS, max_tokens // len(parts) - 1)
        told = [self._summary(part, share) for part in parts]
        whole = "\n".join(told)
        if self._counter.count(whole) <= max_tokens:
            return whole
        if self._counter.count(whole) >= sum(self._counter.count(part) for part in parts):
            raise ExtensionError("the model's summaries are no shorter than what they are of")
        return self._asked(told, max_tokens)

    def _parts(self, lines: Sequence[str]) -> Iterator[str]:
        """The lines in parts of at most `chunk_tokens`; a line that is longer is split."""
        part: list[str] = []
        tokens = 0
        for line in lines:
            for piece in self._pieces(line):
                size = self._counter.count(piece) + 1
                if part and tokens + size > self._chunk_tokens:
                    yield "\n".join(part)
                    part, tokens = [], 0
                part.append(piece)
                tokens += size
        if part:
            yield "\n".join(part)

    def _pieces(self, line: str) -> Iterator[str]:
        count = self._counter.count(line)
        if count < self._chunk_tokens or len(line) < 2:
            yield line
            return
        middle = len(line) // 2
        space = line.rfind(" ", 0, middle) + 1 or middle
        yield from self._pieces(line[:space])
        yield from self._pieces(line[space:])

    def _summary(self, said: str, max_tokens: int) -> str:
        prompt = self._prompt.format(messages=said, max_tokens=max_tokens)
        return self._model.ask(prompt, lambda answer: self._checked(answer, said, max_tokens), max_tokens=max_tokens)

    def _checked(self, answer: str, said: str, max_tokens: int) -> str:
        """The answer if it can stand for what was said.

        Raises:
            ValueError: It is too long, a refusal, or about something else.
        """
        tokens = self._counter.count(answer)
        if tokens > max_tokens:
            raise ValueError(f"it answered with {tokens} tokens, at most {max_tokens} were asked for")
        if load_pattern("model_words", "refusal").search(answer[:300]):
            raise ValueError(f"it refused: {answer!r:.80}")
        told = read(answer).all_terms()
        shared = told & (read(said).all_terms() | _names(said))
        if not told or (len(told) >= _CHECKED_WORDS and len(shared) < _GROUNDED * len(told)):
            raise ValueError(f"its answer shares too few words with the conversation: {answer!r:.80}")
        return answer


def _line(message: Message) -> str:
    """A message as the model reads it, dated; an earlier summary as it is."""
    if message.role == "system":
        return message.content
    when = f"[{day(message.timestamp)}] " if message.timestamp else ""
    return f"{when}{message.name or message.role}: {message.content}"


def _names(text: str) -> set[str]:
    """Speakers, which are no news when somebody talks, and are when a summary tells of them."""
    return {word.lower() for word in re.findall(r"[^\W\d_]+", text)}
