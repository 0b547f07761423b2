"""Plans of the policies as changes of entries, and entries as what the policies read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from memory_mgr.engine.messages import MESSAGE
from memory_mgr.engine.operations import Change
from memory_mgr.policy.dedupe import Merge, Record
from memory_mgr.policy.retention import Retainable
from memory_mgr.policy.supersession import Statement, Supersession
from memory_mgr.trust import least_trusted
from memory_mgr.types import JSON, Action, MemoryEntry

Entries = Mapping[str, MemoryEntry]
"""Entries by id."""


# --- entries as the policies read them ---------------------------------------------------------------------


def retainable(
    entry: MemoryEntry, accesses: Mapping[str, tuple[int, datetime]], derived: Mapping[str, int]
) -> Retainable:
    """What pruning weighs."""
    times, last = accesses.get(entry.id, (0, None))
    return Retainable(
        id=entry.id,
        timestamp=entry.timestamp,
        importance=entry.importance_score,
        accesses=times,
        last_access=last,
        derived=derived.get(entry.id, 0),
        expires_at=entry.expires_at,
        superseded=entry.superseded_by is not None,
        message=entry.kind == MESSAGE,
        pinned=entry.pinned,
    )


def record(entry: MemoryEntry) -> Record:
    """What is looked through for duplicates."""
    return Record(
        id=entry.id,
        text=entry.content,
        timestamp=entry.timestamp,
        speaker=entry.speaker,
        source=entry.source,
        importance=entry.importance_score,
        pinned=entry.pinned,
        derived_from=entry.derived_from,
    )


def statement(entry: MemoryEntry) -> Statement:
    """What is looked through for changes."""
    subject, role = entry.metadata.get("subject"), entry.details.get("role")
    return Statement(
        id=entry.id,
        text=entry.content,
        timestamp=entry.timestamp,
        sequence=entry.sequence,
        speaker=entry.speaker or (role if isinstance(role, str) else None),
        subject=subject if isinstance(subject, str) else None,
        source=entry.source,
    )


# --- plans as changes ----------------------------------------------------------------------------------------


def merged(merge: Merge, entries: Entries) -> Iterator[Change]:
    """The richest entry takes over the provenance of the others, which then point to it."""
    seen: dict[str, JSON] = {
        "sources": list(merge.sources),
        "first_seen": merge.first_seen.isoformat(),
        "last_seen": merge.last_seen.isoformat(),
    }
    kept: dict[str, object] = {
        "importance_score": merge.importance,
        "derived_from": merge.derived_from,
        "pinned": merge.pinned,
        "details": {"merged": seen} | _origin(entries[i] for i in (merge.keep, *merge.drop)),
    }
    yield Change(entries[merge.keep], kept, f"{merge.reason} duplicates merged into it")
    for dropped in merge.drop:
        yield Change(entries[dropped], {"superseded_by": merge.keep}, f"{merge.reason} duplicate", "merge", merge.keep)


def _origin(entries: Iterable[MemoryEntry]) -> dict[str, JSON]:
    """What is made of several is believed no more than the least of them."""
    origin = least_trusted(entry.origin for entry in entries)
    return {} if origin == "user" else {"origin": origin}


def believed(plan: Supersession, entries: Entries) -> Supersession:
    """The plan, hiding nothing that is believed more than what would replace it: such are only linked."""
    if entries[plan.new].trust < entries[plan.old].trust:
        return replace(plan, complete=False)
    return plan


def superseded(plan: Supersession, entries: Entries) -> Iterator[Change]:
    """An older entry hidden behind the newer one, or, if it tells other things too, only linked to it."""
    why = f"{plan.reason}: {plan.attribute} was {plan.old_value!r}, now {plan.new_value!r}"
    yield from replaced(entries[plan.old], entries[plan.new], why, hide=plan.complete)


def replaced(old: MemoryEntry, new: MemoryEntry, why: str, *, hide: bool) -> Iterator[Change]:
    """`old` is no longer so since `new`; `history` leads from each to the other if it is hidden."""
    if not hide or new.trust < old.trust:
        yield Change(old, {"details": {"updated_by": new.id}}, why, "link", new.id)
        return
    yield Change(old, {"superseded_by": new.id}, why, "supersede", new.id)
    if "supersedes" not in new.details:
        yield Change(new, {"details": {"supersedes": old.id}}, f"replaces {old.id}")


def linked(plan: Supersession, entries: Entries) -> bool:
    """Whether the link that a plan would make is there already."""
    return not plan.complete and entries[plan.old].details.get("updated_by") == plan.new


def told_in(entries: Iterable[MemoryEntry], summaries: Sequence[MemoryEntry]) -> Iterator[Change]:
    """Facts linked to the summary of the talk they come from.

    It is the one that is made of the same messages, else the one of their source that covers their time.
    """
    of_message = {origin: summary for summary in summaries for origin in summary.derived_from}
    for entry in entries:
        if "told_in" in entry.details:
            continue
        episode = next((of_message[i] for i in entry.derived_from if i in of_message), None)
        episode = episode or next((s for s in summaries if s.source == entry.source and _covers(s, entry)), None)
        if episode is not None:
            why = f"told in the talk that {episode.id} sums up"
            yield Change(entry, {"details": {"told_in": episode.id}}, why, "link", episode.id)


def _covers(summary: MemoryEntry, entry: MemoryEntry) -> bool:
    since = summary.details.get("from")
    return (
        entry.source is not None
        and isinstance(since, str)
        and datetime.fromisoformat(since) <= entry.timestamp <= summary.timestamp
    )


def once_each(changes: Iterable[Change]) -> list[Change]:
    """One change an entry: an entry that others were merged into may be superseded in the same go."""
    combined: dict[str, Change] = {}
    for change in changes:
        first = combined.get(change.entry.id)
        if first is not None:
            details = first.fields.get("details", {}) | change.fields.get("details", {})
            fields = first.fields | change.fields | ({"details": details} if details else {})
            combined[change.entry.id] = Change(change.entry, fields, f"{first.why}; {change.why}")
        else:
            combined[change.entry.id] = change
    return list(combined.values())


def actions(changes: Iterable[Change]) -> list[Action]:
    """What the changes do, for reports; what an entry takes over from others is told with those."""
    return [Action(change.kind, change.entry.id, change.why, change.other) for change in changes if change.kind]
