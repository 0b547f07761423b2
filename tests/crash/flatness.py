"""Whether the memory and the file descriptors of a process stay as they are."""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

WARM_UP = 1 / 3
"""Of the samples, not looked at: pools fill, and the allocator takes what it needs at most."""
RSS_GROWTH = 0.05
"""Of the resident memory, at most, from the end of the warm-up to the end. What the C library keeps of memory that was
given back goes on growing for a while, in a heap for each thread; the other two do not have that part."""
ALLOCATED_GROWTH = 0.02
"""Of the memory that is taken from the C library: SQLite's, numpy's, long texts."""
BLOCKS_GROWTH = 0.005
"""Of Python's own blocks of memory, about one a small object."""
DESCRIPTOR_GROWTH = 2.0


@dataclass(frozen=True)
class Usage:
    """Of this process at one moment, with the entries that are kept then."""

    second: float
    entries: int
    rss_mb: float
    allocated_mb: float
    blocks: int
    descriptors: int

    @classmethod
    def now(cls, second: float, entries: int) -> Usage:
        """What Linux and Python say of this process."""
        gc.collect()
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
        descriptors = len(os.listdir("/proc/self/fd"))
        rss, allocated = (round(size / 2**20, 2) for size in (resident, _allocated_bytes()))
        return cls(round(second), entries, rss, allocated, sys.getallocatedblocks(), descriptors)


class _Mallinfo2(ctypes.Structure):
    """What glibc tells of its heaps, see `man mallinfo2`."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    )


def _allocated_bytes() -> int:
    """What is taken from the C library in all threads and was not given back; 0 if it does not tell (glibc < 2.33)."""
    tell = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if tell is None:
        return 0
    tell.restype = _Mallinfo2
    told = tell()
    return int(told.uordblks + told.hblkhd)


@dataclass(frozen=True)
class Flatness:
    """How usage grows after the warm-up, whatever comes and goes with the entries (least squares of both)."""

    samples: int
    entries: float
    rss_mb: float
    rss_mb_growth: float
    rss_mb_an_hour: float
    allocated_mb: float
    allocated_mb_growth: float
    allocated_kb_an_entry: float
    blocks: float
    blocks_growth: float
    descriptors: float
    descriptors_growth: float

    @classmethod
    def of(cls, usage: Sequence[Usage]) -> Flatness:
        """Of samples in order of time; at least nine."""
        looked_at = list(usage[round(len(usage) * WARM_UP) :])
        if len(looked_at) < 6:
            raise ValueError(f"{len(usage)} samples are too few to say whether usage is flat: run longer")
        seconds, entries = (np.array([getattr(u, name) for u in looked_at], float) for name in ("second", "entries"))
        length = float(seconds[-1] - seconds[0])
        known = np.column_stack([seconds - seconds.mean(), entries - entries.mean()])

        def slopes(name: str) -> list[float]:
            """A second and an entry."""
            values = np.array([getattr(u, name) for u in looked_at], float)
            return [float(slope) for slope in np.linalg.lstsq(known, values - values.mean())[0]]

        def median(name: str) -> float:
            return round(float(np.median([getattr(u, name) for u in looked_at])), 1)

        rss, (allocated, allocated_an_entry) = slopes("rss_mb")[0], slopes("allocated_mb")
        return cls(
            samples=len(looked_at),
            entries=median("entries"),
            rss_mb=median("rss_mb"),
            rss_mb_growth=round(rss * length, 1),
            rss_mb_an_hour=round(rss * 3600, 1),
            allocated_mb=median("allocated_mb"),
            allocated_mb_growth=round(allocated * length, 2),
            allocated_kb_an_entry=round(allocated_an_entry * 1024, 1),
            blocks=median("blocks"),
            blocks_growth=round(slopes("blocks")[0] * length),
            descriptors=median("descriptors"),
            descriptors_growth=round(slopes("descriptors")[0] * length, 2),
        )

    def check(self) -> None:
        """Raise AssertionError if something grew."""
        assert self.rss_mb_growth <= RSS_GROWTH * self.rss_mb, f"resident memory grows: {asdict(self)}"
        assert self.allocated_mb_growth <= ALLOCATED_GROWTH * self.allocated_mb, f"memory in use grows: {asdict(self)}"
        assert self.blocks_growth <= BLOCKS_GROWTH * self.blocks, f"Python's memory grows: {asdict(self)}"
        assert self.descriptors_growth <= DESCRIPTOR_GROWTH, f"file descriptors grow: {asdict(self)}"
