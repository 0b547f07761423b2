"""Whether the memory and the file descriptors of a process stay as they are."""

from __future__ import annotations

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
RSS_GROWTH = 0.02
"""Of the resident memory, at most, from the end of the warm-up to the end."""
BLOCKS_GROWTH = 0.01
"""Of Python's blocks of memory: no allocator hides or invents these, so that one object an operation is seen."""
DESCRIPTOR_GROWTH = 2.0


@dataclass(frozen=True)
class Usage:
    """Of this process at one moment, with the entries that are kept then."""

    second: float
    entries: int
    rss_mb: float
    blocks: int
    descriptors: int

    @classmethod
    def now(cls, second: float, entries: int) -> Usage:
        """What Linux and Python say of this process."""
        gc.collect()
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
        descriptors = len(os.listdir("/proc/self/fd"))
        return cls(round(second), entries, round(resident / 2**20, 1), sys.getallocatedblocks(), descriptors)


@dataclass(frozen=True)
class Flatness:
    """How usage grows after the warm-up, whatever comes and goes with the entries (least squares of both)."""

    samples: int
    entries: float
    rss_mb: float
    rss_mb_growth: float
    rss_mb_an_hour: float
    rss_kb_an_entry: float
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

        rss, rss_an_entry = slopes("rss_mb")
        return cls(
            samples=len(looked_at),
            entries=median("entries"),
            rss_mb=median("rss_mb"),
            rss_mb_growth=round(rss * length, 1),
            rss_mb_an_hour=round(rss * 3600, 1),
            rss_kb_an_entry=round(rss_an_entry * 1024, 1),
            blocks=median("blocks"),
            blocks_growth=round(slopes("blocks")[0] * length),
            descriptors=median("descriptors"),
            descriptors_growth=round(slopes("descriptors")[0] * length, 2),
        )

    def check(self) -> None:
        """Raise AssertionError if something grew."""
        assert self.rss_mb_growth <= RSS_GROWTH * self.rss_mb, f"resident memory grows: {asdict(self)}"
        assert self.blocks_growth <= BLOCKS_GROWTH * self.blocks, f"Python's memory grows: {asdict(self)}"
        assert self.descriptors_growth <= DESCRIPTOR_GROWTH, f"file descriptors grow: {asdict(self)}"
