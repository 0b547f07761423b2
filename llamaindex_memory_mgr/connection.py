"""Which memory an object talks to, and how it finds it again in another process.

What LlamaIndex saves of an object (`Context.to_dict`) is a handle: where the memory is and whose. No messages, no
secrets, no models. A handle is resolved at first use, to a memory that is open in this process if there is one.
"""

from __future__ import annotations

import json
import threading
import uuid
import weakref
from pathlib import Path
from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.llms.llm import LLM

from llamaindex_memory_mgr.bridges import memory_config
from llamaindex_memory_mgr.counting import Tokenizer
from memory_mgr import (
    ConfigurationError,
    ManagerClosedError,
    MemoryConfig,
    MemoryManager,
    SyncMemoryManager,
    connection,
)

Handle = dict[str, Any]

_KEPT = ("namespace", "path", "url", "tenant", "database", "catalog_path", "read_only", "timeout_seconds")
_SECTIONS = ("short_term", "working", "long_term", "episodic", "importance_model", "recall", "packing")

_open: weakref.WeakValueDictionary[str, MemoryManager] = weakref.WeakValueDictionary()
_tokens: weakref.WeakKeyDictionary[object, str] = weakref.WeakKeyDictionary()
_open_lock = threading.Lock()


def register_memory(memory: MemoryManager | SyncMemoryManager) -> MemoryManager:
    """Let handles that name this place and namespace resolve to `memory` in this process.

    Objects do this with the memory they are given. Call it before restoring a Context, and keep what it returns, if
    the memory needs what no handle holds: a token in `headers`, an embedder of your own.
    """
    manager = MemoryManager.wrapping(memory) if isinstance(memory, SyncMemoryManager) else memory
    with _open_lock:
        # What is in this process only is named by the object itself, so that no handle ever finds another's memory.
        token = _tokens.setdefault(memory, uuid.uuid4().hex)
        _tokens[manager] = token
        _open[_place(manager.config, token)] = manager
    return manager


class Connection(connection.Connection):
    """A memory, given, made of settings, or named by a handle. Thread-safe.

    Args:
        memory: An open memory.
        config: Settings of a memory that this object opens and closes.
        handle: What `handle` returned before, in place of both.
        llm: See `bridges.memory_config`; used if a memory is made here.
        embed_model: Likewise.
        tokenizer_fn: Likewise.

    Raises:
        ConfigurationError: Both a memory and a config are given, or something else than these.
    """

    def __init__(
        self,
        memory: MemoryManager | SyncMemoryManager | None = None,
        config: MemoryConfig | None = None,
        *,
        handle: Handle | None = None,
        llm: LLM | None = None,
        embed_model: BaseEmbedding | None = None,
        tokenizer_fn: Tokenizer | None = None,
    ) -> None:
        self._lock = threading.Lock()
        self._handle = handle
        if memory is None:
            config = memory_config(
                config if handle is None else _config_of(handle),
                llm=llm,
                embed_model=embed_model,
                tokenizer_fn=tokenizer_fn,
            )
        super().__init__(memory, config)
        self._found_at_last = handle is None
        if handle is None:
            self._manager = register_memory(memory or self._manager)

    @property
    def manager(self) -> MemoryManager:
        """The memory; a handle is resolved now, if it was not before.

        Raises:
            ConfigurationError: A handle names a memory that was in another process only.
        """
        with self._lock:
            if not self._found_at_last:
                self._manager = self._found() or self._made()
                self._found_at_last = True
            return self._manager

    def _found(self) -> MemoryManager | None:
        """The open memory that the handle names."""
        with _open_lock:
            manager = _open.get(str((self._handle or {}).get("place")))
        if manager is None or _closed(manager):
            return None
        self._owned = False
        return manager

    def _made(self) -> MemoryManager:
        if self._handle is not None and self._handle.get("here_only"):
            raise ConfigurationError(
                "this was saved with a memory that only its own process could reach (a chromadb client given as "
                "client=, or path=':memory:'); use path= or url= for a memory that outlives a process"
            )
        return register_memory(MemoryManager(self.config))

    def handle(self) -> Handle:
        """Where the memory is and whose, in JSON primitives."""
        config = self.config
        dumped = config.model_dump(mode="json", include=set(_KEPT) | set(_SECTIONS), exclude_defaults=True)
        dumped["namespace"] = list(config.namespace)
        if config.path is not None and not config.in_memory:
            dumped["path"] = str(Path(config.path).expanduser().resolve())
        with _open_lock:
            token = _tokens.get(self._manager, "")
        place = self._handle["place"] if self._handle is not None else _place(config, token)
        return {"place": place, "settings": dumped, "here_only": _here_only(config)}


def _config_of(handle: Handle) -> MemoryConfig:
    settings = dict(handle.get("settings") or {})
    if "namespace" in settings:
        settings["namespace"] = tuple(settings["namespace"])
    return MemoryConfig(**settings)


def _here_only(config: MemoryConfig) -> bool:
    return config.client is not None or config.in_memory


def _place(config: MemoryConfig, token: str) -> str:
    """The same for settings that lead to the same namespace of the same store in this process."""
    if _here_only(config):
        where: list[Any] = ["here", token]
    elif config.url is not None:
        where = ["url", config.url, config.tenant, config.database]
    else:
        where = ["path", str(Path(str(config.path)).expanduser().resolve())]
    return json.dumps([*where, list(config.namespace)])


def _closed(manager: MemoryManager) -> bool:
    try:
        manager.sync.flush()
    except ManagerClosedError:
        return True
    return False
