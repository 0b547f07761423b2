"""`TieredMemoryRetriever` as chains use it."""

from __future__ import annotations

import asyncio

import pytest
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda, RunnablePassthrough
from pydantic import ValidationError

from langchain_memory_mgr import TieredMemoryRetriever
from memory_mgr import ConfigurationError, InvalidFilterError, MemoryConfig, NewMemory, SyncMemoryManager


@pytest.fixture
def filled(memory: SyncMemoryManager) -> SyncMemoryManager:
    """Three facts about tea, one summary, one recent message of a window."""
    memory.add_memories(
        [NewMemory(content=f"tea fact {n}", id=f"t{n}", source="chat-1", metadata={"n": n}) for n in range(3)]
    )
    memory.add_memory("they talked about tea", "episodic")
    memory.add_memory("tea now", "short_term", source="chat-2")
    return memory


def test_documents_say_where_and_when_they_are_from(filled: SyncMemoryManager) -> None:
    """Text verbatim, the user's metadata, and id, score, tier, times, namespace beside it."""
    entry = filled.get_memory("t1")
    found = TieredMemoryRetriever(memory=filled, k=10).invoke("tea fact 1")
    document = next(d for d in found if d.id == "t1")
    assert document.page_content == "tea fact 1"
    assert document.metadata["score"] > 0
    assert document.metadata | {"score": 0} == {
        "n": 1,
        "id": "t1",
        "memory_type": "long_term",
        "namespace": ["tests"],
        "timestamp": entry.timestamp.isoformat(),
        "created_at": entry.created_at.isoformat(),
        "source": "chat-1",
        "importance_score": entry.importance_score,
        "score": 0,
    }


def test_settings_are_given_once_or_per_call(filled: SyncMemoryManager) -> None:
    """A call's setting replaces the constructor's, None included; sync and async find the same."""
    retriever = TieredMemoryRetriever(memory=filled, k=2, filter={"n": {"$gte": 1}})
    assert {d.id for d in retriever.invoke("tea")} == {"t1", "t2"}
    assert len(retriever.invoke("tea", k=1)) == 1
    assert [d.id for d in retriever.invoke("tea", filter={"n": 0})] == ["t0"]
    assert len(retriever.invoke("tea", k=10, filter=None)) == 4
    assert len(retriever.invoke("tea", k=10, filter=None, tiers=None)) == 5
    assert [d.page_content for d in retriever.invoke("tea", filter=None, tiers="short_term")] == ["tea now"]
    assert retriever.invoke("tea", score_threshold=1.0) == []
    assert retriever.invoke("tea", k=0) == []
    awaited = asyncio.run(retriever.ainvoke("tea", k=2))
    assert [d.id for d in awaited] == [d.id for d in retriever.invoke("tea", k=2)]


def test_an_empty_question_finds_nothing(filled: SyncMemoryManager) -> None:
    """Chains ask with what the user typed."""
    assert TieredMemoryRetriever(memory=filled).invoke("  ") == []


def test_wrong_settings_are_refused(memory: SyncMemoryManager, config: MemoryConfig) -> None:
    """At once where they are given."""
    with pytest.raises(ValidationError):
        TieredMemoryRetriever(memory=memory, k=-1)
    with pytest.raises(ValidationError):
        TieredMemoryRetriever(memory=memory, top_k=3)
    with pytest.raises(ConfigurationError, match="not both"):
        TieredMemoryRetriever(memory=memory, config=config)
    with pytest.raises(InvalidFilterError, match="unknown operator"):
        TieredMemoryRetriever(memory=memory).invoke("tea", filter={"n": {"$near": 1}})


def test_it_fits_into_a_chain_and_a_stream(filled: SyncMemoryManager) -> None:
    """As any retriever: piped, batched, streamed, with callbacks' names."""
    retriever = TieredMemoryRetriever(memory=filled, k=1, tags=["memory"])
    prompt = ChatPromptTemplate.from_template("{known}\n{question}")
    chain = {"known": retriever, "question": RunnablePassthrough()} | prompt | RunnableLambda(lambda p: p.to_string())
    assert "tea fact 2" in chain.invoke("tea fact 2")
    assert [len(found) for found in retriever.batch(["tea", "fact"])] == [1, 1]
    assert [len(found) for found in retriever.stream("tea")] == [1]
