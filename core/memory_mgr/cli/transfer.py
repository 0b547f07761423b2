"""In and out: `export`, `import`, and `reembed`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from memory_mgr.bars import progress_bar
from memory_mgr.cli.app import app
from memory_mgr.cli.command import (
    ConfigOption,
    JsonOption,
    PathOption,
    Place,
    Result,
    TierOption,
    UrlOption,
    WhereOption,
    command,
    json_object,
)
from memory_mgr.cli.output import memories, print_json, print_view
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
    with progress_bar("Exporting") as told:
        count = memory.export_memories(
            target, memory_type=tier or None, filters=json_object(where, "--where"), with_vectors=vectors, progress=told
        )
    if target is sys.stdout:
        return Result(None, None)
    return Result({"exported": count, "file": str(file)}, f"{memories(count)} written to {file}")


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
    with progress_bar("Importing") as told:
        report = memory.import_memories(source, on_conflict=on_conflict, progress=told)  # type: ignore[arg-type]
    return Result(
        report, f"{report.added:,} added, {report.replaced:,} replaced, {report.unchanged:,} were there already"
    )


@app.command()
def reembed(
    to: Annotated[Path | None, typer.Argument(help="Folder of the new store.")] = None,
    to_url: Annotated[str | None, typer.Option("--to-url", help="Or the Chroma server of the new store.")] = None,
    path: PathOption = None,
    url: UrlOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy a store, all namespaces, with vectors of the configured embedder; the old one is only read."""
    from memory_mgr.engine.reembedding import reembed as copy

    if (to is None) == (to_url is None):
        raise InvalidInputError("say where the new store shall be: a folder, or --to-url")
    source = Place(path, url, None, config).existing()
    target = source.replaced(path=to, url=to_url, catalog_path=None)
    with progress_bar("Embedding") as told:
        count = copy(source, target, progress=told)
    if as_json:
        print_json({"written": count, "to": to_url or str(to)})
    else:
        print_view(f"{count:,} entries embedded anew in {to_url or to}. Use that one from now on.")
