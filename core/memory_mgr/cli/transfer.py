"""In and out: `export`, `import`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from memory_mgr.cli.command import Result, TierOption, WhereOption, command, json_object
from memory_mgr.cli.output import progress
from memory_mgr.errors import InvalidInputError

if TYPE_CHECKING:
    from memory_mgr.engine.manager import SyncMemoryManager


@command()
def export(
    memory: SyncMemoryManager,
    file: Annotated[Path, typer.Argument(help="File of JSON lines to write; '-' is standard output.")],
    tier: TierOption = None,
    where: WhereOption = None,
    vectors: Annotated[bool, typer.Option("--vectors", help="Vectors too, so that importing needs no model.")] = False,
) -> Result:
    """Write a namespace to a file, history too; the same memories make the same bytes."""
    target: Any = sys.stdout if str(file) == "-" else file
    with progress("Exporting") as told:
        count = memory.export_memories(
            target, memory_type=tier or None, filters=json_object(where, "--where"), with_vectors=vectors, progress=told
        )
    if target is sys.stdout:
        return Result(None, None)
    return Result({"exported": count, "file": str(file)}, f"{count:,} memories written to {file}")


@command("import", writes=True, creates=True)
def import_(
    memory: SyncMemoryManager,
    file: Annotated[Path, typer.Argument(help="File that `export` wrote; '-' is standard input.")],
    on_conflict: Annotated[
        str, typer.Option("--on-conflict", help="If an id holds something else: error, keep or replace.")
    ] = "error",
) -> Result:
    """Read a file of `export` into a namespace; all of it is checked before anything is written."""
    if on_conflict not in {"error", "keep", "replace"}:
        raise InvalidInputError(f"--on-conflict is error, keep or replace, not {on_conflict!r}")
    source: Any = sys.stdin if str(file) == "-" else file
    with progress("Importing") as told:
        report = memory.import_memories(source, on_conflict=on_conflict, progress=told)  # type: ignore[arg-type]
    return Result(
        report, f"{report.added:,} added, {report.replaced:,} replaced, {report.unchanged:,} were there already"
    )
