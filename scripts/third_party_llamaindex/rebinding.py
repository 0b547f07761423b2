"""A pytest plugin: LlamaIndex's own tests, unmodified, on this package's classes.

Before any test file is imported, the names under which LlamaIndex's engines, agents and tests know their memories are
bound to ours. `--rebind memory`: `Memory` and `ChatMemoryBuffer` are `TieredMemory`. `--rebind store`: `Memory` is
LlamaIndex's own, but keeps its messages in a `TieredChatStore`.

Each memory gets a namespace of its own on one embedded Chroma in a temporary folder, as each of theirs gets a store
of its own. `expected.toml` lists the tests that speak of something else than what a memory does, with reasons.
"""

from __future__ import annotations

import sys
import tempfile
import tomllib
import uuid
from functools import cache
from pathlib import Path
from typing import Any

import llama_index.core.memory
import pytest
from llama_index.core import Settings
from llama_index.core.agent.workflow import base_agent, multi_agent_workflow
from llama_index.core.bridge.pydantic import Field
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.llms import MockLLM
from llama_index.core.memory import ChatMemoryBuffer, Memory
from llama_index.core.storage.chat_store.base_db import AsyncDBChatStore

from llamaindex_memory_mgr import TieredChatStore, TieredMemory
from memory_mgr import MemoryConfig, SyncMemoryManager
from memory_mgr.policy.eviction import EvictionConfig
from memory_mgr.testing import FakeEmbedder

EXPECTED: dict[str, dict[str, str]] = tomllib.loads(Path(__file__).with_name("expected.toml").read_text("utf-8"))


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="third-party-")


@cache
def _manager() -> SyncMemoryManager:
    # As their buffers: no more leaves the window than has to.
    return SyncMemoryManager(
        MemoryConfig(path=_folder().name, embedder=FakeEmbedder(), short_term=EvictionConfig(evict_to=1.0))
    )


def _fresh() -> SyncMemoryManager:
    return _manager().scoped("third-party", uuid.uuid4().hex)


class OurMemory(TieredMemory):
    """Opens a fresh namespace where LlamaIndex's classes would make a fresh store.

    Their limits of a few tokens are all for the history, so no share is kept for recalled text.
    """

    def __init__(self, **fields: Any) -> None:
        if fields.get("connection") is None and fields.get("memory") is None:
            fields["memory"] = _fresh()
        if "session_id" in fields:
            fields["conversation_id"] = fields.pop("session_id")
        fields.setdefault("memory_tokens", 0)
        super().__init__(**fields)


class OurStore(Memory):
    """LlamaIndex's memory on our chat store."""

    sql_store: AsyncDBChatStore = Field(default_factory=lambda: TieredChatStore(memory=_fresh()))


def _rebind(names: dict[str, type]) -> None:
    """Bind the names in every module of LlamaIndex that holds them, and in the defaults of functions."""
    old = {"Memory": Memory, "ChatMemoryBuffer": ChatMemoryBuffer}
    for name, ours in names.items():
        for module in [m for key, m in sys.modules.items() if key.startswith("llama_index.")]:
            if vars(module).get(name) is old[name]:
                setattr(module, name, ours)
        make: Any = SimpleChatEngine.from_defaults
        make.__func__.__defaults__ = tuple(ours if d is old[name] else d for d in make.__func__.__defaults__)
    if "ChatMemoryBuffer" in names:
        assert base_agent.ChatMemoryBuffer is multi_agent_workflow.ChatMemoryBuffer is OurMemory
    assert llama_index.core.memory.Memory is names["Memory"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--rebind`."""
    parser.addoption("--rebind", choices=["memory", "store"], required=True)


def pytest_configure(config: pytest.Config) -> None:
    """Rebind before collection."""
    if config.getoption("--rebind") == "memory":
        _rebind({"Memory": OurMemory, "ChatMemoryBuffer": OurMemory})
    else:
        _rebind({"Memory": OurStore})


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Expected failures must fail: one that passes is reported."""
    expected = EXPECTED[str(config.getoption("--rebind"))]
    for item in items:
        reason = expected.get(item.nodeid.partition("[")[0].removeprefix("tests/"))
        if reason is not None:
            item.add_marker(pytest.mark.xfail(reason=reason, strict=True))


@pytest.fixture(autouse=True)
def _offline() -> None:
    """No model is reached for by default."""
    Settings._llm = MockLLM()


def pytest_unconfigure() -> None:
    """Close and remove the store."""
    if _manager.cache_info().currsize:
        _manager().close()
        _folder().cleanup()
