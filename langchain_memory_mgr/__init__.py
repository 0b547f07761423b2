"""memory-mgr for LangChain and LangGraph: chains, agents, histories, stores. Needs the extra `[langchain]`.

Names are loaded when they are first used, so each needs only the packages of its own extra.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_memory_mgr.bridges import LangChainLLM
    from langchain_memory_mgr.history import USER_AND_CONVERSATION, TieredChatMessageHistory
    from langchain_memory_mgr.memory import TieredMemory
    from langchain_memory_mgr.middleware import TieredMemoryMiddleware
    from langchain_memory_mgr.retriever import TieredMemoryRetriever
    from langchain_memory_mgr.store import TieredMemoryStore
    from langchain_memory_mgr.tools import create_memory_tools

__all__ = [
    "USER_AND_CONVERSATION",
    "LangChainLLM",
    "TieredChatMessageHistory",
    "TieredMemory",
    "TieredMemoryMiddleware",
    "TieredMemoryRetriever",
    "TieredMemoryStore",
    "create_memory_tools",
]

_HOMES = {
    "LangChainLLM": ("bridges", "langchain"),
    "USER_AND_CONVERSATION": ("history", "langchain"),
    "TieredChatMessageHistory": ("history", "langchain"),
    "TieredMemory": ("memory", "langchain-classic"),
    "TieredMemoryMiddleware": ("middleware", "langchain-agents"),
    "TieredMemoryRetriever": ("retriever", "langchain"),
    "TieredMemoryStore": ("store", "langchain"),
    "create_memory_tools": ("tools", "langchain"),
}
"""Where each public name lives, and the extra that it needs."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home, extra = _HOMES[name]
    try:
        value = getattr(import_module(f"{__name__}.{home}"), name)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if not package.startswith("lang"):
            raise
        from memory_mgr.errors import MissingDependencyError

        raise MissingDependencyError(package, extra, f"{__name__}.{name}") from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
