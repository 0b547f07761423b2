"""The results of `peers.py` as a Markdown table, and as the ratios that are promised."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

OWN, RAW = "memory-mgr", "raw Chroma"
RECALL = "R@10"
BEGIN, END = "<!-- peers: python benchmarks/peers.py --table benchmarks/results/peers.json -->", "<!-- /peers -->"
"""What stands around the table in README."""


class Column(NamedTuple):
    """A workload: the key in a row of results, the heading, what the value is multiplied by."""

    key: str
    heading: str
    factor: float = 1.0


COLUMNS = (
    Column("search_tenant_p50_ms", "search one tenant, ms"),
    Column("embedded_search_tenant_p50_ms", "with the default model, ms"),
    Column("search_conversation_p50_ms", "search one conversation, ms"),
    Column("search_time_range_p50_ms", "search a time range, ms"),
    Column("context_p50_ms", "context for a prompt, ms"),
    Column("add_p50_ms", "add one, ms"),
    Column("together_per_s", "64 adds at once, /s"),
    Column("batch_per_s", "add a batch of 500, /s"),
    Column("reopen_s", "open and search, s"),
    Column("rss", "RSS, MB", 1e-6),
    Column("bytes_per_entry", "disk, kB an entry", 1e-3),
    Column(RECALL, "recall@10, LoCoMo, default model"),
)


def table(report: dict[str, Any], size: int | None = None) -> str:
    """The block for README: what, where, when; a row a peer; in brackets the multiple of our own value.

    Args:
        report: What `peers.py --json` wrote.
        size: Entries; default: the largest measured.
    """
    size = size or max(_sizes(report["results"]))
    rows = by_peer(report["results"], size)
    machine = report["machine"]
    limit = rows.get(RAW, {}).get("embedded_search_limit_p50_ms")
    lines = [
        BEGIN,
        f"{size:,} entries of ten tenants, on {machine['cpus']} CPUs ({machine['cpu']}), {report['date'][:10]}, "
        "medians, in brackets as a multiple of ours. Vectors cost next to nothing here but where the default model is "
        "named. "
        + (f"The limit, embedding a query and asking Chroma without any filter: {limit:.1f} ms." if limit else ""),
        "",
        "| | " + " | ".join(column.heading for column in COLUMNS) + " |",
        "|---|" + "---:|" * len(COLUMNS),
    ]
    for peer, row in rows.items():
        cells = [_cell(column, row, rows.get(OWN, {})) for column in COLUMNS]
        lines.append(f"| {f'**{peer}**' if peer == OWN else peer} | " + " | ".join(cells) + " |")
    told = ", ".join(f"{name} {version}" for name, version in sorted(report["versions"].items()))
    lines += ["", f"A dash: it has no such thing. Versions: {told}.", END]
    return "\n".join(lines)


def _cell(column: Column, row: dict[str, Any], own: dict[str, Any]) -> str:
    value = row.get(column.key)
    if value is None:
        return "failed" if "failed" in row else "–"
    told = shown(column, value * column.factor)
    if row is own or not own.get(column.key) or column.key == RECALL:
        return told
    return f"{told} ({_short(value / own[column.key])}x)"


def shown(column: Column, value: float) -> str:
    """A value as it is printed."""
    return f"{value:.3f}" if column.key == RECALL else _short(value)


def _short(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 0.95 else f"{value:.1g}" if value < 0.1 else f"{value:.2f}"


def by_peer(results: Sequence[dict[str, Any]], size: int) -> dict[str, dict[str, Any]]:
    """What was measured of each peer at one size, and its recall, in one row."""
    rows: dict[str, dict[str, Any]] = {}
    for row in results:
        if row.get("entries", size) == size:
            rows[row["peer"]] = rows.get(row["peer"], {}) | row
    return rows


def _sizes(results: Sequence[dict[str, Any]]) -> set[int]:
    return {row["entries"] for row in results if row.get("entries")}


_RATIOS = {
    "ours: 64 adds at once to one at a time, throughput": ((OWN, "together_per_s"), (OWN, "add_per_s")),
    "batch: ours to mem0, throughput": ((OWN, "batch_per_s"), ("mem0", "batch_per_s")),
    "batch with embedding: ours to raw Chroma, throughput": (
        (OWN, "embedded_load_per_s"),
        (RAW, "embedded_load_per_s"),
    ),
    "search one tenant: ours to Chroma without a filter, both with embedding": (
        (OWN, "embedded_search_tenant_p50_ms"),
        (RAW, "embedded_search_limit_p50_ms"),
    ),
    "search one tenant: mem0 to ours, both with embedding": (
        ("mem0", "embedded_search_tenant_p50_ms"),
        (OWN, "embedded_search_tenant_p50_ms"),
    ),
    "search one tenant: one filtered collection to ours, both with embedding": (
        (RAW, "embedded_search_tenant_p50_ms"),
        (OWN, "embedded_search_tenant_p50_ms"),
    ),
    "search one tenant: ours to Chroma without a filter": (
        (OWN, "search_tenant_p50_ms"),
        (RAW, "search_limit_p50_ms"),
    ),
    "search one tenant: mem0 to ours": (("mem0", "search_tenant_p50_ms"), (OWN, "search_tenant_p50_ms")),
    "search one tenant: one filtered collection to ours": (
        (RAW, "search_tenant_p50_ms"),
        (OWN, "search_tenant_p50_ms"),
    ),
    "context to search, ours": ((OWN, "context_p50_ms"), (OWN, "search_tenant_p50_ms")),
    "disk: ours to raw Chroma": ((OWN, "bytes_per_entry"), (RAW, "bytes_per_entry")),
    "rss: ours to raw Chroma": ((OWN, "rss"), (RAW, "rss")),
}
"""Name to (what, divided by what)."""


def ratios(results: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """What is promised, by number of entries; only what could be measured."""
    told: dict[str, dict[str, float]] = {}
    for size in sorted(_sizes(results)):
        rows = by_peer(results, size)
        values = {
            name: (rows.get(peer, {}).get(key), rows.get(other, {}).get(key_of_other))
            for name, ((peer, key), (other, key_of_other)) in _RATIOS.items()
        }
        told[str(size)] = {name: round(one / other, 3) for name, (one, other) in values.items() if one and other}
    return told
