"""`memory-mgr repair`: indexes that Chroma cannot read, made anew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from memory_mgr.bars import progress_bar
from memory_mgr.cli.app import app
from memory_mgr.cli.command import JsonOption
from memory_mgr.cli.output import console, print_json


@app.command()
def repair(
    folder: Annotated[Path, typer.Argument(help="Of a memory that is closed, or of a Chroma server that is stopped.")],
    as_json: JsonOption = False,
) -> None:
    """Make indexes anew that a kill left unreadable. A memory that is opened does so itself; a server cannot."""
    from memory_mgr.stores.repairing import repair_closed

    with progress_bar("looking at indexes") as progress:
        repaired = repair_closed(folder, progress)
    if as_json:
        print_json({"repaired": repaired})
    else:
        console.print(f"repaired: {', '.join(repaired) or 'nothing was damaged'}")
