"""`memory-mgr scrub`: the bytes of what was deleted, removed from the files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from memory_mgr.cli.app import app
from memory_mgr.cli.command import JsonOption
from memory_mgr.cli.output import console, print_json


@app.command()
def scrub(
    folder: Annotated[Path, typer.Argument(help="Of a memory that is closed, or of a Chroma server that is stopped.")],
    as_json: JsonOption = False,
) -> None:
    """Remove from Chroma's files what is deleted: texts, and vectors, which a server keeps of what was forgotten."""
    from memory_mgr.stores.scrub import scrub_closed

    removed = scrub_closed(folder)
    if as_json:
        print_json({"removed_bytes": removed})
    else:
        console.print(f"{removed / 1e6:,.1f} MB removed.")
