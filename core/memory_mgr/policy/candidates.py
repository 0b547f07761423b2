"""What is ranked: the entries that were found for a query and those right beside them, by columns."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from memory_mgr.policy import cues
from memory_mgr.policy.fusion import Floats
from memory_mgr.policy.query import Query

Positions = NDArray[np.int64]
"""Where entries are among the candidates; -1 is nobody."""
Flags = NDArray[np.bool_]
Label = TypeVar("Label", bound=Hashable)


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Arrays with one value an entry, shape (n,). Numbers of streams and speakers are -1 where there is none.

    Attributes:
        keys: Tell the entries apart; of two that are alike in all else the lesser comes first.
        times: When it was said, in epoch seconds.
        tiers: Number in `tier_names`.
        streams: The same number for what neighbours share, source and tier.
        speakers: Number in `speaker_names`.
        dense: Cosine to the query, in [-1, 1].
        lexical: bm25, bigger is better; 0 = not found by words.
        previous: Where the entry before it in its stream is, -1 = not here.
        following: Where the entry after it is.
        alone: It has neither, here or elsewhere.
        importance: In [0, 1].
        recalled: When it was last a result, in epoch seconds, NaN = never.
        substance: How much it says, in [0, 1], see `cues.substance`.
        asks: It ends by asking.
        cued: It tells the kind of thing the query asks for, see `cues.told`.
        passage: It is part of a longer entry.
        eligible: May be returned; False = serves as context only.
        tier_names: By number.
        speaker_names: By number.
    """

    keys: NDArray[np.int64]
    times: Floats
    tiers: NDArray[np.int64]
    streams: NDArray[np.int64]
    speakers: NDArray[np.int64]
    dense: Floats
    lexical: Floats
    previous: Positions
    following: Positions
    alone: Flags
    importance: Floats
    recalled: Floats
    substance: Floats
    asks: Flags
    cued: Flags
    passage: Flags
    eligible: Flags
    tier_names: Sequence[str]
    speaker_names: Sequence[str]

    def __len__(self) -> int:
        return len(self.keys)

    def with_eligible(self, eligible: Flags) -> Candidates:
        """The same with what may be returned."""
        return replace(self, eligible=eligible)

    def with_cued(self, cued: Flags) -> Candidates:
        """The same with what tells what the query asks for."""
        return replace(self, cued=cued)

    @classmethod
    def of(cls, items: Sequence[Item], query: Query) -> Candidates:
        """Columns of entries that are at hand; the order of their ids settles ties."""
        place = {item.id: i for i, item in enumerate(items)}
        key = {name: number for number, name in enumerate(sorted(place))}
        contents = [item.content for item in items]
        tiers, tier_names = numbered(item.tier for item in items)
        speakers, speaker_names = numbered(i.speaker or cues.speaker_of(i.content) for i in items)
        return cls(
            keys=np.array([key[item.id] for item in items], np.int64),
            times=np.array([item.timestamp for item in items], np.float64),
            tiers=tiers,
            streams=numbered(None if i.source is None else (i.source, i.tier) for i in items)[0],
            speakers=speakers,
            dense=np.array([item.dense for item in items], np.float64),
            lexical=np.array([item.lexical for item in items], np.float64),
            previous=np.array([place.get(item.previous_id or "", -1) for item in items], np.int64),
            following=np.array([place.get(item.next_id or "", -1) for item in items], np.int64),
            alone=np.array([item.previous_id is None and item.next_id is None for item in items], bool),
            importance=np.array([item.importance for item in items], np.float64),
            recalled=np.array([np.nan if i.recalled is None else i.recalled for i in items], np.float64),
            substance=np.array([cues.substance(content) for content in contents], np.float64),
            asks=np.array([cues.is_question(content) for content in contents], bool),
            cued=cues.told(query, contents),
            passage=np.array([item.parent is not None for item in items], bool),
            eligible=np.array([item.eligible for item in items], bool),
            tier_names=tier_names,
            speaker_names=speaker_names,
        )


class Item(NamedTuple):
    """One entry that is at hand, to be ranked with others.

    Attributes:
        id: Of the entry or passage.
        content: Verbatim; may name its speaker in front.
        timestamp: When it was said, in epoch seconds.
        tier: Which memory it is in.
        source: The stream it came from.
        speaker: Who said it; None = what `content` says.
        dense: Cosine to the query, in [-1, 1].
        lexical: bm25, bigger is better; 0 = not among the lexical candidates.
        previous_id: The entry before it in the same source and tier; need not be among the candidates.
        next_id: The entry after it.
        importance: In [0, 1].
        recalled: When it was last a result, in epoch seconds, None = never.
        parent: The entry that a passage is part of; None = it is whole.
        eligible: May be returned; False = serves as context only.
    """

    id: str
    content: str
    timestamp: float
    tier: str = "long_term"
    source: str | None = None
    speaker: str | None = None
    dense: float = 0.0
    lexical: float = 0.0
    previous_id: str | None = None
    next_id: str | None = None
    importance: float = 0.5
    recalled: float | None = None
    parent: str | None = None
    eligible: bool = True


def numbered(labels: Iterable[Label | None]) -> tuple[NDArray[np.int64], list[Label]]:
    """The same number for the same label, -1 for None, and the labels by number."""
    numbers: dict[Label, int] = {}
    given = [-1 if label is None else numbers.setdefault(label, len(numbers)) for label in labels]
    return np.array(given, np.int64), list(numbers)
