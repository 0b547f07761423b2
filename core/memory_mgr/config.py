"""Settings. All are frozen, bounded, and documented where they stand; nothing is read from the environment."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from pydantic import Field, field_validator, model_validator

from memory_mgr.policy.dedupe import DedupeConfig
from memory_mgr.policy.eviction import EvictionConfig
from memory_mgr.policy.importance import ImportanceConfig
from memory_mgr.policy.packing import PackingConfig
from memory_mgr.policy.recall_config import RecallConfig
from memory_mgr.policy.retention import RetentionConfig
from memory_mgr.policy.retry import RetryConfig
from memory_mgr.policy.settings import Settings
from memory_mgr.policy.supersession import SupersessionConfig
from memory_mgr.policy.suspicion import SuspicionConfig
from memory_mgr.types import MAX_TTL_SECONDS, Namespace

if TYPE_CHECKING:
    # What may be given is more than what is read: a text becomes a path, one label becomes a namespace.
    GivenPath: TypeAlias = Path | Any
    GivenNamespace: TypeAlias = Namespace | Any
else:
    GivenPath, GivenNamespace = Path, Namespace

IN_MEMORY = ":memory:"
DEFAULT_PATH = Path("memory")


class ShortTermConfig(EvictionConfig):
    """The window of recent messages of each conversation, see `policy.eviction`."""


class WorkingConfig(Settings):
    """Slots and notes of the current task."""

    max_tokens: int = Field(
        default=1000, ge=1, description="Tokens of all slots and notes of one task; oldest notes go first."
    )
    ttl_seconds: float | None = Field(
        default=None, gt=0, le=MAX_TTL_SECONDS, description="Time until a slot expires; None = when the task ends."
    )


class LongTermConfig(Settings):
    """Knowledge that outlives a conversation."""

    ttl_seconds: float | None = Field(
        default=None, gt=0, le=MAX_TTL_SECONDS, description="Time until an entry expires; None = never."
    )
    quota: int | None = Field(default=None, ge=1, description="Entries beyond which prune() lets the least worth go.")


class EpisodicConfig(Settings):
    """Summaries of past spans."""

    ttl_seconds: float | None = Field(
        default=None, gt=0, le=MAX_TTL_SECONDS, description="Time until a summary expires; None = never."
    )
    quota: int | None = Field(default=None, ge=1, description="Summaries beyond which prune() lets the least worth go.")
    summary_tokens: int = Field(default=300, ge=16, description="Tokens of one summary.")


class ModelConfig(Settings):
    """How the language model is asked, if there is one."""

    timeout_seconds: float = Field(
        default=30, gt=0, description="Longest wait for one answer; then it is done without."
    )
    attempts: int = Field(default=2, ge=1, le=10, description="Times it is asked when an answer is no use.")
    chunk_tokens: int = Field(default=3000, ge=100, description="Tokens of conversation in one question.")
    batch: int = Field(default=20, ge=1, le=100, description="Entries in one question of `consolidate`.")
    consolidates: bool = Field(
        default=True,
        description="Let `consolidate` ask it what is important and what is out of date, about two questions "
        "for every `batch` new entries.",
    )


class AutoConsolidateConfig(Settings):
    """When `consolidate` runs by itself, in the background; with both None it does not."""

    after_adds: int | None = Field(
        default=None, ge=1, description="Memories and messages added to a namespace since the last."
    )
    after_seconds: float | None = Field(default=None, gt=0, description="Time since the first of them.")
    max_seconds: float = Field(default=10, gt=0, description="Longest run at a time; what is left is gone on with.")


class MemoryConfig(Settings):
    """Where memory is kept, whose it is, and how it behaves.

    Exactly one place: `path` (embedded Chroma, the default, "./memory"; ":memory:" keeps nothing), `url` (a Chroma
    server) or `client` (a ready chromadb client; an embedded one for few namespaces only, see docs/performance.md).
    """

    path: GivenPath | None = Field(default=None, description="Folder of an embedded store, made if it is not there.")
    url: str | None = Field(default=None, description="Chroma server, http://host:port or https://host.")
    client: Any = Field(default=None, exclude=True, repr=False, description="A chromadb client.")
    namespace: GivenNamespace = Field(
        default=("default",), description="Labels that name whose memory it is, outermost first."
    )
    headers: dict[str, str] = Field(default_factory=dict, repr=False, description="Sent to the server (a token).")
    tenant: str = Field(default="default_tenant", description="Chroma tenant on the server.")
    database: str = Field(default="default_database", description="Chroma database on the server.")
    timeout_seconds: float = Field(default=30, gt=0, description="Longest wait for one answer of the server.")
    retry: RetryConfig = Field(default_factory=RetryConfig, description="When the server does not answer.")
    on_unavailable: Literal["raise", "queue"] = Field(
        default="raise",
        description="What becomes of messages while the store is unavailable: an error, or a place in a queue on disk "
        "from which they are stored, in order, when it is back.",
    )
    queue_path: GivenPath | None = Field(
        default=None, description="File of that queue; default: queue.sqlite3 beside the store or in `catalog_path`."
    )
    queue_limit: int = Field(
        default=10_000, ge=1, description="Messages in the queue at most; beyond, adding is an error."
    )
    catalog_path: GivenPath | None = Field(
        default=None,
        description="Folder of the SQLite index; default: beside an embedded store, in memory for a server.",
    )
    read_only: bool = Field(default=False, description="Refuse writes; several processes may then read one folder.")
    open_namespaces: int = Field(
        default=64, ge=1, description="Namespaces kept open when idle; fewer if few files may be."
    )
    write_batch: int = Field(default=1000, ge=1, le=5000, description="Entries written to Chroma together at most.")
    embedding_cache: int = Field(default=10_000, ge=0, description="Texts whose vectors are remembered while running.")

    short_term: EvictionConfig = Field(default_factory=ShortTermConfig)
    working: WorkingConfig = Field(default_factory=WorkingConfig)
    long_term: LongTermConfig = Field(default_factory=LongTermConfig)
    episodic: EpisodicConfig = Field(default_factory=EpisodicConfig)
    importance_model: ImportanceConfig = Field(default_factory=ImportanceConfig, description="When no scorer is given.")
    recall: RecallConfig = Field(default_factory=RecallConfig)
    retention: RetentionConfig = Field(default_factory=RetentionConfig)
    dedupe: DedupeConfig = Field(default_factory=DedupeConfig)
    supersession: SupersessionConfig = Field(default_factory=SupersessionConfig)
    auto_consolidate: AutoConsolidateConfig = Field(default_factory=AutoConsolidateConfig)
    model: ModelConfig = Field(default_factory=ModelConfig, description="How `llm` is asked.")
    grace_days: float = Field(
        default=30, ge=0, description="Days for which what expired or was pruned is hidden and can be brought back."
    )
    packing: PackingConfig = Field(default_factory=PackingConfig)

    embedder: Any = Field(
        default=None, exclude=True, repr=False, description="See `protocols.Embedder`; None = local MiniLM."
    )
    summarizer: Any = Field(default=None, exclude=True, repr=False, description="See `protocols.Summarizer`.")
    importance: Any = Field(default=None, exclude=True, repr=False, description="See `protocols.ImportanceScorer`.")
    token_counter: Any = Field(default=None, exclude=True, repr=False, description="See `protocols.TokenCounter`.")
    reranker: Any = Field(default=None, exclude=True, repr=False, description="See `protocols.Reranker`.")
    llm: Any = Field(
        default=None,
        exclude=True,
        repr=False,
        description="See `protocols.LLM`; used for summaries and by consolidate.",
    )
    clock: Any = Field(default=None, exclude=True, repr=False, description="See `protocols.Clock`.")
    redactor: Any = Field(
        default=None, exclude=True, repr=False, description='See `protocols.Redactor`; "builtin" = `policy.redaction`.'
    )
    suspicion: SuspicionConfig = Field(default_factory=SuspicionConfig)
    actor: str | None = Field(
        default=None, description="Who acts, for the record of changes; `acting_as` goes before it."
    )
    audit: Literal["values", "names", "off"] = Field(
        default="values",
        description="What entries note of a change: the values before, only the fields' names, or nothing.",
    )
    on_event: Any = Field(default=None, exclude=True, repr=False, description="Told of each call, see `events.Event`.")

    @field_validator("namespace", mode="before")
    @classmethod
    def _labels(cls, value: object) -> object:
        return (str(value),) if isinstance(value, str | int) and not isinstance(value, bool) else value

    @field_validator("namespace")
    @classmethod
    def _not_empty(cls, value: Namespace) -> Namespace:
        if not value or any(not label.strip() for label in value):
            raise ValueError("a namespace is one label or several, none of them empty")
        return value

    @model_validator(mode="before")
    @classmethod
    def _default_path(cls, data: Any) -> Any:
        if isinstance(data, dict) and all(data.get(k) is None for k in ("path", "url", "client")):
            return data | {"path": DEFAULT_PATH}
        return data

    @model_validator(mode="after")
    def _one_place(self) -> MemoryConfig:
        given = [name for name in ("path", "url", "client") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"give one of path, url and client, not {' and '.join(given)}")
        return self

    @property
    def in_memory(self) -> bool:
        """Nothing is kept when the process ends."""
        return str(self.path) == IN_MEMORY

    @property
    def catalogs(self) -> Path | None:
        """The folder of the catalogs, None = they are kept in memory."""
        if self.catalog_path is not None:
            return self.catalog_path
        return None if self.path is None or self.in_memory else self.path / "catalog"

    def bytes_on_disk(self) -> int | None:
        """Of an embedded store, None for a server or in memory."""
        if self.path is None or self.in_memory:
            return None
        return sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file())

    def below(self, namespace: Namespace) -> MemoryConfig:
        """The same settings for another namespace, which was checked."""
        return self.model_copy(update={"namespace": namespace})

    def replaced(self, **changes: Any) -> MemoryConfig:
        """The same settings with changes, checked like new ones."""
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return type(self)(**(fields | changes))
