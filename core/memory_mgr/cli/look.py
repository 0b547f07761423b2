"""Looking: `search`, `show`, `context`, `list`, `history`, `stats`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group
from rich.table import Table
from rich.text import Text

from memory_mgr.cli.command import (
    BudgetOption,
    IdArgument,
    LimitOption,
    Result,
    TierOption,
    WhereOption,
    command,
    json_object,
)
from memory_mgr.cli.output import entries_table, memories, safe

if TYPE_CHECKING:
    from memory_mgr.engine.manager import SyncMemoryManager
    from memory_mgr.types import Context, MemoryEntry

QueryArgument = Annotated[str, typer.Argument(help="A question or some words.")]
ExplainOption = Annotated[bool, typer.Option("--explain", "-e", help="Say why.")]
HiddenOption = Annotated[bool, typer.Option("--all", help="Also what was superseded or has expired.")]


@command()
def search(
    memory: SyncMemoryManager,
    query: QueryArgument,
    tier: TierOption = None,
    limit: LimitOption = 5,
    where: WhereOption = None,
    explain: ExplainOption = False,
    hidden: HiddenOption = False,
) -> Result:
    """Find what is remembered about something, best first."""
    hits = memory.search_memory(
        query, tier or None, limit, json_object(where, "--where"), explain=explain, include_superseded=hidden
    )
    return Result(hits, entries_table(hits, memories(len(hits)), explain=explain))


@command("list")
def list_(
    memory: SyncMemoryManager,
    tier: TierOption = None,
    source: Annotated[str | None, typer.Option("--source", help="Only of this conversation or document.")] = None,
    where: WhereOption = None,
    limit: LimitOption = 20,
    offset: Annotated[int, typer.Option("--offset", min=0, help="Entries to skip.")] = 0,
    newest: Annotated[bool, typer.Option("--newest", help="Newest first.")] = False,
    hidden: HiddenOption = False,
) -> Result:
    """List memories in order of time."""
    entries = memory.list_memories(
        tier or None,
        source=source,
        filters=json_object(where, "--where"),
        limit=limit,
        offset=offset,
        newest_first=newest,
        include_superseded=hidden,
    )
    return Result(entries, entries_table(entries, f"{memories(len(entries))} from number {offset + 1}"))


@command()
def show(memory: SyncMemoryManager, memory_id: IdArgument) -> Result:
    """Show one memory whole."""
    entry = memory.get_memory(memory_id)
    return Result(entry, _entry_view(entry))


@command()
def history(memory: SyncMemoryManager, memory_id: IdArgument) -> Result:
    """Show a memory with what it superseded and what superseded it, oldest first."""
    chain = memory.history(memory_id)
    return Result(chain, entries_table(chain, f"{len(chain)} versions, oldest first"))


@command()
def context(
    memory: SyncMemoryManager,
    query: QueryArgument,
    budget: BudgetOption = 1000,
    conversation: Annotated[
        str | None, typer.Option("--conversation", help="Also its task, summaries and recent turns.")
    ] = None,
    explain: ExplainOption = False,
) -> Result:
    """Show what a model would be told before it answers."""
    built = memory.build_context(query, budget, conversation, explain=explain)
    return Result(built, _context_view(built, memory))


@command()
def stats(memory: SyncMemoryManager) -> Result:
    """Count what a namespace holds, by tier."""
    found, below = memory.stats(), memory.namespaces()
    table = Table("tier", "entries", title=safe("/".join(found.namespace)))
    for tier, count in found.counts.items():
        table.add_row(tier.value, f"{count:,}")
    size = "on a server" if found.bytes_on_disk is None else f"{found.bytes_on_disk / 1e6:,.1f} MB on disk"
    lines = [f"{found.superseded} superseded, {found.expired} expired; {size}; embedder {found.embedder}"]
    lines += ["below it: " + ", ".join("/".join(labels) for labels in below if labels != found.namespace)]
    data = {
        "namespace": found.namespace,
        "counts": {tier.value: count for tier, count in found.counts.items()},
        "superseded": found.superseded,
        "expired": found.expired,
        "bytes_on_disk": found.bytes_on_disk,
        "embedder": found.embedder,
        "dimensions": found.dimensions,
        "namespaces": below,
    }
    return Result(data, Group(table, safe("\n".join(lines if len(below) > 1 else lines[:1]))))


def _entry_view(entry: MemoryEntry) -> Group:
    table = Table(show_header=False, box=None)
    rows: dict[str, object] = {
        "id": entry.id,
        "tier": entry.memory_type.value,
        "kind": entry.kind,
        "namespace": "/".join(entry.namespace),
        "when": f"{entry.timestamp:%Y-%m-%d %H:%M:%S %Z}",
        "stored": f"{entry.created_at:%Y-%m-%d %H:%M:%S %Z}",
        "source": entry.source,
        "speaker": entry.speaker,
        "from": f"{entry.origin}, trusted {entry.trust:.1f}",
        "suspicious": ", ".join(entry.suspicious),
        "stored by": entry.created_by,
        "importance": f"{entry.importance_score:.2f}",
        "pinned": "yes" if entry.pinned else None,
        "expires": entry.expires_at and f"{entry.expires_at:%Y-%m-%d %H:%M:%S %Z}",
        "superseded by": entry.superseded_by,
        "made of": ", ".join(entry.derived_from),
        "metadata": json.dumps(entry.metadata, ensure_ascii=False) if entry.metadata else None,
        "details": json.dumps(entry.details, ensure_ascii=False) if entry.details else None,
    }
    for name, value in rows.items():
        if value:
            table.add_row(Text(name, "dim"), safe(str(value)))
    return Group(table, Text(), safe(entry.content))


def _context_view(context: Context, memory: SyncMemoryManager) -> Group:
    sections = ", ".join(f"{name} {tokens}" for name, tokens in context.sections.items())
    summary = Text(f"{context.tokens} of {context.budget_tokens} tokens: {sections or 'nothing'}", "dim")
    if context.explain is None:
        return Group(safe(context.text), summary)
    table = Table("entry", "said", "why", title="Why in or out")
    said = {entry.id: entry.content for entry in memory.get_memories(list(context.explain))}
    for entry_id, why in context.explain.items():
        table.add_row(safe(entry_id, "dim"), safe(said.get(entry_id, "")[:80]), safe(why))
    return Group(safe(context.text), summary, table)
