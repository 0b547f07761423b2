"""Fixtures every test may use: a memory on a fresh folder, a clock that stands still, a small embedder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from memory_mgr import MemoryConfig, SyncMemoryManager
from memory_mgr.testing import FakeClock, FakeEmbedder

from .server import chroma_server

# How long an example takes says more about the machine than about the code.
settings.register_profile("memory-mgr", deadline=None)
settings.load_profile("memory-mgr")


@pytest.fixture
def clock() -> FakeClock:
    """A clock that moves only when told to."""
    return FakeClock()


@pytest.fixture
def config(tmp_path: Path, clock: FakeClock) -> MemoryConfig:
    """Embedded Chroma in a fresh folder, with the small embedder."""
    return MemoryConfig(path=tmp_path / "memory", namespace="tests", embedder=FakeEmbedder(), clock=clock)


@pytest.fixture
def memory(config: MemoryConfig) -> Iterator[SyncMemoryManager]:
    """A memory that is open."""
    with SyncMemoryManager(config) as manager:
        yield manager


@pytest.fixture(scope="session")
def chroma_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Chroma server that all tests share: keep to a namespace or database of your own."""
    with chroma_server(tmp_path_factory.mktemp("server")) as url:
        yield url
