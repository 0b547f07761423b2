"""What stands around an entry in its conversation: the entries beside it, its speaker's run, its session.

An answer shares few words with the question asked of memory; the turn before it often shares many. So an
entry borrows from what stands around it, as far as that belongs together: not across sources or long pauses.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memory_mgr.policy.fusion import Floats

_RUN_REACH = 3
"""Messages looked at either way within one speaker's run."""

_SESSIONS = 16
"""So many sessions among the candidates make the session full evidence."""

Positions = NDArray[np.int64]
"""Where entries are in their pool; -1 is nobody."""
Flags = NDArray[np.bool_]


class Place(NamedTuple):
    """Where an entry stands.

    Attributes:
        id: Of the entry.
        stream: What neighbours share (source and tier); None stands alone.
        timestamp: When it was said, in epoch seconds.
        speaker: Who said it, None if unknown.
        previous_id: The entry before it in its stream.
        next_id: The entry after it.
    """

    id: str
    stream: Hashable | None
    timestamp: float
    speaker: str | None
    previous_id: str | None
    next_id: str | None


class Neighbourhood:
    """The links between the entries of one pool. Values are arrays with one number an entry.

    Args:
        places: The pool; links to entries outside it lead nowhere.
        gap: A pause longer than this separates, in seconds.
    """

    def __init__(self, places: Sequence[Place], gap: float) -> None:
        self._gap = gap
        self._streams = _numbered(place.stream for place in places)
        self._times = np.array([place.timestamp for place in places], np.float64)
        speakers = _numbered(place.speaker or None for place in places)
        self._speakers = np.append(speakers, -1)  # position -1 reads nobody
        self.alone = np.array([p.previous_id is None and p.next_id is None for p in places], bool)
        """Which entries belong to no conversation at all."""
        position = {place.id: i for i, place in enumerate(places)}
        self._previous = self._linked([position.get(p.previous_id or "", -1) for p in places])
        self._next = self._linked([position.get(p.next_id or "", -1) for p in places])
        self._sessions = self._session_of_each()

    def _linked(self, links: Sequence[int]) -> Positions:
        to = np.array(links, np.int64)
        together = (self._streams == self._streams[to]) & (np.abs(self._times - self._times[to]) <= self._gap)
        apart = (to < 0) | (to == np.arange(to.size)) | ~together
        return np.append(np.where(apart, -1, to), -1)

    def best_beside(self, values: Floats) -> Floats:
        """The better value of the entries right before and after; 0 where there is none."""
        lent = _lent(values)
        best: Floats = np.maximum(lent[self._previous], lent[self._next])[:-1]
        return best

    def best_of_utterance(self, values: Floats) -> Floats:
        """The best value among the other messages the same speaker sent in a row; 0 where there is none."""
        lent = _lent(values)
        best = np.zeros(lent.size)
        for links in (self._previous, self._next):
            for reached in self._run(links):
                best = np.maximum(best, lent[reached])
        return best[:-1]

    def question_before(self, values: Floats, asks: Flags) -> Floats:
        """The best value of the utterance before, where it ended in a question; else 0."""
        lent = _lent(values)
        first, said = np.append(np.arange(values.size), -1), lent
        for reached in self._run(self._previous):
            first = np.where(reached >= 0, reached, first)
            said = np.maximum(said, lent[reached])
        last = self._previous[first]
        asked = (last >= 0) & np.append(asks, False)[last]
        return np.where(asked, said[last], 0.0)[:-1]

    def _run(self, links: Positions) -> Iterable[Positions]:
        """Step by step along `links`, the positions reached while the speaker goes on; none if it is unknown."""
        at = links
        for _ in range(_RUN_REACH):
            at = np.where((self._speakers >= 0) & (self._speakers[at] == self._speakers), at, -1)
            yield at
            at = links[at]

    def session_scores(self, values: Floats, best: int) -> Floats:
        """The mean of the `best` best values of each entry's session; who stands alone is its own session.

        A session with fewer than `best` entries in the pool is judged as if the others had 0: one match is
        weaker evidence than three.
        """
        scores = np.maximum(values, 0.0)
        order = np.lexsort((-scores, self._sessions))
        grouped = self._sessions[order]
        place_in_session = np.arange(order.size) - np.searchsorted(grouped, grouped)
        leading = order[place_in_session < best]
        sums = np.bincount(self._sessions[leading], scores[leading], minlength=order.size)
        return np.where(self.alone, scores, sums[self._sessions] / best)

    def session_worth(self) -> float:
        """How much it tells to know the session, in [0, 1]: the logarithm of how many there are to pick from."""
        count = int(self._sessions.max(initial=0)) + 1
        return min(1.0, math.log2(count) / math.log2(_SESSIONS))

    def _session_of_each(self) -> Positions:
        """Numbers of sessions: the same stream without a long pause between the members of the pool."""
        order = np.lexsort((self._times, self._streams, self.alone))
        streams, times, alone = self._streams[order], self._times[order], self.alone[order]
        begins = alone[1:] | (np.diff(streams) != 0) | (np.diff(times) > self._gap)
        sessions = np.empty(order.size, np.int64)
        sessions[order] = np.concatenate(([0], np.cumsum(begins)))[: order.size]
        return sessions


def _lent(values: Floats) -> Floats:
    """What entries lend to others, with a 0 at position -1."""
    return np.append(np.maximum(values, 0.0), 0.0)


def _numbered(labels: Iterable[Hashable | None]) -> NDArray[np.int64]:
    """The same number for the same label, -1 for None."""
    numbers: dict[Hashable, int] = {}
    return np.array([-1 if label is None else numbers.setdefault(label, len(numbers)) for label in labels], np.int64)
