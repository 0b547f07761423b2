"""A store is copied to another embedder: all is there, found anew, and the old one is untouched."""

from __future__ import annotations

from pathlib import Path

import pytest

from memory_mgr import ConfigurationError, EmbeddingMismatchError, MemoryConfig, Message, SyncMemoryManager, reembed
from memory_mgr.testing import FakeEmbedder


class Failing(FakeEmbedder):
    """Gives up after some texts."""

    def __init__(self, after: int) -> None:
        super().__init__(32, "new")
        self.after = after

    def embed(self, texts, *, kind):  # type: ignore[no-untyped-def]
        """Vectors, until it has had enough."""
        if self.texts + len(texts) > self.after:
            raise RuntimeError("enough")
        return super().embed(texts, kind=kind)


@pytest.fixture
def source(tmp_path: Path) -> MemoryConfig:
    """A store with two namespaces, history, a window and a long text."""
    config = MemoryConfig(path=tmp_path / "old", namespace="home", embedder=FakeEmbedder(64, "old"))
    with SyncMemoryManager(config) as memory:
        entry = memory.add_memory("the cat is called Miso", "long_term", {"pet": {"legs": 4}})
        memory.supersede_memory(entry.id, "the cat is called Nori")
        memory.conversation("chat").add_message(Message(role="user", content="hello there"))
        memory.add_memory(" ".join(f"Chapter {n} tells of {w}. " * 60 for n, w in enumerate(["owls", "moss"])))
        memory.scoped("guest").add_memory("the key is under the pot", "working")
    return config


def told(config: MemoryConfig) -> list[tuple[object, ...]]:
    """All that a store holds, but vectors."""
    with SyncMemoryManager(config) as memory:
        return [
            (e.id, e.namespace, e.memory_type, e.content, e.metadata, e.timestamp, e.sequence, e.superseded_by)
            for n in memory.namespaces()
            for e in (memory if len(n) == 1 else memory.scoped(*n[1:])).list_memories(
                limit=None, include_superseded=True
            )
        ]


def test_everything_is_there_under_the_new_embedder(source: MemoryConfig, tmp_path: Path) -> None:
    """Entries, history, windows and other namespaces arrive; search works; the source still says the same."""
    before = told(source)
    target = source.replaced(path=tmp_path / "new", embedder=FakeEmbedder(32, "new"))
    steps: list[tuple[int, int]] = []
    assert reembed(source, target, progress=lambda done, total: steps.append((done, total))) == len(before)
    assert steps[-1][0] == steps[-1][1]
    assert told(target) == before == told(source)
    with SyncMemoryManager(target) as memory:
        assert memory.search_memory("name of the cat")[0].content == "the cat is called Nori"
        assert memory.search_memory("moss")[0].passage is not None
    with pytest.raises(EmbeddingMismatchError), SyncMemoryManager(source.replaced(path=tmp_path / "new")) as memory:
        memory.search_memory("cat")


def test_an_interrupted_copy_goes_on(source: MemoryConfig, tmp_path: Path) -> None:
    """What failed half way is finished by the next run, which writes only what is missing."""
    target = source.replaced(path=tmp_path / "new", embedder=Failing(after=1))
    with pytest.raises(Exception, match="enough"):
        reembed(source, target)
    target = source.replaced(path=tmp_path / "new", embedder=FakeEmbedder(32, "new"))
    first = reembed(source, target)
    assert told(target) == told(source)
    assert 0 < first <= len(told(source))
    assert reembed(source, target) == 0


def test_a_store_is_not_copied_onto_itself(source: MemoryConfig) -> None:
    """Source and target must be two places."""
    with pytest.raises(ConfigurationError, match="another place"):
        reembed(source, source.replaced(embedder=FakeEmbedder(32, "new")))
