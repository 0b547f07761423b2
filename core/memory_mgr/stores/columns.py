"""A catalog's rows in memory, by columns: what ranking looks at, so that a few hundred rows are had in no time.

Rows that follow each other in a stream are linked here, as a list is: a new row costs two lookups, wherever it goes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memory_mgr.types import MemoryType

Slots = NDArray[np.int64]
"""Where rows are in the table; -1 is nowhere."""
TIERS = tuple(MemoryType)
_TIER_NUMBERS = {tier.value: number for number, tier in enumerate(TIERS)}
_GROWTH = 1.5
_PART = 4096
"""Rows read, or vectors compared, together."""
_TABLE = np.dtype(
    [
        ("row", "i8"), ("tier", "i1"), ("stream", "i4"), ("speaker", "i4"), ("time", "f8"), ("sequence", "i8"),
        ("importance", "f8"), ("recalled", "f8"), ("substance", "f4"), ("asks", "?"), ("passage", "?"),
        ("scale", "f4"), ("previous", "i4"), ("following", "i4"), ("expires", "f8"), ("superseded", "?"),
        ("length", "i4"),
    ]
)  # fmt: skip
_EMPTY = np.array((-1, -1, -1, -1, 0, 0, 0, np.nan, 0, False, False, 0, -1, -1, np.nan, False, 0), _TABLE)
"""No row: it has no tier, and the scale of a vector that is not there."""


ROW = (
    "rowid",
    "tier",
    "source",  # the stream it is of
    "voice",  # who speaks
    "ts",  # epoch seconds
    "seq",  # settles the order of one moment
    "importance",
    "accessed",  # when it was last a result, epoch seconds
    "substance",  # how much it says, in [0, 1]
    "asks",
    "passage",  # whether it is part of a longer entry
    "vector",  # int8, None if it has none
    "scale",  # what its components are multiplied by
    "expires",  # epoch seconds, None = never
    "superseded",
    "sizes",  # how many words are indexed of it, as FTS5 keeps it
)
"""What a row is read as."""
Row = tuple[Any, ...]
"""Values in the order of `ROW`."""


class Columns:
    """Rows by slot. Not thread-safe: the catalog's lock guards it.

    Args:
        rows: All rows of a catalog.
        count: How many they are about; memory is taken for so many at once.
    """

    def __init__(self, rows: Iterable[Row], count: int = 0) -> None:
        self.table = np.empty(0, _TABLE)
        self._vectors = np.empty((0, 0), np.int8)
        self._slot_of = np.empty(0, np.int32)
        self._free: list[int] = []
        self._used = 0
        self._words = 0
        self._streams: dict[tuple[str, str | None], int] = {}
        self._speakers: dict[str, int] = {}
        self.speaker_names: list[str] = []
        self._grow(count)
        rows = iter(rows)
        while part := list(islice(rows, _PART)):
            self._write(part)
        self._link_all()

    # --- writing -------------------------------------------------------------------------------------------

    def put(self, rows: Sequence[Row], beside: Sequence[tuple[int | None, int | None]]) -> None:
        """Write rows, new or changed.

        Args:
            rows: As they are now.
            beside: The rows that now come right before and after each in its stream.
        """
        self._unlink(self.slots([row[0] for row in rows]))
        slots = self._write(rows)
        for name, other, ids in (("previous", "following", 0), ("following", "previous", 1)):
            links = self.slots([-1 if (row := pair[ids]) is None else row for pair in beside])
            self.table[name][slots] = links
            self.table[other][links[links >= 0]] = slots[links >= 0]

    def remove(self, rowids: Collection[int]) -> None:
        """Forget rows."""
        slots = self.slots(rowids)
        slots = slots[slots >= 0]
        self._unlink(slots)
        self._slot_of[self.table["row"][slots]] = -1
        self._words -= int(self.table["length"][slots].sum())
        self.table[slots] = _EMPTY
        self._free += slots.tolist()

    def note_recalled(self, rowids: Collection[int], moment: float) -> None:
        """Rows were results at `moment`, in epoch seconds."""
        self.table["recalled"][self.slots(rowids)] = moment

    def _write(self, rows: Sequence[Row]) -> Slots:
        """Put rows into their slots, linked to nothing; which slots these are."""
        if not rows:
            return np.empty(0, np.int64)
        of: dict[str, Sequence[Any]] = dict(zip(ROW, zip(*rows, strict=True), strict=True))
        slots, vectors = self._taken(of["rowid"]), of["vector"]
        columns = {
            "row": of["rowid"],
            "tier": [_TIER_NUMBERS[tier] for tier in of["tier"]],
            "stream": [self._stream(stream) for stream in zip(of["tier"], of["source"], strict=True)],
            "speaker": [self._speaker(name) for name in of["voice"]],
            "time": of["ts"],
            "sequence": of["seq"],
            "importance": of["importance"],
            "recalled": np.array(of["accessed"], np.float64),  # None becomes NaN
            "expires": np.array(of["expires"], np.float64),
            "superseded": of["superseded"],
            "length": [_total(sizes) for sizes in of["sizes"]],
            "substance": of["substance"],
            "asks": of["asks"],
            "passage": of["passage"],
            "scale": [0.0 if vector is None else scale for vector, scale in zip(vectors, of["scale"], strict=True)],
            "previous": -1,
            "following": -1,
        }
        self._words -= int(self.table["length"][slots].sum())
        for name, values in columns.items():
            self.table[name][slots] = values
        self._words += int(self.table["length"][slots].sum())
        found = [i for i, vector in enumerate(vectors) if vector is not None]
        if found:
            joined = np.frombuffer(b"".join(vectors[i] for i in found), np.int8)
            if not self._vectors.shape[1]:
                self._vectors = np.zeros((len(self.table), joined.size // len(found)), np.int8)
            self._vectors[slots[found]] = joined.reshape(len(found), -1)
        return slots

    def _taken(self, rowids: Sequence[int]) -> Slots:
        """The slots of rows, free ones for those that have none."""
        slots = self.slots(rowids)
        fresh = np.flatnonzero(slots < 0).tolist()
        for i in fresh:
            if self._free:
                slots[i] = self._free.pop()
            else:
                slots[i], self._used = self._used, self._used + 1
        self._grow(self._used, max(rowids, default=0) + 1)
        self._slot_of[list(rowids)] = slots
        return slots

    def _grow(self, rows: int, highest: int = 0) -> None:
        if rows > len(self.table):
            size = max(64, rows, int(len(self.table) * _GROWTH))
            table = np.full(size, _EMPTY)
            table[: len(self.table)] = self.table
            vectors = np.zeros((size, self._vectors.shape[1]), np.int8)
            vectors[: len(self._vectors)] = self._vectors
            self.table, self._vectors = table, vectors
        if highest > len(self._slot_of):
            known = np.full(max(64, highest, len(self.table), int(len(self._slot_of) * _GROWTH)), -1, np.int32)
            known[: len(self._slot_of)] = self._slot_of
            self._slot_of = known

    def _stream(self, stream: tuple[str, str | None]) -> int:
        return -1 if stream[1] is None else self._streams.setdefault(stream, len(self._streams))

    def _speaker(self, name: str | None) -> int:
        if not name:
            return -1
        number = self._speakers.setdefault(name, len(self._speakers))
        if number == len(self.speaker_names):
            self.speaker_names.append(name)
        return number

    def _link_all(self) -> None:
        table = self.table[: self._used]
        order = np.lexsort((table["row"], table["sequence"], table["time"], table["stream"]))
        order = order[(table["stream"][order] >= 0) & ~table["passage"][order]]
        earlier, later = order[:-1], order[1:]
        together = table["stream"][earlier] == table["stream"][later]
        table["following"][earlier[together]] = later[together]
        table["previous"][later[together]] = earlier[together]

    def _unlink(self, slots: Slots) -> None:
        """Join what is around each of these rows, so that none leads to it any more."""
        previous, following = self.table["previous"], self.table["following"]
        for slot in slots[slots >= 0].tolist():
            before, after = int(previous[slot]), int(following[slot])
            if before >= 0:
                following[before] = after
            if after >= 0:
                previous[after] = before
            previous[slot] = following[slot] = -1

    # --- reading -------------------------------------------------------------------------------------------

    def slots(self, rowids: Collection[int] | NDArray[np.int64]) -> Slots:
        """Where rows are, -1 for those that are not."""
        wanted = rowids if isinstance(rowids, np.ndarray) else np.fromiter(rowids, np.int64, len(rowids))
        known = (wanted >= 0) & (wanted < len(self._slot_of))
        slots = np.full(len(wanted), -1, np.int64)
        slots[known] = self._slot_of[wanted[known]]
        return slots

    def __len__(self) -> int:
        return self._used - len(self._free)

    @property
    def mean_length(self) -> float:
        """Words that are indexed of a row."""
        return self._words / max(1, len(self))

    def lengths(self, rowids: NDArray[np.int64]) -> NDArray[np.int32]:
        """How many words are indexed of each row, 0 of those that are not there."""
        slots = self.slots(rowids)
        lengths = np.zeros(slots.size, np.int32)
        lengths[slots >= 0] = self.table["length"][slots[slots >= 0]]
        return lengths

    def filled(self) -> Slots:
        """All rows."""
        return np.flatnonzero(self.table["row"][: self._used] >= 0)

    def in_tier(self, tier: MemoryType) -> Slots:
        """The rows of a tier that have a vector."""
        table = self.table[: self._used]
        return np.flatnonzero((table["tier"] == TIERS.index(tier)) & (table["scale"] > 0))

    def in_sight(
        self, slots: Slots, tiers: Collection[MemoryType], now: float, *, hidden: bool, passages: bool
    ) -> NDArray[np.bool_]:
        """Which of these rows a read may see, as `selection.Selection` has it.

        Args:
            slots: Where they are; none is nowhere.
            tiers: Of which they may be.
            now: What expired by then, in epoch seconds, is hidden.
            hidden: Show what is superseded or expired.
            passages: Show passages, and nothing that has no vector.
        """
        of = {name: self.table[name][slots] for name in ("tier", "scale", "passage", "superseded", "expires")}
        seen = np.isin(of["tier"], [TIERS.index(tier) for tier in tiers])
        seen &= of["scale"] > 0 if passages else ~of["passage"]
        return seen if hidden else seen & ~(of["superseded"] | (of["expires"] <= now))

    def with_neighbours(self, slots: Slots) -> Slots:
        """These rows and those right before and after them, each once."""
        around = np.concatenate([slots, self.table["previous"][slots], self.table["following"][slots]])
        there = np.zeros(len(self.table), bool)
        there[around[around >= 0]] = True
        return np.flatnonzero(there)

    def cosines(self, query: NDArray[np.float32], slots: Slots) -> NDArray[np.float32]:
        """Cosine of the query, shape (dimensions,), with the vector of each row; -1 where there is none."""
        scores = np.full(slots.size, -1.0, np.float32)
        there = np.flatnonzero((slots >= 0) & (self.table["scale"][slots] > 0)) if len(self.table) else slots[:0]
        for start in range(0, there.size, _PART):
            part = slots[there[start : start + _PART]]
            # Not `@`: its threads go on spinning for milliseconds after a product as small as this.
            products = np.einsum("ij,j->i", self._vectors[_sliced(part)], query)
            scores[there[start : start + _PART]] = products * self.table["scale"][part]
        return scores


def _total(sizes: bytes | None) -> int:
    """The sum of the varints in which FTS5 keeps the words of each column (`%_docsize`; fts5_storage.c)."""
    if sizes is None:
        return 0
    if sizes.isascii():
        return sum(sizes)
    total = value = 0
    for byte in sizes:
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            total, value = total + value, 0
    return total


def _sliced(slots: Slots) -> Slots | slice:
    """The same slots; as a slice, which copies nothing, if they are in a row."""
    first, last = int(slots[0]), int(slots[-1])
    in_a_row = last - first == len(slots) - 1 and bool((np.diff(slots) == 1).all())
    return slice(first, last + 1) if in_a_row else slots
