"""One bar chart a workload, from the results of `peers.py`.

python benchmarks/peer_plots.py benchmarks/results/peers.json FOLDER
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from peer_table import COLUMNS, OWN, RAW, RECALL, Column, shown

mpl.use("svg")
import matplotlib.pyplot as plt

BLUE, DARK, GREY = "#0072B2", "#777777", "#C4C4C4"
"""Ours, the store that all but LangGraph are built on, and everybody else."""
OUTLIER = 5
"""A bar so many times the next one is cut."""
TITLES = {
    "search_tenant_p50_ms": "Search for one tenant, median, ms (shorter is better)",
    "embedded_search_tenant_p50_ms": "Search for one tenant, with the default model, median, ms (shorter is better)",
    "search_conversation_p50_ms": "Search in one conversation, median, ms (shorter is better)",
    "search_time_range_p50_ms": "Search in a time range, median, ms (shorter is better)",
    "context_p50_ms": "Context for a prompt, median, ms (shorter is better)",
    "add_p50_ms": "Add one entry, median, ms (shorter is better)",
    "together_per_s": "64 adds at once, entries a second (longer is better)",
    "batch_per_s": "Add a batch of 500, entries a second (longer is better)",
    "reopen_s": "Open in a new process and search once, s (shorter is better)",
    "rss": "Memory of the process, MB (shorter is better)",
    "bytes_per_entry": "Disk, kB an entry (shorter is better)",
    "R@10": "Evidence among the first ten results, LoCoMo (longer is better)",
}


def plot(results: Sequence[dict[str, Any]], folder: Path) -> None:
    """Write an SVG a workload: a panel a size, a bar a peer."""
    folder.mkdir(parents=True, exist_ok=True)
    style = {"svg.hashsalt": "memory-mgr", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9}
    with mpl.rc_context(style):
        for column in COLUMNS:
            panels = _panels([row for row in results if row.get(column.key) is not None])
            if panels:
                _draw(column, panels, folder / f"peers_{_name(column)}.svg")


def _name(column: Column) -> str:
    return "recall" if column.key == RECALL else column.key


def _panels(rows: Sequence[dict[str, Any]]) -> dict[int, list[dict[str, Any]]]:
    """Rows by number of entries; 0 for recall, which has none."""
    sizes = sorted({row.get("entries", 0) for row in rows})
    return {size: [row for row in rows if row.get("entries", 0) == size] for size in sizes}


def _longest(panels: dict[int, list[dict[str, Any]]], column: Column) -> float:
    """Where bars are cut: if one peer's is many times the next one's, nothing could be read off the others."""
    most: dict[str, float] = {}
    for row in (row for rows in panels.values() for row in rows):
        most[row["peer"]] = max(most.get(row["peer"], 0.0), row[column.key] * column.factor)
    *_, second, first = sorted([0.0, *most.values()])
    return first if first <= OUTLIER * second or not second else 1.5 * second


def _draw(column: Column, panels: dict[int, list[dict[str, Any]]], file: Path) -> None:
    peers = list(dict.fromkeys(row["peer"] for rows in panels.values() for row in rows))[::-1]
    longest = _longest(panels, column)
    figure, all_axes = plt.subplots(
        1,
        len(panels),
        figsize=(max(6.4, 2.2 + 2.4 * len(panels)), 0.7 + 0.27 * len(peers)),
        sharex=True,
        sharey=True,
        layout="constrained",
        squeeze=False,
    )
    for axes, (size, rows) in zip(all_axes[0], panels.items(), strict=True):
        values = {row["peer"]: row[column.key] * column.factor for row in rows}
        known = [peer for peer in peers if peer in values]
        bars = axes.barh(
            [peers.index(peer) for peer in known],
            [min(values[peer], longest) for peer in known],
            0.72,
            color=[{OWN: BLUE, RAW: DARK}.get(peer, GREY) for peer in known],
        )
        cut = {peer: " (bar cut)" if values[peer] > longest else "" for peer in known}
        axes.bar_label(bars, [shown(column, values[peer]) + cut[peer] for peer in known], padding=3)
        if size:
            axes.set_title(f"{size:,} entries", fontsize=9, color="#444444")
        axes.set_yticks(range(len(peers)), peers)
        axes.tick_params(left=False, bottom=False, labelbottom=False)
        axes.spines[["top", "right", "bottom"]].set_visible(False)
        axes.set_xlim(0, longest * 1.45)
    for label in all_axes[0][0].get_yticklabels():
        label.set_fontweight("bold" if label.get_text() == OWN else "normal")
    figure.suptitle(TITLES[column.key], x=0.01, ha="left", fontsize=10, fontweight="bold")
    figure.savefig(file, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    plot(json.loads(Path(sys.argv[1]).read_text())["results"], Path(sys.argv[2]))
