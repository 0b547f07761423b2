"""The values that go in and come out: tiers, entries, messages, results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Literal, TypeAlias, cast

from memory_mgr.changes import Change
from memory_mgr.trust import TRUST, Origin

JSON: TypeAlias = None | bool | int | float | str | list[Any] | dict[str, Any]
"""Anything the `json` module round-trips; metadata values are of this type."""

Namespace: TypeAlias = tuple[str, ...]
"""Labels that name whose memory it is, outermost first: `("acme", "user-42")`."""

Filters: TypeAlias = Mapping[str, Any]
"""A filter expression, see `memory_mgr.stores.filters`."""

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]
ROLES: tuple[Role, ...] = ("system", "user", "assistant", "tool")


class MemoryType(StrEnum):
    """The four tiers."""

    SHORT_TERM = "short_term"
    """Recent messages of each conversation, verbatim."""
    WORKING = "working"
    """Keyed slots and notes of the current task."""
    LONG_TERM = "long_term"
    """Knowledge that outlives a conversation: facts, archived turns, documents."""
    EPISODIC = "episodic"
    """Summaries of past spans of conversation."""


MemoryTypes = MemoryType

Tiers: TypeAlias = MemoryType | str | Sequence[MemoryType | str] | None
"""One tier, several, or None for all."""

MAX_TTL_SECONDS = 1000 * 365.25 * 86_400
"""Longest time to live, a thousand years."""


class Displayed:
    """Shows itself in notebooks and terminals; how it looks is the business of `memory_mgr.display`."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        from memory_mgr.display.html import html_of

        return html_of(self)

    def __rich__(self) -> Any:
        from memory_mgr.display.terminal import rich_of

        return rich_of(self)


PASSAGE = "passage"
"""`MemoryEntry.kind` of the parts by which long texts are found."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class MemoryEntry(Displayed):
    """One remembered thing.

    Attributes:
        id: Unique within the namespace.
        content: The text, verbatim.
        memory_type: The tier that holds it.
        namespace: Whose memory it is.
        timestamp: When it was said or became true (aware, UTC).
        created_at: When it was first stored (aware, UTC).
        source: The stream it came from (a conversation, a document); neighbours share it.
        speaker: Who said it, for messages.
        importance_score: In [0, 1].
        metadata: The user's own JSON object.
        embedding: The vector, only when asked for.
        score: Relevance in [0, 1], only on search results.
        explain: The parts of `score`, only when asked for.
        passage: Start and end (exclusive) of the characters of `content` that answer best, on search results that
            are long.
        expires_at: When it stops being recalled (aware, UTC), None = never.
        superseded_by: Id of the entry that replaced it, None = current.
        pinned: Never evicted or pruned by policy.
        derived_from: Ids of the entries this one was made of (summaries, merges).
        kind: What it is: "memory", "message", "summary", "slot", "note".
        details: The engine's own JSON object, by kind (a message's payload, a summary's span).
        sequence: Order of storing within the namespace; breaks ties of `timestamp`.
        revision: Raised by one with every change; the higher one wins if a crash left two.
    """

    id: str
    content: str
    memory_type: MemoryType
    namespace: Namespace
    timestamp: datetime
    created_at: datetime
    source: str | None = None
    speaker: str | None = None
    importance_score: float = 0.5
    metadata: dict[str, JSON] = field(default_factory=dict)
    embedding: list[float] | None = None
    score: float | None = None
    explain: dict[str, float] | None = None
    passage: tuple[int, int] | None = None
    expires_at: datetime | None = None
    superseded_by: str | None = None
    pinned: bool = False
    derived_from: tuple[str, ...] = ()
    kind: str = "memory"
    details: dict[str, JSON] = field(default_factory=dict)
    sequence: int = 0
    revision: int = 0

    @property
    def origin(self) -> Origin:
        """Who it comes from; of what was made of others, the least trusted of theirs."""
        origin = self.details.get("origin")
        return origin if origin in TRUST else "user"

    @property
    def trust(self) -> float:
        """How far its origin is believed, in [0, 1], see `TRUST`."""
        return TRUST[self.origin]

    @property
    def suspicious(self) -> tuple[str, ...]:
        """Signs that it wants to give a model orders, see `policy.suspicion`; () = none were found."""
        return tuple(map(str, cast("list[str]", self.details.get("suspicious", ()))))

    @property
    def score_parts(self) -> dict[str, float]:
        """The parts of `explain` that make up the score, without what is only told beside them."""
        return {name: part for name, part in (self.explain or {}).items() if name not in {"trust", "suspicious"}}

    @property
    def created_by(self) -> str | None:
        """Who stored it, see `acting_as`."""
        return cast("str | None", self.details.get("by"))

    @property
    def changes(self) -> tuple[Change, ...]:
        """What was changed, oldest first: by callers (the last 20 times) and by upkeep."""
        noted = cast("list[dict[str, Any]]", [*self.details.get("edits", ()), *self.details.get("changes", ())])  # type: ignore[misc]
        return tuple(sorted((Change.of(record) for record in noted), key=lambda change: change.at))

    @property
    def found_by(self) -> tuple[str, ...] | None:
        """The texts that are embedded in place of the content, see `NewMemory.found_by`."""
        texts = self.details.get("found_by")
        return tuple(texts) if isinstance(texts, list) else None

    def __repr__(self) -> str:
        """What was filled in; fields that hold their default are left out."""
        told = (f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if getattr(self, f.name) != _default(f))
        return f"MemoryEntry({', '.join(told)})"

    @property
    def searchable_text(self) -> str:
        """The text that is embedded: the first of `found_by`, else the content, led by its speaker if there is one."""
        if self.found_by:
            return self.found_by[0]
        return f"{self.speaker}: {self.content}" if self.speaker else self.content

    def with_changes(self, **changes: Any) -> MemoryEntry:
        """A copy with `changes` applied."""
        return replace(self, **changes)


def _default(field_: Field[Any]) -> object:
    return field_.default if field_.default_factory is MISSING else field_.default_factory()


class Entries(list[MemoryEntry], Displayed):
    """A list of entries that shows itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMemory:
    """Something to be remembered; what is left out is filled in by the engine.

    Attributes:
        content: The text; not empty.
        metadata: Any JSON object. A string under "source" also sets `source` when that is None.
        source: The stream it came from (a conversation id, a document name).
        timestamp: When it was said; a naive time is taken as UTC. Default: now.
        importance_score: In [0, 1]; default: the importance scorer's.
        id: Default: a new UUID4. Adding the same id with the same content again changes nothing.
        ttl_seconds: Seconds from now until it expires; > 0. Default: the tier's, else never.
        speaker: Who said it.
        pinned: Keep it out of eviction and pruning.
        kind: What it is, see `MemoryEntry.kind`.
        details: The engine's own JSON object.
        derived_from: Ids of the entries it was made of.
        found_by: Texts that are embedded in place of the content, each by itself; the best match counts. Questions it
            answers, fields of a record. Empty = search never finds it. None = the content.
        origin: Who it comes from, see `TRUST`; default: a message's role, else "user".
    """

    content: str
    metadata: Mapping[str, JSON] | None = None
    source: str | None = None
    timestamp: datetime | None = None
    importance_score: float | None = None
    id: str | None = None
    ttl_seconds: float | None = None
    speaker: str | None = None
    pinned: bool = False
    kind: str = "memory"
    details: Mapping[str, JSON] | None = None
    derived_from: Sequence[str] = ()
    found_by: Sequence[str] | None = None
    origin: Origin | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A model's request to run a tool.

    Attributes:
        id: Pairs the call with its result.
        name: The tool.
        arguments: Its JSON arguments.
    """

    id: str
    name: str
    arguments: dict[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of a conversation.

    Attributes:
        role: "system", "user", "assistant" or "tool".
        content: The text; may be empty only if there are tool calls or an `original`.
        name: Who speaks, if more than the role is known.
        id: Unique within the conversation's namespace; adding it again changes nothing.
        timestamp: When it was said; a naive time is taken as UTC.
        tool_calls: The calls an assistant message makes.
        tool_call_id: The call a tool message answers.
        metadata: Any JSON object.
        original: The framework's own message as JSON, kept losslessly by the adapters.
    """

    role: Role
    content: str = ""
    name: str | None = None
    id: str | None = None
    timestamp: datetime | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    metadata: dict[str, JSON] = field(default_factory=dict)
    original: dict[str, JSON] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Context(Displayed):
    """What a model is given to remember by.

    Attributes:
        text: The prompt block.
        tokens: Exactly the tokens of `text`, by the configured counter.
        budget_tokens: What it had to fit in.
        entries: The entries whose content is in `text`, in the order they appear.
        messages: The recent turns that are in `text`, as messages.
        sections: Tokens by section.
        explain: Why entries are in or out, by id; only when asked for.
    """

    text: str
    tokens: int
    budget_tokens: int
    entries: tuple[MemoryEntry, ...] = ()
    messages: tuple[Message, ...] = ()
    sections: dict[str, int] = field(default_factory=dict)
    explain: dict[str, str] | None = None

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that upkeep did, or would do.

    Attributes:
        kind: "merge" and "supersede" (hidden behind `other`), "link" (`other` is only noted with it), "score"
            (importance given by a model), or "prune" (hidden, deleted after the grace period).
        id: The entry.
        why: The reason.
        other: The entry that stands for it now, or that it is linked to.
    """

    kind: str
    id: str
    why: str
    other: str | None = None


@dataclass(frozen=True, slots=True)
class UpkeepReport(Displayed):
    """What `prune` or `consolidate` did, or with `dry_run` would do.

    Attributes:
        operation_id: To `undo` it by; None if there was nothing to do.
        actions: One for each entry concerned.
        deleted: Entries gone for good: their time was up longer ago than the grace period.
        dry_run: Nothing was changed.
        complete: False if the time limit came first; the rest is for the next run.
        errors: What failed on the way, and changed nothing.
    """

    operation_id: str | None
    actions: tuple[Action, ...] = ()
    deleted: int = 0
    dry_run: bool = False
    complete: bool = True
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What `import_memories` did.

    Attributes:
        added: Entries that were not there.
        replaced: Entries that were there with something else in them.
        unchanged: Entries that were there already, or were kept as they were.
    """

    added: int
    replaced: int
    unchanged: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats(Displayed):
    """What a namespace holds.

    Attributes:
        namespace: Whose memory it is.
        counts: Entries by tier.
        superseded: Entries kept as history.
        expired: Entries past their time that were not swept yet.
        bytes_on_disk: Of the whole store, None when it is on a server.
        embedder: Name of the embedder.
        dimensions: Length of its vectors.
    """

    namespace: Namespace
    counts: dict[MemoryType, int]
    superseded: int
    expired: int
    bytes_on_disk: int | None
    embedder: str
    dimensions: int

    @property
    def total(self) -> int:
        """Entries in all tiers."""
        return sum(self.counts.values())


def utc(moment: datetime) -> datetime:
    """`moment` in UTC; a naive one is taken to be UTC already."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
