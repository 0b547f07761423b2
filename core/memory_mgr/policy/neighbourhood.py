"""What stands around an entry in its conversation: the entries beside it, its speaker's run, its session.

An answer shares few words with the question asked of memory; the turn before it often shares many. So an
entry borrows from what stands around it, as far as that belongs together: not across sources or long pauses.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from memory_mgr.policy.fusion import Floats

_RUN_REACH = 3
"""Messages looked at either way within one speaker's run."""

_SESSIONS = 16
"""So many sessions among the candidates make the session full evidence."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry stands.

    Attributes:
        id: Of the entry.
        stream: What neighbours share (source and tier); None stands alone.
        timestamp: When it was said.
        speaker: Who said it, None if unknown.
        previous_id: The entry before it in its stream.
        next_id: The entry after it.
    """

    id: str
    stream: tuple[str, ...] | None
    timestamp: datetime
    speaker: str | None
    previous_id: str | None
    next_id: str | None


class Neighbourhood:
    """The links between the entries of one pool, by position in it; -1 is nobody.

    Args:
        places: The pool; links to entries outside it lead nowhere.
        gap: A pause longer than this separates.
    """

    def __init__(self, places: Sequence[Place], gap: timedelta) -> None:
        self._places = places
        self._gap = gap
        position = {place.id: i for i, place in enumerate(places)}
        self._previous = [self._link(i, position.get(p.previous_id or "", -1)) for i, p in enumerate(places)]
        self._next = [self._link(i, position.get(p.next_id or "", -1)) for i, p in enumerate(places)]

    def _link(self, i: int, j: int) -> int:
        if j < 0 or j == i:
            return -1
        a, b = self._places[i], self._places[j]
        together = a.stream == b.stream and abs(a.timestamp - b.timestamp) <= self._gap
        return j if together else -1

    def alone(self) -> list[bool]:
        """Which entries belong to no conversation at all."""
        return [p.previous_id is None and p.next_id is None for p in self._places]

    def best_beside(self, values: Floats) -> Floats:
        """The better value of the entries right before and after; 0 where there is none."""
        padded = np.append(np.maximum(values, 0.0), 0.0)  # position -1 reads the 0
        best: Floats = np.maximum(padded[self._previous], padded[self._next])
        return best

    def best_of_utterance(self, values: Floats) -> Floats:
        """The best value among the other messages the same speaker sent in a row; 0 where there is none."""
        best = [
            max(
                (values[j] for links in (self._previous, self._next) for j in self._run(i, links)),
                default=0.0,
            )
            for i in range(len(self._places))
        ]
        return np.maximum(np.array(best, dtype=np.float64), 0.0)

    def question_before(self, values: Floats, asks: Sequence[bool]) -> Floats:
        """The best value of the utterance before, where it ended in a question; else 0."""
        found = np.zeros(len(self._places))
        for i in range(len(self._places)):
            run = self._run(i, self._previous)
            last = self._previous[run[-1] if run else i]
            if last >= 0 and asks[last]:
                asked = [last, *self._run(last, self._previous)]
                found[i] = max(values[j] for j in asked)
        return np.maximum(found, 0.0)

    def _run(self, start: int, links: Sequence[int]) -> list[int]:
        """Positions from `start` along `links` while its speaker goes on; empty if the speaker is unknown."""
        speaker = self._places[start].speaker
        found: list[int] = []
        at = links[start]
        while speaker and at >= 0 and len(found) < _RUN_REACH and self._places[at].speaker == speaker:
            found.append(at)
            at = links[at]
        return found

    def session_scores(self, values: Floats, best: int) -> Floats:
        """The mean of the `best` best values of each entry's session; who stands alone is its own session.

        A session with fewer than `best` entries in the pool is judged as if the others had 0: one match is
        weaker evidence than three.
        """
        scores = np.maximum(values, 0.0)
        alone = self.alone()
        result = np.array(scores)
        for members in self._sessions(alone):
            top = np.sort(scores[members])[::-1][:best]
            result[members] = top.sum() / best
        return result

    def session_worth(self) -> float:
        """How much it tells to know the session, in [0, 1]: the logarithm of how many there are to pick from."""
        alone = self.alone()
        count = len(self._sessions(alone)) + sum(alone)
        return min(1.0, math.log2(max(1, count)) / math.log2(_SESSIONS))

    def _sessions(self, alone: Sequence[bool]) -> list[list[int]]:
        """Positions by session: the same stream without a long pause between the members of the pool."""
        order = sorted(
            (i for i, by_itself in enumerate(alone) if not by_itself),
            key=lambda i: (self._places[i].stream or (), self._places[i].timestamp),
        )
        sessions: list[list[int]] = []
        for i in order:
            if sessions and self._same_session(sessions[-1][-1], i):
                sessions[-1].append(i)
            else:
                sessions.append([i])
        return sessions

    def _same_session(self, i: int, j: int) -> bool:
        a, b = self._places[i], self._places[j]
        return a.stream == b.stream and abs(b.timestamp - a.timestamp) <= self._gap
