"""Chains as they were written in 2023, with our memory in place of LangChain's."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

pytest.importorskip("langchain_classic")

from langchain_classic.chains import ConversationChain, LLMChain
from langchain_classic.memory import CombinedMemory, ConversationBufferMemory
from langchain_core.language_models import FakeListChatModel, FakeListLLM
from langchain_core.language_models.llms import LLM
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder, PromptTemplate

from langchain_memory_mgr import TieredMemory
from memory_mgr import SyncMemoryManager


class Echo(LLM):
    """Answers with the prompt it was sent, so that a test can read it."""

    @property
    def _llm_type(self) -> str:
        return "echo"

    def _call(self, prompt: str, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> str:
        return f"({len(prompt)})" if "Current conversation" not in prompt else prompt.split("conversation:")[1]


def test_conversation_chain(store: SyncMemoryManager) -> None:
    """`predict`, `invoke`, `run` on a bare string, and a stream; each exchange is saved once."""
    memory = TieredMemory(memory=store, conversation_id="chat")
    chain = ConversationChain(llm=FakeListLLM(responses=["one", "two", "three", "four"]), memory=memory)
    assert chain.predict(input="first") == "one"
    assert chain.invoke({"input": "second"})["history"] == "Human: first\nAI: one"
    assert chain.run("third") == "three"
    assert [chunk["response"] for chunk in chain.stream({"input": "fourth"})] == ["four"]
    lines = [
        "Human: first",
        "AI: one",
        "Human: second",
        "AI: two",
        "Human: third",
        "AI: three",
        "Human: fourth",
        "AI: four",
    ]
    assert memory.buffer == "\n".join(lines)


def test_conversation_chain_async(store: SyncMemoryManager) -> None:
    """Awaited and sync calls share one memory."""
    memory = TieredMemory(memory=store, conversation_id="chat")
    chain = ConversationChain(llm=FakeListLLM(responses=["one", "two", "three"]), memory=memory)

    async def main() -> None:
        await chain.ainvoke({"input": "first"})
        assert (await chain.ainvoke({"input": "second"}))["history"] == "Human: first\nAI: one"

    asyncio.run(main())
    assert chain.invoke({"input": "third"})["history"].count("Human:") == 2
    assert len(memory.conversation.messages()) == 6


def test_a_long_conversation_stays_in_the_prompt_by_what_it_is_about(store: SyncMemoryManager) -> None:
    """What was said at the start reaches the model when it is asked for; the rest has left the prompt."""
    memory = TieredMemory(memory=store, conversation_id="chat", max_token_limit=200)
    chain = ConversationChain(llm=Echo(), memory=memory)
    memory.save_context({"input": "My boat is called Nina."}, {"output": "A fine name."})
    for number in range(15):
        memory.save_context({"input": f"Question {number} about the weather"}, {"output": f"It is sunny, {number}."})
    prompt = chain.predict(input="What is my boat called?")
    assert "My boat is called Nina." in prompt
    assert "Human: Question 14 about the weather" in prompt
    assert "Question 3 about" not in prompt.split("</memory>")[1]


def test_llm_chain_with_several_inputs(store: SyncMemoryManager) -> None:
    """`input_key` says which one is remembered; the output is called "text"."""
    prompt = PromptTemplate.from_template("{chat_history}\nAnswer in {language}: {question}")
    memory = TieredMemory(memory=store, conversation_id="chat", memory_key="chat_history", input_key="question")
    chain = LLMChain(llm=FakeListLLM(responses=["ciao", "bene"]), prompt=prompt, memory=memory)
    chain.invoke({"question": "Hello?", "language": "Italian"})
    assert chain.invoke({"question": "How are you?", "language": "Italian"})["text"] == "bene"
    assert memory.buffer == "Human: Hello?\nAI: ciao\nHuman: How are you?\nAI: bene"


def test_llm_chain_with_a_chat_model_and_messages(store: SyncMemoryManager) -> None:
    """Messages go into a placeholder of a chat prompt."""
    prompt = ChatPromptTemplate([("system", "You are a guide."), MessagesPlaceholder("history"), ("human", "{input}")])
    memory = TieredMemory(memory=store, conversation_id="chat", return_messages=True)
    chain = LLMChain(llm=FakeListChatModel(responses=["one", "two"]), prompt=prompt, memory=memory)
    chain.invoke({"input": "first"})
    assert [m.content for m in chain.invoke({"input": "second"})["history"]] == ["first", "one"]


@pytest.mark.filterwarnings("ignore:Please see the migration guide")  # only of the first langchain-classic
def test_beside_another_memory(store: SyncMemoryManager) -> None:
    """As a part of a CombinedMemory."""
    tiered = TieredMemory(memory=store, conversation_id="chat", memory_key="recalled", input_key="input")
    plain = ConversationBufferMemory(memory_key="recent", input_key="input")
    prompt = PromptTemplate.from_template("{recalled}|{recent}|{input}")
    chain = LLMChain(
        llm=FakeListLLM(responses=["one", "two"]), prompt=prompt, memory=CombinedMemory(memories=[tiered, plain])
    )
    chain.invoke({"input": "first"})
    answer = chain.invoke({"input": "second"})
    assert answer["recalled"] == answer["recent"] == "Human: first\nAI: one"


def test_a_chain_that_fails_leaves_nothing_behind(store: SyncMemoryManager) -> None:
    """Half an exchange is none."""

    class Broken(Echo):
        def _call(self, prompt: str, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> str:
            raise RuntimeError("the model is away")

    memory = TieredMemory(memory=store, conversation_id="chat")
    with pytest.raises(RuntimeError, match="away"):
        ConversationChain(llm=Broken(), memory=memory).predict(input="first")
    assert memory.buffer == ""
