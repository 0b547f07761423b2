"""What an entry borrows from those around it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_mgr.policy.candidates import Candidates, Item
from memory_mgr.policy.neighbourhood import Neighbourhood
from memory_mgr.policy.query import analyse

NOW = 1_709_294_400.0
HOUR = 3600.0


def place(
    name: str, stream: str | None, said: float, speaker: str | None, previous: str | None, following: str | None
) -> Item:
    """An entry that stands somewhere."""
    return Item(name, "", said, source=stream, speaker=speaker, previous_id=previous, next_id=following)


def chain(speakers: str, *, hours: float = 0.01, stream: str = "chat") -> list[Item]:
    """A conversation: one entry a letter, which is its speaker."""
    count = len(speakers)
    return [
        place(
            f"{stream}{i}", stream, NOW + i * hours * HOUR, speaker,
            f"{stream}{i - 1}" if i else None, f"{stream}{i + 1}" if i < count - 1 else None,
        )
        for i, speaker in enumerate(speakers)
    ]  # fmt: skip


def around(places: list[Item]) -> Neighbourhood:
    """With six hours as the longest pause."""
    return Neighbourhood(Candidates.of(places, analyse("anything")), 6 * HOUR)


def test_best_beside() -> None:
    """The better of the two direct neighbours counts."""
    best = around(chain("ABAB")).best_beside(np.array([0.1, 0.2, 0.9, 0.3]))
    assert best.tolist() == [0.2, 0.9, 0.3, 0.9]


def test_nothing_crosses_a_pause_or_a_stream() -> None:
    """Entries apart by a long pause, or in another stream, lend each other nothing."""
    apart = around(chain("AB", hours=10))
    assert apart.best_beside(np.array([1.0, 1.0])).tolist() == [0, 0]
    crossed = [place("a", "x", NOW, "A", None, "b"), place("b", "y", NOW, "A", "a", None)]
    assert around(crossed).best_beside(np.array([1.0, 1.0])).tolist() == [0, 0]


def test_utterance_is_one_speakers_run() -> None:
    """Messages sent in a row by one person share their best match; another's message ends the run."""
    best = around(chain("AAABA")).best_of_utterance(np.array([0.1, 0.0, 0.8, 1.0, 0.5]))
    assert best.tolist() == pytest.approx([0.8, 0.8, 0.1, 0, 0])


def test_answers_follow_questions() -> None:
    """An answer gets the match of the question before it, also from a run of messages to a run of messages."""
    places = chain("AABB")
    values, asks = np.array([0.7, 0.2, 0.0, 0.0]), np.array([False, True, False, False])
    assert around(places).question_before(values, asks).tolist() == [0, 0, 0.7, 0.7]
    assert around(places).question_before(values, np.zeros(4, bool)).tolist() == [0, 0, 0, 0]


def test_sessions() -> None:
    """A session is judged by the mean of its best; a pause starts another, missing entries count as nothing."""
    places = [*chain("ABAB"), *chain("AB", hours=10, stream="slow")]
    scores = around(places).session_scores(np.array([0.9, 0.6, 0.3, 0.1, 0.9, 0.3]), 3)
    assert scores.tolist() == pytest.approx([0.6] * 4 + [0.3, 0.1])


def test_who_stands_alone_is_its_own_session() -> None:
    """A fact outside any conversation is not put back for having no neighbours."""
    fact = place("fact", None, NOW, None, None, None)
    assert around([fact, *chain("AB")]).session_scores(np.array([0.8, 0.8, 0.8]), 3)[0] == 0.8


@given(
    st.lists(st.sampled_from(["A", "B", None]), max_size=12),
    st.data(),
)
def test_always_finite_and_within_the_given_values(speakers: list[str | None], data: st.DataObject) -> None:
    """Whatever the links, broken or circular, everything borrowed lies between 0 and the best value."""
    count = len(speakers)
    link = st.one_of(st.none(), st.integers(0, count + 1).map(str))
    places = [
        place(str(i), data.draw(st.sampled_from([None, "s", "t"])), NOW, s, data.draw(link), data.draw(link))
        for i, s in enumerate(speakers)
    ]
    values = np.array(data.draw(st.lists(st.floats(-1, 1), min_size=count, max_size=count)), dtype=float)
    near = around(places)
    asks = np.array([s == "A" for s in speakers], bool)
    for result in (
        near.best_beside(values),
        near.best_of_utterance(values),
        near.question_before(values, asks),
        near.session_scores(values, 3),
    ):
        assert result.shape == (count,)
        assert np.all((result >= 0) & (result <= max(1e-12, values.max(initial=0.0))))


def test_a_session_tells_more_the_more_there_are() -> None:
    """Nothing when there is one, everything from sixteen on."""
    assert around(chain("AB")).session_worth() == 0.0
    facts = [place(f"f{n}", None, NOW, None, None, None) for n in range(40)]
    worth = [around(facts[:n]).session_worth() for n in (1, 2, 4, 16, 40)]
    assert worth == [0.0, 0.25, 0.5, 1.0, 1.0]
