"""Long texts are found by their passages: each is an entry of its own that follows its whole in everything.

So is each further text of `NewMemory.found_by`.

A passage has the kind "passage", names its whole in `details`, and is never listed, counted or returned: search
returns the whole, with the passage marked.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import cast

import numpy as np

from memory_mgr.policy.chunking import split_passages
from memory_mgr.protocols import Vectors
from memory_mgr.types import JSON, PASSAGE, MemoryEntry

Embed = Callable[[Sequence[str]], Vectors]
"""Makes unit vectors of texts to be stored, shape (texts, dimensions)."""
_STANDING = ("origin", "suspicious")
PASSAGE_CHARACTERS = 800
"""About what a passage takes a text on by."""
_SHORT = 600
"""Characters that always fit into what an embedder reads; shorter texts are not even split."""


def with_passages(entry: MemoryEntry) -> list[MemoryEntry]:
    """The entry, noting how many passages it has, and its passages; alone if it is short."""
    spans = _spans(entry)
    if len(spans) < 2:
        if not has_passages(entry):
            return [entry]
        return [entry.with_changes(details={k: v for k, v in entry.details.items() if k != "passages"})]
    whole = entry.with_changes(details=entry.details | {"passages": len(spans)})
    return [whole, *(_passage(whole, number, *span) for number, span in enumerate(spans))]


def _spans(entry: MemoryEntry) -> list[tuple[str, int, int]]:
    """The texts of the passages, with the start and end of each in the text it is part of."""
    texts = (entry.content,) if entry.found_by is None else entry.found_by
    if len(texts) == 1 and len(texts[0]) <= _SHORT:
        return []
    return [(text[span.start : span.end], span.start, span.end) for text in texts for span in split_passages(text)]


def document_vectors(entries: Sequence[MemoryEntry], embed: Embed) -> Vectors:
    """Vectors of entries and passages, shape (len(entries), dimensions); no text is embedded for what is not found."""
    return text_vectors([embedded_text(entry) for entry in entries], embed)


def embedded_text(entry: MemoryEntry) -> str | None:
    """The text an entry or a passage is found by; None if it is not to be found."""
    return None if entry.found_by == () else entry.searchable_text


def text_vectors(texts: Sequence[str | None], embed: Embed) -> Vectors:
    """As `document_vectors`, of the texts as `embedded_text` tells them."""
    embedded = embed([text for text in texts if text is not None])
    if len(embedded) == len(texts):
        return embedded
    # Chroma keeps no entry without a vector.
    vectors = np.full((len(texts), embedded.shape[1]), embedded.shape[1] ** -0.5, np.float32)
    vectors[[row for row, text in enumerate(texts) if text is not None]] = embedded
    return vectors


def _passage(whole: MemoryEntry, number: int, text: str, start: int, end: int) -> MemoryEntry:
    return replace(
        whole,
        id=_passage_id(whole.id, number),
        content=text,
        kind=PASSAGE,
        details={**_standing(whole), "whole": whole.id, "start": start, "end": end},
        derived_from=(),
        pinned=False,
    )


def _passage_id(whole: str, number: int) -> str:
    return hashlib.sha256(json.dumps([PASSAGE, whole, number]).encode()).hexdigest()[:32]


def is_part(passage: MemoryEntry, whole: MemoryEntry) -> bool:
    """Whether a passage is of the text its whole has now, not of one it had before."""
    start, end = (cast("int", passage.details[name]) for name in ("start", "end"))
    texts = (whole.content,) if whole.found_by is None else whole.found_by
    numbers = range(cast("int", whole.details.get("passages", 0)))
    return any(text[start:end] == passage.content for text in texts) and any(
        passage.id == _passage_id(whole.id, number) for number in numbers
    )


def has_passages(entry: MemoryEntry) -> bool:
    """Whether an entry is also stored in passages."""
    return "passages" in entry.details


def following(passages: Sequence[MemoryEntry], wholes: Sequence[MemoryEntry]) -> list[MemoryEntry]:
    """Passages brought to where their wholes are now: tier, time, visibility, metadata."""
    by_id = {whole.id: whole for whole in wholes}
    return [_follow(passage, by_id[str(passage.details["whole"])]) for passage in passages]


def _follow(passage: MemoryEntry, whole: MemoryEntry) -> MemoryEntry:
    return replace(
        passage,
        memory_type=whole.memory_type,
        timestamp=whole.timestamp,
        source=whole.source,
        speaker=whole.speaker,
        importance_score=whole.importance_score,
        metadata=whole.metadata,
        expires_at=whole.expires_at,
        superseded_by=whole.superseded_by,
        revision=whole.revision,
        details={k: v for k, v in passage.details.items() if k not in _STANDING} | _standing(whole),
    )


def _standing(whole: MemoryEntry) -> dict[str, JSON]:
    """What of a whole decides whether it may be found."""
    return {name: whole.details[name] for name in _STANDING if name in whole.details}
