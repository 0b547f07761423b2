"""`memory-mgr migrate`: a store of an earlier version, brought to the schema of this one."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from memory_mgr.cli.app import app
from memory_mgr.cli.command import ConfigOption, JsonOption, PathOption, Place, UrlOption
from memory_mgr.cli.output import console, print_json


@app.command()
def migrate(
    path: PathOption = None,
    url: UrlOption = None,
    config: ConfigOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be converted.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Bring a store that an earlier version wrote to this version's schema; an embedded one is copied first."""
    from memory_mgr.stores.migration import migrate as migrate_store

    report = migrate_store(Place(path, url, None, config).existing(), dry_run=dry_run)
    if as_json:
        print_json(asdict(report))
    elif not report.entries and not report.namespaces:
        console.print("Nothing to do: everything has this version's schema.")
    else:
        did = "would be" if dry_run else "were"
        console.print(f"{report.entries} entries in {report.namespaces} namespaces {did} converted.")
        if report.backup is not None:
            console.print(f"The store as it was: {report.backup}")
