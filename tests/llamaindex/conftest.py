"""Fixtures for LlamaIndex: a memory on real Chroma in a fresh folder."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("llama_index.core")

from llama_index.core import Settings
from llama_index.core.llms import MockLLM

from llamaindex_memory_mgr import TieredMemory
from llamaindex_memory_mgr.counting import MessageCounter, resolve_tokenizer
from memory_mgr import MemoryConfig, SyncMemoryManager
from memory_mgr.testing import FakeEmbedder


def pytest_itemcollected(item: pytest.Item) -> None:
    """Workflows look at every attribute of an agent, pydantic's deprecated ones too."""
    item.add_marker(pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning"))
    item.add_marker(pytest.mark.filterwarnings("ignore::DeprecationWarning:llama_index.*"))


@pytest.fixture(autouse=True)
def _no_settings() -> Iterator[None]:
    """LlamaIndex's global settings are empty before and after each test, so that nothing reaches for a network."""
    before = (Settings._llm, Settings._embed_model)
    Settings._llm, Settings._embed_model = MockLLM(), None
    yield
    Settings._llm, Settings._embed_model = before


@pytest.fixture(autouse=True)
def _no_loop() -> None:
    """LlamaIndex's blocking wrappers then run a loop of their own and close it; else they leave the main one open."""
    asyncio.set_event_loop(None)


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


@pytest.fixture
def chat(store: SyncMemoryManager) -> TieredMemory:
    """A conversation's memory with room for everything."""
    return TieredMemory.from_defaults(memory=store, conversation_id="chat", token_limit=3000)


@pytest.fixture(scope="session")
def counter() -> MessageCounter:
    """Counts exactly, with cl100k_base."""
    return MessageCounter(resolve_tokenizer(None, MemoryConfig()))
