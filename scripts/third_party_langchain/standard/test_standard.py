"""LangChain's standard tests, on the retriever and on each memory tool."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.tools import BaseTool
from langchain_tests.integration_tests import RetrieversIntegrationTests, ToolsIntegrationTests
from langchain_tests.unit_tests import ToolsUnitTests

from langchain_memory_mgr import TieredMemoryRetriever, create_memory_tools
from memory_mgr import SyncMemoryManager
from memory_mgr.testing import FakeEmbedder

MEMORY = SyncMemoryManager(path=":memory:", embedder=FakeEmbedder())
MEMORY.add_memories([f"tea fact {n}" for n in range(5)])
TOOLS = {tool.name: tool for tool in create_memory_tools(memory=MEMORY, user_key=None)}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "search_memory": {"query": "tea"},
    "save_memory": {"content": "Ada likes tea."},
    "update_memory": {"id": "unknown", "content": "Ada likes coffee."},
    "forget_memory": {"id": "unknown"},
}


class TestRetriever(RetrieversIntegrationTests):
    """Five tests."""

    @property
    def retriever_constructor(self) -> type[TieredMemoryRetriever]:
        return TieredMemoryRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"memory": MEMORY}

    @property
    def retriever_query_example(self) -> str:
        return "tea fact"


@pytest.mark.parametrize("tool_name", sorted(TOOLS))
class _Tool:
    @pytest.fixture(autouse=True)
    def _named(self, tool_name: str) -> None:
        self.name = tool_name

    @property
    def tool_constructor(self) -> BaseTool:
        return TOOLS[getattr(self, "name", "search_memory")]

    @property
    def tool_invoke_params_example(self) -> dict[str, Any]:
        return ARGUMENTS[getattr(self, "name", "search_memory")]


class TestToolsUnit(_Tool, ToolsUnitTests):
    """For each tool."""


class TestToolsIntegration(_Tool, ToolsIntegrationTests):
    """For each tool."""
