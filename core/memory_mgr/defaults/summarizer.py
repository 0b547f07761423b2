"""The summarizer that needs no model: it picks what answers questions later from what was said."""

from __future__ import annotations

from collections.abc import Sequence

from memory_mgr.policy.rendering import CUT
from memory_mgr.policy.summary import SummaryConfig, summarise
from memory_mgr.policy.summary_lines import Spoken, SummaryLine, parse_summary
from memory_mgr.protocols import TokenCounter
from memory_mgr.types import Message


class ExtractiveSummarizer:
    """Keeps the sentences that answer questions later, attributed and dated (see `policy.summary`).

    Args:
        counter: Counts the tokens of the budget.
        config: How sentences are picked.
    """

    def __init__(self, counter: TokenCounter, config: SummaryConfig | None = None) -> None:
        self._counter = counter
        self._config = config or SummaryConfig()

    def summarize(self, messages: Sequence[Message], *, max_tokens: int, previous: str = "") -> str:
        """What `previous` and `messages` say, in order of time, within `max_tokens`; "" only if they have no words.

        A message that is a summary itself counts as its lines.
        """
        summary = summarise(
            [_spoken(message, place) for place, message in enumerate(messages) if message.content.strip()],
            max_tokens=max_tokens,
            count=self._counter.count,
            config=self._config,
            previous=parse_summary(previous),
        )
        return summary.text or self._beginning(messages, max_tokens)

    def _beginning(self, messages: Sequence[Message], max_tokens: int) -> str:
        """Of a span in which nothing stands out, or whose every sentence is longer than the budget: how it begins."""
        text = " ".join(str(_line(message)) for message in messages if message.content.strip())
        if self._counter.count(text) <= max_tokens:
            return text
        low, high = 0, len(text)
        while low < high:
            middle = (low + high + 1) // 2
            fits = self._counter.count(text[:middle].rstrip() + CUT) <= max_tokens
            low, high = (middle, high) if fits else (low, middle - 1)
        return text[:low].rstrip() + CUT if low else ""


def _spoken(message: Message, place: int) -> Spoken:
    return Spoken(
        id=message.id or f"message:{place}",
        text=message.content,
        speaker=_speaker(message),
        role=message.role,
        timestamp=message.timestamp,
    )


def _line(message: Message) -> SummaryLine:
    return SummaryLine(text=message.content.strip(), speaker=_speaker(message))


def _speaker(message: Message) -> str | None:
    """Who said it; nobody says an earlier summary."""
    return message.name or (None if message.role == "system" else message.role)
