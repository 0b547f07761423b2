"""Extractive summaries: what of a conversation answers questions later, within a budget of tokens.

A summary is worth what its words cover, each counted once: a monotone submodular function (Lin and Bilmes 2011, "A
Class of Submodular Functions for Document Summarization"), so that saying a thing twice is worth nothing. A word
weighs by how few pieces of the span have it and by whether it is a name, number or time, and a piece by the
importance of its message. Pieces are taken greedily by gain over tokens to the power of `cost_power` (ibid.).

Texts that say the same in other words are told by their vectors, if there are any (maximal marginal relevance,
Carbonell and Goldstein 1998).
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from pydantic import Field

from memory_mgr.policy.importance import ImportanceModel
from memory_mgr.policy.importance_features import WordFrequency
from memory_mgr.policy.settings import Settings
from memory_mgr.policy.summary_lines import Spoken, SummaryLine, again, same_day, spoken_of, summary_text
from memory_mgr.policy.summary_units import Unit, praise_terms, short_names, split_units

Count = Callable[[str], int]
_SLACK = 3
"""Tokens by which a piece may be shorter in place than counted alone: merges at its ends, a lost full stop."""


class SummaryConfig(Settings):
    """How the pieces of a summary are picked."""

    cost_power: float = Field(default=0.7, ge=0, le=2, description="0 = length does not matter, 1 = gain per token.")
    importance_power: float = Field(default=1.0, ge=0, le=4, description="0 = importance does not matter.")
    marked_weight: float = Field(default=1.5, ge=1, le=10, description="Weight of names, numbers and times; others 1.")
    praise_weight: float = Field(
        default=0.5, ge=0, le=1, description="Weight of words of praise and feeling; others 1."
    )
    question_weight: float = Field(default=0.3, ge=0, le=1, description="Weight of questions; statements 1.")
    duplicate_cosine: float = Field(
        default=0.95, ge=0, le=1, description="Messages whose vectors are at least this close say the same."
    )


@dataclass(frozen=True, slots=True)
class Summary:
    """The result.

    Attributes:
        lines: In the order of the messages.
        text: The lines, each day's under its date; "" if nothing fits.
        tokens: Exactly those of `text`.
        reasons: Why each message is in or out, by id.
    """

    lines: tuple[SummaryLine, ...]
    text: str
    tokens: int
    reasons: dict[str, str] = field(default_factory=dict)

    @property
    def sources(self) -> tuple[str, ...]:
        """Ids of the messages that lines were taken from, each once."""
        return tuple(dict.fromkeys(source for line in self.lines for source in line.sources))


def summarise(
    messages: Sequence[Spoken],
    *,
    max_tokens: int,
    count: Count,
    config: SummaryConfig | None = None,
    previous: Sequence[SummaryLine] = (),
    frequency: WordFrequency | None = None,
) -> Summary:
    """A summary of `previous` and `messages` together.

    Summaries are rolled up by giving their lines as `previous`, or the summaries themselves as `messages`: a text
    that begins with a date in brackets is taken apart into its lines.

    Args:
        messages: The span, in order of time; ids are unique.
        max_tokens: Of the text, exactly; >= 0.
        count: Counts tokens.
        config: Default settings if None.
        previous: Lines of the summary that this one continues; they compete with what is new.
        frequency: How often words were seen before in the namespace, for the importance of messages without one.
    """
    earlier = [again(line, f"previous:{n}") for n, line in enumerate(previous)]
    spoken = [*earlier, *(part for message in messages for part in spoken_of(message))]
    settings = config or SummaryConfig()
    picked = _Picking(_candidates(spoken, settings, count, frequency), spoken, settings, max_tokens, count)
    picked.run()
    return picked.summary()


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A piece: of which message, how many tokens alone, and what its words are multiplied by."""

    message: int
    unit: Unit
    tokens: int
    weight: float


def _candidates(
    spoken: Sequence[Spoken], config: SummaryConfig, count: Count, frequency: WordFrequency | None
) -> list[_Candidate]:
    names = short_names(said.speaker for said in spoken)
    found = []
    for index, said in enumerate(spoken):
        units = split_units(said.text, names)
        weight = _importance(spoken, index, frequency) ** config.importance_power if units else 0.0
        for unit in units:
            asks = config.question_weight if unit.asks else 1.0
            found.append(_Candidate(index, unit, max(1, count(" " + unit.text)), weight * asks))
    return found


def _importance(spoken: Sequence[Spoken], index: int, frequency: WordFrequency | None) -> float:
    said = spoken[index]
    if said.importance is not None:
        return said.importance
    before = spoken[index - 1] if index else None
    after = spoken[index + 1] if index + 1 < len(spoken) else None
    return ImportanceModel().score(
        said.text,
        role=said.role,
        speaker=said.speaker,
        previous=before.text if before else None,
        previous_speaker=before.speaker if before else None,
        following=after.text if after else None,
        frequency=frequency,
    )


def _term_weights(candidates: Sequence[_Candidate], config: SummaryConfig) -> dict[str, float]:
    """What each word is worth: log(1 + pieces / pieces that have it), times the weight of its kind."""
    spread = Counter(term for candidate in candidates for term in candidate.unit.terms)
    marked = {term for candidate in candidates for term in candidate.unit.marked}
    return {
        term: math.log(1 + len(candidates) / having)
        * (config.marked_weight if term in marked else config.praise_weight if term in praise_terms() else 1.0)
        for term, having in spread.items()
    }


class _Picking:
    """Greedy choice of pieces."""

    def __init__(
        self,
        candidates: Sequence[_Candidate],
        spoken: Sequence[Spoken],
        config: SummaryConfig,
        max_tokens: int,
        count: Count,
    ) -> None:
        self._candidates = candidates
        self._spoken = spoken
        self._config = config
        self._limit = max_tokens
        self._count = count
        self._weights = _term_weights(candidates, config)
        self._covered: set[str] = set()
        self._taken: dict[int, list[Unit]] = {}
        self._tokens = 0
        self._reasons: dict[int, str] = {}

    def run(self) -> None:
        """Take the piece that gains most until nothing is gained or nothing fits.

        Gains only fall as words are covered, so a piece whose gain is still the highest when it is looked at again
        is the best (lazy evaluation, Minoux 1978).
        """
        heap = [(-self._gain(candidate), place) for place, candidate in enumerate(self._candidates)]
        heapq.heapify(heap)
        while heap:
            _, place = heapq.heappop(heap)
            candidate = self._candidates[place]
            gain = self._gain(candidate)
            if gain <= 0:
                self._reasons.setdefault(candidate.message, "out: says nothing new")
            elif heap and gain < -heap[0][0]:
                heapq.heappush(heap, (-gain, place))
            elif (twin := self._twin(candidate.message)) is not None:
                self._reasons.setdefault(candidate.message, f"out: says the same as {self._spoken[twin].id}")
            elif not self._take(candidate):
                self._reasons.setdefault(candidate.message, f"out: no room for {candidate.tokens} tokens")

    def _gain(self, candidate: _Candidate) -> float:
        new = sum(self._weights[term] for term in candidate.unit.terms - self._covered)
        return float(candidate.weight * new / candidate.tokens**self._config.cost_power)

    def _twin(self, message: int) -> int | None:
        """A message that was taken from already and whose vector is as good as the same."""
        vector = self._spoken[message].vector
        if vector is None or message in self._taken:
            return None
        for other in self._taken:
            known = self._spoken[other].vector
            if known is not None and float(vector @ known) >= self._config.duplicate_cosine:
                return other
        return None

    def _take(self, candidate: _Candidate) -> bool:
        if self._tokens + candidate.tokens > self._limit + _SLACK:
            return False
        units = self._taken.setdefault(candidate.message, [])
        units.append(candidate.unit)
        tokens = self._count(summary_text(self._lines()))
        if tokens <= self._limit:
            self._tokens = tokens
            self._covered |= candidate.unit.terms
            return True
        units.pop()
        if not units:
            del self._taken[candidate.message]
        return False

    def _lines(self) -> list[SummaryLine]:
        """What was taken, in order; what one speaker says in a row on one day is one line."""
        lines: list[SummaryLine] = []
        for index in sorted(self._taken):
            said = self._spoken[index]
            speaker = " ".join(said.speaker.split()) if said.speaker else None
            line = SummaryLine(
                text=_joined(sorted(self._taken[index], key=lambda unit: unit.place)),
                speaker=speaker,
                timestamp=said.timestamp,
                sources=said.sources or (said.id,),
                importance=said.importance,
            )
            if lines and lines[-1].speaker == speaker and same_day(lines[-1].timestamp, said.timestamp):
                lines[-1] = _merged(lines[-1], line)
            else:
                lines.append(line)
        return lines

    def summary(self) -> Summary:
        lines = tuple(self._lines())
        text = summary_text(lines)
        taken = {i: f"in: {len(units)} of {self._pieces(i)} pieces" for i, units in self._taken.items()}
        reasons = {
            said.id: taken.get(i) or self._reasons.get(i, "out: nothing in it") for i, said in enumerate(self._spoken)
        }
        return Summary(lines, text, self._tokens, reasons)

    def _pieces(self, message: int) -> int:
        return sum(candidate.message == message for candidate in self._candidates)


def _joined(units: Sequence[Unit]) -> str:
    """Pieces of one message as one text: as they were said where they stood side by side."""
    text = units[0].text
    for before, unit in pairwise(units):
        side_by_side = unit.following and unit.place == before.place + 1
        text = text + unit.following if side_by_side else _sentence(text) + " " + unit.text
    return text


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?", "!", "…", "]", "。", "？", "！")) else text + "."


def _merged(first: SummaryLine, second: SummaryLine) -> SummaryLine:
    known = [line.importance for line in (first, second) if line.importance is not None]
    return replace(
        first,
        text=f"{_sentence(first.text)} {second.text}",
        sources=tuple(dict.fromkeys((*first.sources, *second.sources))),
        importance=max(known, default=None),
    )
