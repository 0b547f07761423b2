"""What users have now to fit a conversation into a budget, on the questions of benchmarks/lifecycle.py.

- latest turns: a window, whatever is asked.
- dense top-k: turns by the cosine of their embeddings to the question, best first, while they fit: a vector store
  retriever.
- LangChain ConversationSummaryBufferMemory: half the budget for the latest messages, half for the summary; this
  library's extractive summary stands in for the model.
- LlamaIndex Memory's VectorMemoryBlock: one node a turn, asked with the question, the largest top_k that fits. Its
  store is one in memory that keeps texts, which the block demands and SimpleVectorStore does not do.
- search by rank: this library's `search_memory`, best first, while it fits.

All use the same embeddings and the same tokens. A turn counts as present if its text is there, or if a line has 60 %
of its content words (a summary cuts).
"""

from __future__ import annotations

import asyncio
import tempfile
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import lifecycle_questions as lifecycle
import numpy as np
import summaries
from pydantic import Field
from recall_data import Conversation

from memory_mgr import SyncMemoryManager
from memory_mgr.policy.rendering import day
from memory_mgr.policy.summary import summarise
from memory_mgr.policy.summary_lines import Spoken

count = summaries.COUNTER.count
Text = Callable[[str, int], str]
"""The text for (question, budget)."""


def compared(conversations: Sequence[Conversation]) -> dict[str, Any]:
    """Every peer's numbers by conversation."""
    found = {}
    for name, make in PEERS.items():
        rows: lifecycle.Rows = []
        for conversation in conversations:
            rows += _asked(conversation, make(conversation))
        found[name] = lifecycle.by_conversation(rows)
        print(f"  {name:50s} {lifecycle.shown_row(found[name]['all'])}", flush=True)
    return found


def _asked(conversation: Conversation, text_of: Text) -> lifecycle.Rows:
    rows: lifecycle.Rows = []
    for question in conversation.questions:
        numbers: lifecycle.Numbers = {}
        for budget in lifecycle.BUDGETS:
            text = text_of(question.text, budget)
            assert count(text) <= budget
            lines = [summaries.content_words(line) for line in text.splitlines()]
            flat = " ".join(text.split())
            hits = [any(_present(flat, lines, _said(conversation, i)) for i in g) for g in question.evidence]
            numbers |= {f"any@{budget}": any(hits), f"all@{budget}": all(hits), f"tokens@{budget}": count(text)}
        rows.append((conversation.name, numbers))
    return rows


def _said(conversation: Conversation, place: int) -> str:
    return " ".join(conversation.turns[place].text.split(": ", 1)[1].split())


def _present(flat: str, lines: Sequence[frozenset[str]], said: str) -> bool:
    words = summaries.content_words(said)
    return said in flat or (bool(words) and any(len(words & line) >= 0.6 * len(words) for line in lines))


def _dated(conversation: Conversation, place: int) -> str:
    turn = conversation.turns[place]
    return f"[{day(turn.timestamp)}] {' '.join(turn.text.split())}\n"


def _filled(lines: Iterable[str], budget: int) -> list[str]:
    """Lines from the first on while they fit."""
    chosen: list[str] = []
    for line in lines:
        if count("".join([*chosen, line])) > budget:
            break
        chosen.append(line)
    return chosen


def latest(conversation: Conversation) -> Text:
    backwards = [_dated(conversation, place) for place in reversed(range(len(conversation.turns)))]
    texts = {budget: "".join(reversed(_filled(backwards, budget))) for budget in lifecycle.BUDGETS}
    return lambda _, budget: texts[budget]


def dense(conversation: Conversation) -> Text:
    vectors = lifecycle.EMBEDDER.embed([turn.text for turn in conversation.turns], kind="document")

    def text(question: str, budget: int) -> str:
        order = np.argsort(-(vectors @ lifecycle.EMBEDDER.embed([question], kind="query")[0]), kind="stable")
        return "".join(_filled((_dated(conversation, int(place)) for place in order), budget))

    return text


def by_rank(conversation: Conversation) -> Text:
    texts: dict[tuple[str, int], str] = {}
    with tempfile.TemporaryDirectory() as folder, SyncMemoryManager(lifecycle.config(folder)) as memory:
        lifecycle.stored(memory, conversation)
        for question in conversation.questions:
            hits = memory.search_memory(question.text, "long_term", limit=80)
            lines = [_dated(conversation, int(hit.metadata["turn"])) for hit in hits]
            texts |= {(question.text, budget): "".join(_filled(lines, budget)) for budget in lifecycle.BUDGETS}
    return lambda question, budget: texts[question, budget]


def summary_buffer(conversation: Conversation) -> Text:
    from langchain_classic.memory import ConversationSummaryBufferMemory
    from langchain_core.language_models.llms import LLM

    class Extractive(LLM):
        """Continues the summary in its prompt without a model."""

        limit: int

        @property
        def _llm_type(self) -> str:
            return "extractive"

        def get_num_tokens(self, text: str) -> int:
            return count(text)

        def _call(self, prompt: str, stop: Any = None, run_manager: Any = None, **_: Any) -> str:
            told = prompt.rpartition("Current summary:")[2].rpartition("New summary:")[0]
            lines = [line.removeprefix("Human: ") for line in told.splitlines() if ": " in line]
            spoken = [
                Spoken(id=str(n), text=line.split(": ", 1)[1], speaker=line.split(": ")[0])
                for n, line in enumerate(lines)
            ]
            return summarise(spoken, max_tokens=self.limit, count=count).text

    texts = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for budget in lifecycle.BUDGETS:
            memory = ConversationSummaryBufferMemory(
                llm=Extractive(limit=budget // 2 - 20), max_token_limit=budget // 2 - 20
            )
            for turn in conversation.turns:
                memory.chat_memory.add_user_message(turn.text)
                memory.prune()
            texts[budget] = memory.load_memory_variables({})["history"]
    return lambda _, budget: texts[budget]


def _block() -> Any:
    """An empty VectorMemoryBlock with our embeddings."""
    from llama_index.core.base.embeddings.base import BaseEmbedding
    from llama_index.core.memory import VectorMemoryBlock
    from llama_index.core.vector_stores.types import BasePydanticVectorStore, VectorStoreQueryResult

    class Embedding(BaseEmbedding):
        def _get_query_embedding(self, query: str) -> list[float]:
            return lifecycle.EMBEDDER.embed([query], kind="query")[0].tolist()

        async def _aget_query_embedding(self, query: str) -> list[float]:
            return self._get_query_embedding(query)

        def _get_text_embedding(self, text: str) -> list[float]:
            return lifecycle.EMBEDDER.embed([text], kind="document")[0].tolist()

    class Vectors(BasePydanticVectorStore):
        stores_text: bool = True
        nodes: list[Any] = Field(default_factory=list)
        vectors: Any = None

        @property
        def client(self) -> None:
            return None

        def add(self, nodes: Sequence[Any], **_: Any) -> list[str]:
            self.nodes.extend(nodes)
            return [node.node_id for node in nodes]

        def delete(self, ref_doc_id: str, **_: Any) -> None:
            raise NotImplementedError

        def query(self, query: Any, **_: Any) -> VectorStoreQueryResult:
            if self.vectors is None or len(self.vectors) < len(self.nodes):
                self.vectors = np.array([node.embedding for node in self.nodes])
            scores = self.vectors @ np.array(query.query_embedding)
            best = np.argsort(-scores, kind="stable")[: query.similarity_top_k]
            return VectorStoreQueryResult(nodes=[self.nodes[i] for i in best], similarities=[scores[i] for i in best])

    return VectorMemoryBlock(vector_store=Vectors(), embed_model=Embedding())


def vector_block(conversation: Conversation) -> Text:
    from llama_index.core.base.llms.types import ChatMessage

    block = _block()

    async def fill() -> None:
        for turn in conversation.turns:
            await block.aput([ChatMessage(role="user", content=turn.text)])

    def text(question: str, budget: int) -> str:
        asked = [ChatMessage(role="user", content=question)]
        low, high = 0, budget // 8
        while low < high:
            block.similarity_top_k = (low + high + 1) // 2
            fits = count(asyncio.run(block.aget(asked))) <= budget
            low, high = (block.similarity_top_k, high) if fits else (low, block.similarity_top_k - 1)
        block.similarity_top_k = low
        return asyncio.run(block.aget(asked)) if low else ""

    asyncio.run(fill())
    return text


PEERS: dict[str, Callable[[Conversation], Text]] = {
    "latest turns": latest,
    "dense top-k": dense,
    "LangChain ConversationSummaryBufferMemory": summary_buffer,
    "LlamaIndex VectorMemoryBlock": vector_block,
    "memory-mgr search by rank": by_rank,
}
