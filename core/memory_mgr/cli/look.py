"""`search` and `stats`: look into a memory."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from memory_mgr.cli.app import (
    JsonOption,
    LimitOption,
    NamespaceOption,
    PathOption,
    UrlOption,
    app,
    console,
    entry_json,
    opened,
    print_json,
    settings,
)
from memory_mgr.types import MemoryEntry


@app.command()
def search(
    query: Annotated[str, typer.Argument(help="A question or some words.")],
    path: PathOption = None,
    url: UrlOption = None,
    namespace: NamespaceOption = "default",
    tier: Annotated[
        list[str] | None, typer.Option("--tier", help="Only this tier; may be given several times.")
    ] = None,
    limit: LimitOption = 5,
    explain: Annotated[bool, typer.Option("--explain", help="Show the parts of each score.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Find what is remembered about something."""
    with opened(settings(path, url, namespace)) as memory:
        hits = memory.search_memory(query, tier or None, limit, explain=explain)
    if as_json:
        print_json([entry_json(hit) for hit in hits])
    else:
        console.print(entries_table(hits, f"{len(hits)} memories", explain=explain))


@app.command()
def stats(
    path: PathOption = None, url: UrlOption = None, namespace: NamespaceOption = "default", as_json: JsonOption = False
) -> None:
    """Count what a namespace holds, by tier."""
    with opened(settings(path, url, namespace)) as memory:
        found = memory.stats()
        below = memory.namespaces()
    if as_json:
        print_json(
            {
                "namespace": found.namespace,
                "counts": {tier.value: count for tier, count in found.counts.items()},
                "superseded": found.superseded,
                "expired": found.expired,
                "bytes_on_disk": found.bytes_on_disk,
                "embedder": found.embedder,
                "dimensions": found.dimensions,
                "namespaces": below,
            }
        )
        return
    table = Table("tier", "entries", title="/".join(found.namespace))
    for tier, count in found.counts.items():
        table.add_row(tier.value, f"{count:,}")
    console.print(table)
    size = "on a server" if found.bytes_on_disk is None else f"{found.bytes_on_disk / 1e6:,.1f} MB on disk"
    console.print(f"{found.superseded} superseded, {found.expired} expired; {size}; embedder {found.embedder}")


def entries_table(entries: list[MemoryEntry], title: str, *, explain: bool = False) -> Table:
    """Entries as a table."""
    table = Table("score", "tier", "when", "said", "importance", title=title)
    for entry in entries:
        parts = ", ".join(f"{name} {value:.2f}" for name, value in (entry.explain or {}).items())
        said = f"{entry.speaker}: {entry.content}" if entry.speaker else entry.content
        table.add_row(
            "" if entry.score is None else f"{entry.score:.2f}",
            entry.memory_type.value,
            f"{entry.timestamp:%Y-%m-%d %H:%M}",
            f"{said[:300]}\n[dim]{parts}[/dim]" if explain else said[:300],
            f"{entry.importance_score:.2f}",
        )
    return table
