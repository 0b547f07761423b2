"""Importing the library is cheap and pulls in nothing heavy, and the rooms know only those before them."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import memory_mgr

ROOT = Path(memory_mgr.__file__).parent
HEAVY = ("chromadb", "onnxruntime", "langchain_core", "langchain", "llama_index", "tiktoken", "rich", "typer")
ROOMS = [
    "types",
    "protocols",
    "errors",
    "events",
    "policy",
    "config",
    "stores",
    "defaults",
    "engine",
    "manager",
    "conversation",
]
"""Each may import those before it; config holds the settings of the policies."""


def test_importing_loads_nothing_heavy() -> None:
    """Chroma, models and frameworks are imported when they are needed."""
    script = "import sys, json, memory_mgr; print(json.dumps(sorted(m for m in sys.modules)))"
    loaded = json.loads(subprocess.check_output([sys.executable, "-c", script], text=True))
    assert not [m for m in loaded if m.split(".")[0] in HEAVY]


def test_rooms_import_only_rooms_before_them() -> None:
    """The order of the architecture is the order of the imports."""
    wrong = []
    for file in ROOT.rglob("*.py"):
        room = file.relative_to(ROOT).parts[0].removesuffix(".py")
        if room not in ROOMS:
            continue
        for imported in _imports(file):
            other = imported.split(".")[1] if imported.startswith("memory_mgr.") else room
            if other in ROOMS and ROOMS.index(other) > ROOMS.index(room):
                wrong.append(f"{file.relative_to(ROOT)} imports {imported}")
    assert not wrong


def _imports(file: Path) -> list[str]:
    """Modules imported when the file is loaded; what stands under TYPE_CHECKING or in functions is not."""
    tree = ast.parse(file.read_text("utf-8"))
    return [node.module for node in tree.body if isinstance(node, ast.ImportFrom) and node.module]


def test_only_the_chroma_modules_name_chromadb_at_their_top() -> None:
    """Everything else reaches Chroma through the store."""
    importers = [
        file.relative_to(ROOT).as_posix()
        for file in ROOT.rglob("*.py")
        if any(
            (isinstance(node, ast.Import) and any(a.name.split(".")[0] == "chromadb" for a in node.names))
            or (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "chromadb")
            for node in ast.parse(file.read_text("utf-8")).body
        )
    ]
    assert "stores/chroma.py" in importers
    assert not [module for module in importers if not module.startswith("stores/chroma")]


def test_every_public_name_is_there() -> None:
    """What `__all__` promises can be imported, sorted, and is what `dir` shows."""
    for name in memory_mgr.__all__:
        assert getattr(memory_mgr, name) is not None
    assert dir(memory_mgr) == sorted(memory_mgr.__all__)
    assert set(memory_mgr.__all__) - {"__version__"} == memory_mgr._HOMES.keys()
