"""One bar chart a workload, from the results of `peers.py`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt

COLOURS = ("#0072B2", "#56B4E9", "#009E73", "#E69F00", "#D55E00", "#CC79A7", "#999999")
"""Okabe and Ito 2008: told apart by people who do not see all colours."""
WORKLOADS = {
    "search_tenant_p50_ms": "Search for one tenant, median (ms)",
    "search_conversation_p50_ms": "Search in one conversation, median (ms)",
    "add_p50_ms": "Add one entry, median (ms)",
    "together_per_s": "64 adds at once (entries/s)",
    "batch_per_s": "Add in batches (entries/s)",
    "reopen_s": "Open and search once (s)",
    "rss": "Memory of the process (bytes)",
    "bytes_per_entry": "Disk (bytes an entry)",
}


def plot(results: Sequence[dict[str, Any]], folder: Path) -> None:
    """Write an SVG for each workload: groups of bars by size, a bar a peer, logarithmic."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [row for row in results if "entries" in row]
    peers = list(dict.fromkeys(row["peer"] for row in rows))
    sizes = sorted({row["entries"] for row in rows})
    with mpl.rc_context({"svg.hashsalt": "memory-mgr", "svg.fonttype": "none"}):
        for key, title in WORKLOADS.items():
            figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
            for place, peer in enumerate(peers):
                values = [_value(rows, peer, size, key) for size in sizes]
                left = [at + (place - len(peers) / 2) * 0.8 / len(peers) for at in range(len(sizes))]
                axes.bar(left, values, 0.8 / len(peers), align="edge", color=COLOURS[place], label=peer)
            axes.set_yscale("log")
            axes.set_xticks(range(len(sizes)), [f"{size:,} entries" for size in sizes])
            axes.set_title(title, loc="left")
            axes.spines[["top", "right"]].set_visible(False)
            figure.legend(loc="outside right upper", frameon=False)
            figure.savefig(folder / f"peers_{key}.svg", metadata={"Date": None})
            plt.close(figure)


def _value(rows: Sequence[dict[str, Any]], peer: str, size: int, key: str) -> float:
    found = [row.get(key) for row in rows if row["peer"] == peer and row["entries"] == size]
    return float(found[0] or 0) if found else 0.0
