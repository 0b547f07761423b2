"""LangChain's models do the core's work."""

from __future__ import annotations

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.language_models import FakeListChatModel, FakeListLLM

from langchain_memory_mgr import LangChainLLM
from memory_mgr import EmbeddingMismatchError, ExtensionError, MemoryConfig, Message, SyncMemoryManager
from memory_mgr.policy.eviction import EvictionConfig


@pytest.mark.parametrize("kind", [FakeListChatModel, FakeListLLM])
@pytest.mark.parametrize("wrapped", [True, False])
def test_any_model_summarises(config: MemoryConfig, kind: type, wrapped: bool) -> None:
    """As it is, or as a bridge."""
    model = kind(responses=["They talked about the boat in Genoa."])
    llm = LangChainLLM(model) if wrapped else model
    with SyncMemoryManager(config.replaced(llm=llm, short_term=EvictionConfig(max_messages=2))) as memory:
        chat = memory.conversation("chat")
        for number in range(4):
            chat.add_message(Message(role="user", content=f"The boat number {number} lies in Genoa."))
        assert "They talked about the boat in Genoa." in [entry.content for entry in chat.summaries()]


def test_a_model_scores_what_is_stored(config: MemoryConfig) -> None:
    """From its rating out of ten; without one that is of use the heuristic's stands."""
    good = LangChainLLM(FakeListChatModel(responses=['[{"number": 1, "importance": 7}]']))
    assert good.score("I am allergic to nuts", role="user") == 0.7
    with SyncMemoryManager(config.replaced(importance=good)) as memory:
        assert memory.add_memory("I am allergic to nuts", "long_term").importance_score == pytest.approx(0.7)
    bad = LangChainLLM(FakeListChatModel(responses=["very important"]))
    with pytest.raises(ExtensionError):
        bad.score("I am allergic to nuts")
    with SyncMemoryManager(config.replaced(importance=bad)) as memory:
        assert 0 <= memory.add_memory("I am allergic to fish", "long_term").importance_score <= 1


def test_any_embeddings_embed(config: MemoryConfig) -> None:
    """And a store written by one is not read with another."""
    with SyncMemoryManager(config.replaced(embedder=DeterministicFakeEmbedding(size=24))) as memory:
        memory.add_memory("The boat is called Nina.", "long_term")
        assert memory.stats().dimensions == 24
        assert memory.search_memory("The boat is called Nina.", "long_term")[0].content == "The boat is called Nina."
    with (
        pytest.raises(EmbeddingMismatchError),
        SyncMemoryManager(config.replaced(embedder=DeterministicFakeEmbedding(size=12))) as memory,
    ):
        memory.search_memory("boat")
