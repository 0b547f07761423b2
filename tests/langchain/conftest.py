"""Fixtures for LangChain: a memory on real Chroma in a fresh folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("langchain_core")

from memory_mgr import MemoryConfig, SyncMemoryManager
from memory_mgr.testing import FakeEmbedder


def pytest_itemcollected(item: pytest.Item) -> None:
    """The chains of 2023 are deprecated; that is why they are tested."""
    item.add_marker(pytest.mark.filterwarnings("ignore::DeprecationWarning:langchain_classic.*"))
    item.add_marker(pytest.mark.filterwarnings("ignore:.*deprecated in LangChain.*"))
    item.add_marker(pytest.mark.filterwarnings("ignore:.*langchain_core.*:DeprecationWarning"))


@pytest.fixture
def embedder() -> FakeEmbedder:
    """Counts what it embeds."""
    return FakeEmbedder()


@pytest.fixture
def config(tmp_path: Path, embedder: FakeEmbedder) -> MemoryConfig:
    """Embedded Chroma in a fresh folder."""
    return MemoryConfig(path=tmp_path / "memory", namespace="tests", embedder=embedder)


@pytest.fixture
def store(config: MemoryConfig) -> Iterator[SyncMemoryManager]:
    """The open memory."""
    with SyncMemoryManager(config) as manager:
        yield manager
