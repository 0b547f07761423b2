"""What every vector store must do, as tests to inherit: subclass, provide `make_store`, run with pytest."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np

from memory_mgr.protocols import Vectors
from memory_mgr.stores.base import EmbeddingSpace, VectorStore
from memory_mgr.stores.codec import encode_entry
from memory_mgr.types import MemoryEntry, MemoryType

SPACE = EmbeddingSpace("conformance", 8)
NAMESPACE = ("acme", "user-1")
LONG, SHORT = MemoryType.LONG_TERM, MemoryType.SHORT_TERM
_MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def entry(memory_id: str, content: str = "words", **fields: Any) -> MemoryEntry:
    """An entry for tests."""
    defaults: dict[str, Any] = {
        "memory_type": LONG,
        "namespace": NAMESPACE,
        "timestamp": _MOMENT,
        "created_at": _MOMENT,
    }
    return MemoryEntry(id=memory_id, content=content, **(defaults | fields))


def vectors(*axes: int) -> Vectors:
    """Unit vectors along these axes."""
    return np.eye(SPACE.dimensions, dtype=np.float32)[list(axes)]


class StoreConformance:
    """Behaviours of `VectorStore`; override `make_store`."""

    def make_store(self) -> VectorStore:
        """A fresh, empty store for `SPACE`."""
        raise NotImplementedError

    def test_what_is_written_is_read_back_exactly(self) -> None:
        """Every field survives, in the order asked for, and missing ids are left out."""
        store = self.make_store()
        rich = entry(
            "a",
            "Ünïcode 日本語 \n tabs\t",
            source="chat",
            speaker="Ana",
            importance_score=0.25,
            metadata={"nested": {"list": [1, 2.5, None, True, "x"]}, "a.b": "dot", "": "empty key"},
            expires_at=_MOMENT,
            superseded_by="b",
            pinned=True,
            derived_from=("x", "y"),
            kind="note",
            details={"deep": [{"k": 1}]},
            sequence=7,
            revision=3,
        )
        store.upsert(NAMESPACE, LONG, [rich, entry("b")], vectors(0, 1))
        assert store.get(NAMESPACE, LONG, ["b", "missing", "a"]) == [entry("b"), rich]

    def test_writing_again_replaces(self) -> None:
        """The same id stands for one entry, with the newest text and vector."""
        store = self.make_store()
        store.upsert(NAMESPACE, LONG, [entry("a", "old")], vectors(0))
        store.upsert(NAMESPACE, LONG, [entry("a", "new")], vectors(1))
        assert store.count(NAMESPACE, LONG) == 1
        assert [e.content for e in store.get(NAMESPACE, LONG, ["a"])] == ["new"]
        np.testing.assert_allclose(store.vectors(NAMESPACE, LONG, ["a"])["a"], vectors(1)[0], atol=1e-6)

    def test_update_keeps_the_vector_and_ignores_unknown_ids(self) -> None:
        """All but the vector is rewritten; nothing is created."""
        store = self.make_store()
        store.upsert(NAMESPACE, LONG, [entry("a", metadata={"old": 1})], vectors(2))
        changed = entry("a", metadata={"new": 2}, revision=1)
        store.update(NAMESPACE, LONG, [changed, entry("ghost")])
        assert store.get(NAMESPACE, LONG, ["a", "ghost"]) == [changed]
        np.testing.assert_allclose(store.vectors(NAMESPACE, LONG, ["a"])["a"], vectors(2)[0], atol=1e-6)

    def test_query_gives_the_nearest_first_with_their_cosine(self) -> None:
        """Similarities are cosines in [-1, 1], best first."""
        store = self.make_store()
        store.upsert(NAMESPACE, LONG, [entry("a"), entry("b"), entry("c")], vectors(0, 1, 2))
        question = (vectors(1)[0] * 0.8 + vectors(2)[0] * 0.6).astype(np.float32)
        found = store.query(NAMESPACE, LONG, question, 2)
        assert [i for i, _ in found] == ["b", "c"]
        np.testing.assert_allclose([s for _, s in found], [0.8, 0.6], atol=1e-3)

    def test_asking_for_more_than_there_is(self) -> None:
        """All there is comes back."""
        store = self.make_store()
        store.upsert(NAMESPACE, LONG, [entry("a")], vectors(0))
        assert len(store.query(NAMESPACE, LONG, vectors(0)[0], 50)) == 1

    def test_an_empty_tier_is_not_an_error(self) -> None:
        """Reading, deleting and dropping what was never written does nothing."""
        store = self.make_store()
        assert store.get(NAMESPACE, LONG, ["a"]) == []
        assert store.vectors(NAMESPACE, LONG, ["a"]) == {}
        assert store.query(NAMESPACE, LONG, vectors(0)[0], 5) == []
        assert store.count(NAMESPACE, LONG) == 0
        assert list(store.scan(NAMESPACE, LONG, with_vectors=True)) == []
        store.update(NAMESPACE, LONG, [entry("a")])
        store.delete(NAMESPACE, LONG, ["a"])
        store.drop(NAMESPACE)
        assert store.namespaces() == []

    def test_tiers_and_namespaces_are_apart(self) -> None:
        """The same id in two tiers and in look-alike namespaces is different entries."""
        store = self.make_store()
        places = [(("acme",), LONG), (("acme",), SHORT), (("acme", "corp"), LONG), (("acme-corp",), LONG)]
        places += [(("Acme",), LONG), (('acme", "corp',), LONG), (("acmé",), LONG), (("acme\u0301",), LONG)]
        for number, (namespace, tier) in enumerate(places):
            store.upsert(
                namespace,
                tier,
                [entry("x", f"text {number}", namespace=namespace, memory_type=tier)],
                vectors(0),
            )
        for number, (namespace, tier) in enumerate(places):
            assert [e.content for e in store.get(namespace, tier, ["x"])] == [f"text {number}"]
        store.drop(("acme",))
        assert store.count(("acme",), LONG) == store.count(("acme",), SHORT) == 0
        assert all(store.count(namespace, LONG) == 1 for namespace, _ in places[2:])
        assert store.namespaces() == sorted({namespace for namespace, _ in places[2:]})

    def test_deleting_removes_what_was_named_only(self) -> None:
        """Deleting again, or what is not there, does nothing."""
        store = self.make_store()
        store.upsert(NAMESPACE, LONG, [entry("a"), entry("b")], vectors(0, 1))
        store.delete(NAMESPACE, LONG, ["a", "missing"])
        store.delete(NAMESPACE, LONG, ["a"])
        assert [i for i, _ in store.query(NAMESPACE, LONG, vectors(0)[0], 5)] == ["b"]

    def test_a_scan_sees_every_entry_once(self) -> None:
        """In batches, with vectors that belong to their entries."""
        store = self.make_store()
        many = [entry(f"id-{n:03}", f"text {n}") for n in range(25)]
        store.upsert(NAMESPACE, LONG, many, vectors(*(n % 8 for n in range(25))))
        seen: dict[str, int] = {}
        for read in store.scan(NAMESPACE, LONG, with_vectors=True, batch=10):
            assert read.vectors is not None
            assert len(read.ids) == len(read.vectors) <= 10
            assert read.entries() == store.get(NAMESPACE, LONG, read.ids)
            assert read.records == [encode_entry(e) for e in read.entries()]
            seen |= {i: int(np.argmax(v)) for i, v in zip(read.ids, read.vectors, strict=True)}
        assert seen == {f"id-{n:03}": n % 8 for n in range(25)}
        plain = [read.vectors for read in store.scan(NAMESPACE, LONG, with_vectors=False)]
        assert plain == [None]

    def test_many_at_once(self) -> None:
        """A write larger than the store's own batch limit arrives whole."""
        store = self.make_store()
        count = 6000
        store.upsert(NAMESPACE, LONG, [entry(f"{n}") for n in range(count)], vectors(*(n % 8 for n in range(count))))
        assert store.count(NAMESPACE, LONG) == count

    def test_a_long_text(self) -> None:
        """A megabyte is a text like any other."""
        store = self.make_store()
        text = "0123456789abcdef" * 65536
        store.upsert(NAMESPACE, LONG, [entry("big", text)], vectors(0))
        assert store.get(NAMESPACE, LONG, ["big"])[0].content == text

    def test_closing_twice(self) -> None:
        """The second close does nothing."""
        store = self.make_store()
        store.close()
        store.close()
