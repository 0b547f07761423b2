"""How many namespaces stay open."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from memory_mgr import MemoryConfig, SyncMemoryManager
from memory_mgr.testing import FakeEmbedder


@pytest.mark.parametrize(("files", "wanted", "kept"), [(1024, 3, 3), (64, 10, 2), (8, 10, 1)])
def test_few_namespaces_stay_open_where_few_files_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: int, wanted: int, kept: int
) -> None:
    """One for every 32 files the process may open, at least one, at most what is configured."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    config = MemoryConfig(path=tmp_path, namespace="root", embedder=FakeEmbedder(8), open_namespaces=wanted)
    with SyncMemoryManager(config) as memory:
        for number in range(5):
            memory.scoped(number).stats()
        assert len(memory._runtime.pool.open_repositories()) == kept
