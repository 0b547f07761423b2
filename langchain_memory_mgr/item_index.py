"""The `index` of a LangGraph store: which fields of a value are embedded, and by what."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

from langchain_core.embeddings import Embeddings
from langgraph.store.base import IndexConfig, ensure_embeddings

from memory_mgr import ConfigurationError, MemoryConfig, MemoryManager, SyncMemoryManager
from memory_mgr.protocols import TextKind

WHOLE = "$"
"""The path of the value itself, as JSON."""


class IndexEmbedder:
    """What an `IndexConfig` embeds with, as the core's `Embedder`; also what can only be awaited.

    Args:
        embed: LangChain's Embeddings, a function, an async function, or "provider:model".
        dimensions: Length of the vectors; None = found by embedding one word.
    """

    def __init__(self, embed: Any, dimensions: int | None) -> None:
        self.embeddings: Embeddings = ensure_embeddings(embed)
        self.dimensions = dimensions
        self.name = _name(embed)
        self._await_only = not isinstance(embed, Embeddings | str) and _is_async(embed)

    def embed(self, texts: Sequence[str], *, kind: TextKind) -> Any:
        """Vectors of texts."""
        if self._await_only:
            return _awaited(lambda: self.embeddings.aembed_documents(list(texts)))
        if kind == "query":
            return [self.embeddings.embed_query(text) for text in texts]
        return self.embeddings.embed_documents(list(texts))


def settings_with(
    index: IndexConfig | Literal[False] | None,
    memory: MemoryManager | SyncMemoryManager | None,
    config: MemoryConfig | None,
) -> tuple[MemoryConfig | None, Embeddings | None]:
    """The settings of a memory that embeds as `index` says, and what it embeds with if it names that.

    Raises:
        ConfigurationError: The memory embeds with something else.
    """
    embed = index.get("embed") if index else None
    if not index or embed is None:
        return config, None
    embedder = IndexEmbedder(embed, index.get("dims"))
    if memory is not None:
        if memory.config.embedder is not embed:
            raise ConfigurationError(
                "index names something to embed with, but an open memory brings its own embedder; "
                "leave 'embed' out, or give config= in place of memory="
            )
        return config, embedder.embeddings
    return (config or MemoryConfig()).replaced(embedder=embedder), embedder.embeddings


def fields_of(index: IndexConfig | None, own: Literal[False] | Sequence[str] | None) -> Sequence[str]:
    """The paths that an item is found by.

    Args:
        index: The store's; None = nothing is found.
        own: The item's, see `PutOp.index`.
    """
    if index is None or own is False:
        return ()
    return (index.get("fields") or [WHOLE]) if own is None else own


def _name(embed: Any) -> str:
    if isinstance(embed, str):
        return embed
    named = [getattr(embed, attribute, None) for attribute in ("model_name", "model", "model_id", "__qualname__")]
    return next((name for name in named if isinstance(name, str) and name), type(embed).__qualname__)


def _is_async(embed: Any) -> bool:
    return inspect.iscoroutinefunction(embed) or inspect.iscoroutinefunction(type(embed).__call__)


def _awaited(call: Callable[[], Awaitable[Any]]) -> Any:
    """The result of a coroutine, from blocking code, whether or not this thread has a loop that runs."""

    async def wait() -> Any:
        return await call()

    with ThreadPoolExecutor(1) as alone:
        return alone.submit(lambda: asyncio.run(wait())).result()
