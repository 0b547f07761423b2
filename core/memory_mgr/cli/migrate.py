"""`memory-mgr migrate`: a store of an earlier version, brought to the schema of this one."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from memory_mgr.cli.app import JsonOption, PathOption, UrlOption, app, console, print_json, settings
from memory_mgr.stores.migration import migrate as migrate_store


@app.command()
def migrate(
    path: PathOption = None,
    url: UrlOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be converted.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Bring a store that an earlier version wrote to this version's schema; an embedded one is copied first."""
    report = migrate_store(settings(path, url, "default"), dry_run=dry_run)
    if as_json:
        print_json(asdict(report))
    elif not report.entries and not report.namespaces:
        console.print("Nothing to do: everything has this version's schema.")
    else:
        did = "would be" if dry_run else "were"
        console.print(f"{report.entries} entries in {report.namespaces} namespaces {did} converted.")
        if report.backup is not None:
            console.print(f"The store as it was: {report.backup}")
