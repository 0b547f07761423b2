"""The store conformance suite that users get, on every store there is."""

from __future__ import annotations

import itertools
import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from memory_mgr import MemoryConfig
from memory_mgr.stores.base import VectorStore
from memory_mgr.stores.opening import open_store
from memory_mgr.testing import StoreConformance
from memory_mgr.testing.conformance import SPACE


class Suite(StoreConformance):
    """Opens stores and closes them after the test."""

    @pytest.fixture(autouse=True)
    def _closed(self) -> Iterator[None]:
        self.opened: list[VectorStore] = []
        yield
        for store in self.opened:
            store.close()

    def opened_store(self, config: MemoryConfig) -> VectorStore:
        """The store of a config."""
        self.opened.append(open_store(config, SPACE))
        return self.opened[-1]


class TestInMemory(Suite):
    """The twin that keeps nothing."""

    def make_store(self) -> VectorStore:
        """A fresh one."""
        return self.opened_store(MemoryConfig(path=":memory:"))


class TestEmbeddedChroma(Suite):
    """Chroma in a folder."""

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    def make_store(self) -> VectorStore:
        """On a fresh folder."""
        return self.opened_store(MemoryConfig(path=self.folder / "memory"))


class TestChromaServer(Suite):
    """A real server process; each store in a database of its own."""

    numbers = itertools.count()

    @pytest.fixture(autouse=True)
    def _server(self, chroma_url: str) -> None:
        self.url = chroma_url

    def make_store(self) -> VectorStore:
        """On a fresh database."""
        name = f"conformance-{next(self.numbers)}"
        request = urllib.request.Request(
            f"{self.url}/api/v2/tenants/default_tenant/databases",
            data=json.dumps({"name": name}).encode(),
            headers={"Content-Type": "application/json"},
        )
        urllib.request.urlopen(request).close()
        return self.opened_store(MemoryConfig(url=self.url, database=name))
