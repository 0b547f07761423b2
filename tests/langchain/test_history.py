"""`TieredChatMessageHistory` by itself and under RunnableWithMessageHistory."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import RunnableLambda
from langchain_core.runnables.history import RunnableWithMessageHistory

from langchain_memory_mgr import USER_AND_CONVERSATION, TieredChatMessageHistory
from memory_mgr import EmbeddingError, InvalidInputError, MemoryConfig, ShortTermConfig, SyncMemoryManager
from memory_mgr.testing import FakeEmbedder

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*deprecated.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*RunnableWithMessageHistory.*"),
]


def chatting(memory: SyncMemoryManager, **options: Any) -> RunnableWithMessageHistory:
    """A chain that answers "answer <n>" with the number of messages it was sent."""
    prompt = ChatPromptTemplate.from_messages([MessagesPlaceholder("history"), ("human", "{input}")])
    answer = RunnableLambda(lambda prompt: AIMessage(f"answer {len(prompt.to_messages())}"))

    def history(user_id: str, conversation_id: str) -> TieredChatMessageHistory:
        return TieredChatMessageHistory(conversation_id, user_id=user_id, memory=memory, **options)

    return RunnableWithMessageHistory(
        prompt | answer,
        history,
        input_messages_key="input",
        history_messages_key="history",
        history_factory_config=list(USER_AND_CONVERSATION),
    )


def session(user_id: Any, conversation_id: str) -> Any:
    """The configuration of a run."""
    return {"configurable": {"user_id": user_id, "conversation_id": conversation_id}}


def test_messages_are_what_was_added_in_order(memory: SyncMemoryManager) -> None:
    """Every type, losslessly, repeated ids and repeated objects included."""
    call = {"name": "look", "args": {"q": "x"}, "id": "c"}
    hello = HumanMessage("hello", id="same")
    said: list[BaseMessage] = [
        SystemMessage("be kind"),
        hello,
        hello,
        AIMessage("", id="same", tool_calls=[call]),
        ToolMessage("found", tool_call_id="c", artifact=(1, b"2")),
        AIMessage([{"type": "text", "text": "done"}]),
        HumanMessage(""),
    ]
    history = TieredChatMessageHistory("c", memory=memory)
    assert history.messages == []
    history.add_messages(said[:3])
    asyncio.run(history.aadd_messages(said[3:]))
    assert history.messages == said
    assert asyncio.run(history.aget_messages()) == said


def test_the_list_is_the_callers_own(memory: SyncMemoryManager) -> None:
    """RunnableWithMessageHistory copies and extends it."""
    history = TieredChatMessageHistory("c", memory=memory)
    history.add_user_message("hello")
    history.messages.append(AIMessage("never said"))
    history.messages[0].content = "changed"
    assert history.messages == [HumanMessage("hello")]


@pytest.mark.parametrize("awaited", [False, True])
def test_two_keys_name_a_session(memory: SyncMemoryManager, awaited: bool) -> None:
    """Each user's conversations are their own, whatever they are called; whole numbers name users too."""
    chain = chatting(memory)

    def say(text: str, user: Any, conversation: str) -> str:
        config = session(user, conversation)
        answer = (
            asyncio.run(chain.ainvoke({"input": text}, config)) if awaited else chain.invoke({"input": text}, config)
        )
        return str(answer.content)

    for user in ("ada", 7):
        assert [say(f"{user} {n}", user, "c1") for n in range(2)] == ["answer 1", "answer 3"]
    assert say("new", "ada", "c2") == "answer 1"
    log = TieredChatMessageHistory("c1", user_id="ada", memory=memory).messages
    assert [m.content for m in log] == ["ada 0", "answer 1", "ada 1", "answer 3"]


def test_clearing_deletes_one_conversation(memory: SyncMemoryManager) -> None:
    """Window, archive and summaries of exactly this conversation; the number of entries is told on request."""
    made = {(u, c): TieredChatMessageHistory(c, user_id=u, memory=memory) for u in "ab" for c in "12"}
    for history in made.values():
        for n in range(6):
            history.add_messages([HumanMessage(f"question {n}"), AIMessage(f"answer {n}")])
        history._conversation().archive(6)
    assert made["a", "1"].delete() >= 12
    made["b", "2"].clear()
    assert [len(h.messages) for h in made.values()] == [0, 12, 12, 0]
    own = memory.scoped("a").list_memories(limit=None, include_superseded=True)
    assert {entry.source for entry in own} == {"2"}


def test_streaming_saves_once(memory: SyncMemoryManager) -> None:
    """The streamed answer is one message."""
    model = GenericFakeChatModel(messages=iter([AIMessage("one two three")]))
    chain = RunnableWithMessageHistory(model, lambda c: TieredChatMessageHistory(c, memory=memory))
    config: Any = {"configurable": {"session_id": "c"}}
    assert "".join(str(chunk.content) for chunk in chain.stream([HumanMessage("count")], config)) == "one two three"
    assert [m.content for m in TieredChatMessageHistory("c", memory=memory).messages] == ["count", "one two three"]


class FailingEmbedder(FakeEmbedder):
    """Fails when it is told to."""

    failing = False

    def embed(self, texts: Any, *, kind: Any) -> Any:
        """Vectors, or not."""
        if self.failing:
            raise OSError("no model")
        return super().embed(texts, kind=kind)


def test_what_was_not_saved_is_told(tmp_path: Any, caplog: pytest.LogCaptureFixture) -> None:
    """RunnableWithMessageHistory swallows the error, so `on_unsaved` gets it, with the messages to save later."""
    unsaved: list[tuple[Exception, list[BaseMessage]]] = []
    embedder = FailingEmbedder()
    with SyncMemoryManager(MemoryConfig(path=tmp_path, embedder=embedder)) as memory:
        chain = chatting(memory, on_unsaved=lambda error, messages: unsaved.append((error, list(messages))))
        embedder.failing = True
        with caplog.at_level(logging.ERROR):
            assert chain.invoke({"input": "hi"}, session("ada", "c")).content == "answer 1"
        ((error, messages),) = unsaved
        assert isinstance(error, EmbeddingError)
        assert [m.content for m in messages] == ["hi", "answer 1"]
        assert "2 messages of conversation 'c' were not saved" in caplog.text
        with pytest.raises(EmbeddingError):
            TieredChatMessageHistory("c", memory=memory).add_messages(messages)
        embedder.failing = False
        history = TieredChatMessageHistory("c", user_id="ada", memory=memory)
        history.add_messages(messages)
        assert history.messages == messages


@pytest.mark.parametrize("user_id", ["", " ", 1.5])
def test_a_user_without_a_name_is_refused(memory: SyncMemoryManager, user_id: Any) -> None:
    """Rather than sharing one memory."""
    with pytest.raises(InvalidInputError):
        TieredChatMessageHistory("c", user_id=user_id, memory=memory).add_user_message("hi")


def test_a_small_window_does_not_shorten_the_log(tmp_path: Any) -> None:
    """What the memory archives and summarises is still in the log, in order."""
    config = MemoryConfig(path=tmp_path, embedder=FakeEmbedder(), short_term=ShortTermConfig(max_messages=4))
    with SyncMemoryManager(config) as memory:
        chain = chatting(memory)
        for n in range(8):
            assert chain.invoke({"input": f"q{n}"}, session("ada", "c")).content == f"answer {2 * n + 1}"
        history = TieredChatMessageHistory("c", user_id="ada", memory=memory)
        assert [m.content for m in history.messages[::2]] == [f"q{n}" for n in range(8)]
        assert len(history._conversation().window()) <= 4
