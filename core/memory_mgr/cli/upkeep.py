"""Upkeep: `consolidate`, `prune`, `undo`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from memory_mgr.bars import progress_bar
from memory_mgr.cli.command import Result, command
from memory_mgr.cli.output import upkeep_view

if TYPE_CHECKING:
    from memory_mgr.engine.manager import SyncMemoryManager

DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")]


@command(writes=True)
def consolidate(
    memory: SyncMemoryManager,
    dry_run: DryRunOption = False,
    max_seconds: Annotated[
        float | None, typer.Option("--max-seconds", help="Stop after about this time; the next run goes on.")
    ] = None,
) -> Result:
    """Merge duplicates, hide what newer facts replace, summarise what is not yet."""
    with progress_bar("Consolidating") as told:
        report = memory.consolidate(dry_run=dry_run, max_seconds=max_seconds, progress=told)
    return Result(report, upkeep_view(report))


@command(writes=True)
def prune(
    memory: SyncMemoryManager,
    tier: Annotated[str, typer.Option("--tier", "-t", help="The tier.")] = "long_term",
    quota: Annotated[int | None, typer.Option("--quota", min=0, help="Entries to keep at most.")] = None,
    dry_run: DryRunOption = False,
) -> Result:
    """Let go what is least worth keeping: hidden at once, deleted when the grace period is over."""
    report = memory.prune(tier, quota=quota, dry_run=dry_run)
    return Result(report, upkeep_view(report))


@command(writes=True)
def undo(
    memory: SyncMemoryManager, operation_id: Annotated[str, typer.Argument(help="As prune and consolidate tell it.")]
) -> Result:
    """Take back what a consolidation or pruning changed."""
    count = memory.undo(operation_id)
    return Result({"restored": count}, f"{count} entries are as they were")
