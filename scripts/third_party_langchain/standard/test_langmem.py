"""LangMem's tools and its background manager's store, unchanged, on TieredMemoryStore."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from langmem import create_manage_memory_tool, create_search_memory_tool

from langchain_memory_mgr import TieredMemoryStore
from memory_mgr import MemoryConfig
from memory_mgr.testing import FakeEmbedder

ADA: Any = {"configurable": {"langgraph_user_id": "ada"}}
BOB: Any = {"configurable": {"langgraph_user_id": "bob"}}
NAMESPACE = ("memories", "{langgraph_user_id}")


@pytest.mark.parametrize("awaited", [False, True])
def test_langmem_creates_updates_finds_and_deletes(tmp_path: Any, awaited: bool) -> None:
    """Sync and async, per user."""
    with TieredMemoryStore(config=MemoryConfig(path=tmp_path, embedder=FakeEmbedder())) as store:
        manage = create_manage_memory_tool(NAMESPACE, store=store)
        search = create_search_memory_tool(NAMESPACE, store=store)

        def call(tool: Any, config: Any, **arguments: Any) -> str:
            done = asyncio.run(tool.ainvoke(arguments, config)) if awaited else tool.invoke(arguments, config)
            return str(done)

        made = call(manage, ADA, action="create", content="Ada likes tea.").rpartition(" ")[2]
        call(manage, BOB, action="create", content="Bob likes rain.")
        (found,) = json.loads(call(search, ADA, query="tea"))
        assert found["value"] == {"content": "Ada likes tea."}
        assert found["key"] == made
        call(manage, ADA, action="update", id=made, content="Ada likes coffee.")
        (found,) = json.loads(call(search, ADA, query="coffee"))
        assert found["value"] == {"content": "Ada likes coffee."}
        assert found["created_at"] <= found["updated_at"]
        call(manage, ADA, action="delete", id=made)
        assert json.loads(call(search, ADA, query="coffee")) == []
        assert len(json.loads(call(search, BOB, query="rain"))) == 1
