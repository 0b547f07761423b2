"""`TieredMemoryStore`: LangGraph's long-term store on this memory, a key-value store first and searchable second."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Any, Literal, Self, cast

from langgraph.store.base import (
    BaseStore,
    GetOp,
    IndexConfig,
    Item,
    ListNamespacesOp,
    MatchCondition,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
    TTLConfig,
)

from langchain_memory_mgr.item_filters import below
from langchain_memory_mgr.item_index import WHOLE, fields_of, settings_with
from langchain_memory_mgr.items import (
    NAMESPACE,
    TIER,
    UNINDEXED,
    Labels,
    as_item,
    as_new_memory,
    as_search_item,
    item_id,
    namespace_of,
)
from memory_mgr import (
    ConfigurationError,
    InvalidInputError,
    MemoryConfig,
    MemoryEntry,
    MemoryManager,
    MemoryMgrError,
    SyncMemoryManager,
)
from memory_mgr.connection import Connection
from memory_mgr.defaults.adapters import as_clock

log = logging.getLogger(__name__)
_RENEW_SHARE = 0.01
"""A read renews a time to live when this share of it has passed: reading often does not write each time."""
_SWEEP_MINUTES = 5.0
_TTL_SETTINGS = set(TTLConfig.__annotations__)


class TieredMemoryStore(BaseStore):
    """Keeps what graphs and agents put into it, unchanged, in a namespace of the memory of its own.

    Values are never rewritten, merged or deduplicated; they hold JSON, and also bytes, dates, tuples and what
    LangChain serialises. In a batch, reads see what was there before its puts, and the last put of a key wins.
    What has expired is never returned, swept or not. Search without a query gives the latest items first, with a
    query the nearest first, and items that are not indexed last, without a score. Thread-safe; pickles as its
    settings.

    Args:
        memory: An open memory; else one is opened with `config`, or with MemoryConfig()'s ./memory.
        config: Settings of a memory to open.
        index: LangGraph's IndexConfig; "embed" and "dims" may be left out, the memory then embeds. Default: whole
            values. False = nothing is embedded, and queries are ignored.
        ttl: LangGraph's TTLConfig, in minutes.
        name: Of the store; stores of different names in one memory know nothing of each other.

    Raises:
        ConfigurationError: Both a memory and a config are given, or index and ttl cannot work.
    """

    supports_ttl = True

    def __init__(
        self,
        *,
        memory: MemoryManager | SyncMemoryManager | None = None,
        config: MemoryConfig | None = None,
        index: IndexConfig | Literal[False] | None = None,
        ttl: TTLConfig | None = None,
        name: str = "store",
    ) -> None:
        if unknown := set(ttl or ()) - _TTL_SETTINGS:
            raise ConfigurationError(f"unknown ttl settings {sorted(unknown)}; there are {sorted(_TTL_SETTINGS)}")
        config, self.embeddings = settings_with(index, memory, config)
        self.index_config: IndexConfig | None = None
        if index is not False:
            self.index_config = cast("IndexConfig", {"fields": [WHOLE], **(index or {})})
        self.ttl_config = cast("TTLConfig", dict(ttl)) if ttl else None
        self.name = name
        self._connection = Connection(memory, config)
        self._bind()

    def _bind(self) -> None:
        self._clock = as_clock(self._connection.config.clock)
        self._own: SyncMemoryManager | None = None
        self._sweeping: threading.Event | None = None
        self._sweeper: threading.Thread | None = None

    @property
    def memory(self) -> SyncMemoryManager:
        """The namespace of the memory that holds the items."""
        if self._own is None:
            self._own = self._connection.sync.scoped(self.name)
        return self._own

    # --- operations ----------------------------------------------------------------------------------------

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Carry out operations; their results in order.

        Raises:
            InvalidInputError: A value cannot be stored, a filter not be read; nothing was written.
            EmbeddingError: The embedder failed; nothing was put.
        """
        results: list[Result] = []
        puts: dict[str, PutOp] = {}
        read: list[MemoryEntry] = []
        for op in ops:
            if isinstance(op, PutOp):
                puts[item_id(op.namespace, op.key)] = op
                results.append(None)
            elif isinstance(op, GetOp):
                results.append(self._get(op, read))
            elif isinstance(op, SearchOp):
                results.append(self._search(op, read))
            elif isinstance(op, ListNamespacesOp):
                results.append(self._namespaces(op))
            else:
                raise InvalidInputError(
                    f"unknown operation {op!r:.80}; LangGraph has get, put, search, list_namespaces"
                )
        news = [as_new_memory(op, self._fields(op)) for op in puts.values() if op.value is not None]
        self._renew(read)
        gone = [memory_id for memory_id, op in puts.items() if op.value is None]
        if gone:
            self.memory.delete_memories(gone)
        if news:
            self.memory.put_memories(news, TIER)
        return results

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """As `batch`, in the memory's workers."""
        return await self._connection.run(self.batch, list(ops))

    def _fields(self, op: PutOp) -> Sequence[str]:
        return fields_of(self.index_config, op.index)

    def _get(self, op: GetOp, read: list[MemoryEntry]) -> Item | None:
        now = self._clock.now()
        entries = self.memory.get_memories([item_id(op.namespace, op.key)])
        entries = [entry for entry in entries if entry.expires_at is None or entry.expires_at > now]
        read += entries if op.refresh_ttl else []
        return as_item(entries[0]) if entries else None

    def _search(self, op: SearchOp, read: list[MemoryEntry]) -> list[SearchItem]:
        if op.query and op.query.strip() and self.index_config is not None:
            entries = self._ranked(op, op.query)
        else:
            entries = self.memory.list_memories(
                TIER,
                filters=below(op.namespace_prefix, op.filter),
                limit=op.limit,
                offset=op.offset,
                newest_first=True,
            )
        read += entries if op.refresh_ttl else []
        return [as_search_item(entry) for entry in entries]

    def _ranked(self, op: SearchOp, query: str) -> list[MemoryEntry]:
        """The nearest first; when there are no more, those that are not indexed."""
        filters = below(op.namespace_prefix, op.filter)
        entries = self.memory.similar_memories(query, TIER, op.limit, filters, offset=op.offset)
        if len(entries) == op.limit:
            return entries
        indexed = 0 if entries else len(self.memory.similar_memories(query, TIER, op.offset, filters))
        rest = {"$and": [*([filters] if filters else []), {f"metadata.{UNINDEXED}": True}]}
        return entries + self.memory.list_memories(
            TIER,
            filters=rest,
            limit=op.limit - len(entries),
            offset=0 if entries else op.offset - indexed,
            newest_first=True,
        )

    def _namespaces(self, op: ListNamespacesOp) -> list[Labels]:
        conditions = op.match_conditions or ()
        found = {namespace_of(text) for text in self.memory.metadata_values(NAMESPACE, TIER)}
        found = {namespace for namespace in found if all(_matches(c, namespace) for c in conditions)}
        return sorted({namespace[: op.max_depth] for namespace in found})[op.offset : op.offset + op.limit]

    # --- forgetting ----------------------------------------------------------------------------------------

    def forget(self, prefix: Sequence[str]) -> int:
        """Delete every item whose namespace begins with `prefix`, label by label; how many it was."""
        if isinstance(prefix, str):
            raise InvalidInputError(f"a namespace is a tuple of labels, not {prefix!r}; pass ({prefix!r},)")
        entries = self.memory.list_memories(TIER, filters=below(prefix), limit=None, include_superseded=True)
        return self.memory.delete_memories([entry.id for entry in entries])

    async def aforget(self, prefix: Sequence[str]) -> int:
        """As `forget`."""
        return await self._connection.run(self.forget, prefix)

    # --- time to live --------------------------------------------------------------------------------------

    def _renew(self, entries: Sequence[MemoryEntry]) -> None:
        if self.memory.config.read_only:
            return
        now = self._clock.now()
        due: dict[float, list[str]] = defaultdict(list)
        for entry in entries:
            seconds = entry.details.get("ttl_seconds")
            if isinstance(seconds, int | float) and entry.expires_at is not None:
                passed = seconds - (entry.expires_at - now) / timedelta(seconds=1)
                if passed >= _RENEW_SHARE * seconds:
                    due[seconds].append(entry.id)
        for seconds, ids in due.items():
            self.memory.renew_memories(ids, seconds)

    def sweep_ttl(self) -> int:
        """Delete what has expired; how many items it was."""
        return self.memory.delete_expired()

    async def asweep_ttl(self) -> int:
        """As `sweep_ttl`."""
        return await self._connection.run(self.sweep_ttl)

    def start_ttl_sweeper(self, sweep_interval_minutes: float | None = None) -> None:
        """Sweep now and then in a thread, until `stop_ttl_sweeper` or `close`; twice does no harm.

        Args:
            sweep_interval_minutes: Default: the ttl's `sweep_interval_minutes`, else 5.
        """
        if self._sweeper is not None:
            return
        minutes = sweep_interval_minutes or (self.ttl_config or {}).get("sweep_interval_minutes") or _SWEEP_MINUTES
        self._sweeping = threading.Event()
        self._sweeper = threading.Thread(
            target=self._sweep_until, args=(self._sweeping, minutes * 60), name="memory-mgr-sweeper", daemon=True
        )
        self._sweeper.start()

    def _sweep_until(self, stopped: threading.Event, seconds: float) -> None:
        while not stopped.wait(seconds):
            try:
                self.sweep_ttl()
            except MemoryMgrError:
                log.warning("sweeping expired items failed; trying again in %g s", seconds, exc_info=True)

    def stop_ttl_sweeper(self, timeout: float | None = None) -> bool:
        """Let the thread end; whether it has, within `timeout` seconds."""
        if self._sweeper is None or self._sweeping is None:
            return True
        self._sweeping.set()
        self._sweeper.join(timeout)
        if self._sweeper.is_alive():
            return False
        self._sweeper = self._sweeping = None
        return True

    # --- life ----------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Stop sweeping, and close the memory if this store opened it."""
        self.stop_ttl_sweeper()
        self._connection.close()

    async def aclose(self) -> None:
        """As `close`."""
        await self._connection.run(self.stop_ttl_sweeper)
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __getstate__(self) -> dict[str, Any]:
        running = {"_clock", "_own", "_sweeping", "_sweeper"}
        return {name: value for name, value in self.__dict__.items() if name not in running}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._bind()


def _matches(condition: MatchCondition, namespace: Labels) -> bool:
    """Whether a namespace begins or ends as asked; "*" stands for any one label."""
    path = tuple(condition.path)
    if condition.match_type not in {"prefix", "suffix"}:
        raise InvalidInputError(f"a namespace is matched by 'prefix' or 'suffix', not {condition.match_type!r}")
    if len(path) > len(namespace):
        return False
    labels = namespace[: len(path)] if condition.match_type == "prefix" else namespace[len(namespace) - len(path) :]
    return all(wanted in {"*", label} for wanted, label in zip(path, labels, strict=True))
