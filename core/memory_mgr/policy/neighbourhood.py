"""What stands around an entry in its conversation: the entries beside it, its speaker's run, its session.

An answer shares few words with the question asked of memory; the turn before it often shares many. So an
entry borrows from what stands around it, as far as that belongs together: not across sources or long pauses.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from memory_mgr.policy.candidates import Candidates, Flags, Positions
from memory_mgr.policy.fusion import Floats

_RUN_REACH = 3
"""Messages looked at either way within one speaker's run."""

_SESSIONS = 16
"""So many sessions among the candidates make the session full evidence."""


class Neighbourhood:
    """The links between candidates. Values are arrays with one number an entry.

    Args:
        candidates: Whose links; those of a stream or session apart lead nowhere.
        gap: A pause longer than this separates, in seconds.
    """

    def __init__(self, candidates: Candidates, gap: float) -> None:
        self._gap = gap
        self._streams, self._times = candidates.streams, candidates.times
        self._speakers = np.append(candidates.speakers, -1)  # position -1 reads nobody
        self._alone = candidates.alone
        self._previous = self._linked(candidates.previous)
        self._next = self._linked(candidates.following)
        self._sessions = self._session_of_each()

    def _linked(self, to: Positions) -> Positions:
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

        A session with fewer than `best` entries here is judged as if the others had 0: one match is
        weaker evidence than three.
        """
        scores = np.maximum(values, 0.0)
        order = np.lexsort((-scores, self._sessions))
        grouped = self._sessions[order]
        place_in_session = np.arange(order.size) - np.searchsorted(grouped, grouped)
        leading = order[place_in_session < best]
        sums = np.bincount(self._sessions[leading], scores[leading], minlength=order.size)
        return np.where(self._alone, scores, sums[self._sessions] / best)

    def session_worth(self) -> float:
        """How much it tells to know the session, in [0, 1]: the logarithm of how many there are to pick from."""
        count = int(self._sessions.max(initial=0)) + 1
        return min(1.0, math.log2(count) / math.log2(_SESSIONS))

    def _session_of_each(self) -> Positions:
        """Numbers of sessions: the same stream without a long pause between the candidates."""
        order = np.lexsort((self._times, self._streams, self._alone))
        streams, times, alone = self._streams[order], self._times[order], self._alone[order]
        begins = alone[1:] | (np.diff(streams) != 0) | (np.diff(times) > self._gap)
        sessions = np.empty(order.size, np.int64)
        sessions[order] = np.concatenate(([0], np.cumsum(begins)))[: order.size]
        return sessions


def _lent(values: Floats) -> Floats:
    """What entries lend to others, with a 0 at position -1."""
    return np.append(np.maximum(values, 0.0), 0.0)
