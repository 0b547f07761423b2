"""Complaints about other memories that ours answers; each test is named after the issue."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("langchain_classic")
pytest.importorskip("langchain.agents")

from langchain.agents import create_agent
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver

from langchain_memory_mgr import TieredMemory, TieredMemoryMiddleware
from memory_mgr import MemoryConfig, SyncMemoryManager
from memory_mgr.policy.eviction import EvictionConfig

from .scripted import ENCODING, ScriptedModel, assert_valid, tokens_sent, weather


class CountingModel(GenericFakeChatModel):
    """Summarises with words of what it was shown, or fails; counts its calls."""

    calls: list[str] = []  # noqa: RUF012 - a field
    fails: bool = False

    def _generate(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
        self.calls.append(messages[0].text)
        if self.fails:
            raise ConnectionError("the model is away")
        return super()._generate(messages, *args, **kwargs)


def model(answer: str = "The user asked questions about Genoa and the weather.", **fields: Any) -> CountingModel:
    """A model that always answers the same."""
    return CountingModel(messages=iter([AIMessage(answer)] * 1000), calls=[], **fields)


def talk(memory: TieredMemory, exchanges: int) -> None:
    """A conversation that is larger than the window."""
    for number in range(exchanges):
        memory.save_context({"input": f"Question {number} about Genoa"}, {"output": f"The weather is fine, {number}."})


def test_langchainjs_2411_a_reload_costs_no_model_call(config: MemoryConfig) -> None:
    """Summary and what it covers are stored together: another process has the same context, and asks nothing."""
    first, second = model(), model()
    with SyncMemoryManager(config.replaced(llm=first)) as store:
        memory = TieredMemory(memory=store, conversation_id="chat", max_token_limit=400)
        talk(memory, 40)
        assert first.calls
        before = memory.load_memory_variables({"input": "What about Genoa?"})
        assert "asked questions about Genoa" in before["history"]
    with SyncMemoryManager(config.replaced(llm=second)) as store:
        again = TieredMemory(memory=store, conversation_id="chat", max_token_limit=400)
        assert again.load_memory_variables({"input": "What about Genoa?"}) == before
        assert second.calls == []


def test_flowise_5873_nothing_is_summarised_twice(config: MemoryConfig) -> None:
    """What a summary covers is never sent to the model as conversation again."""
    llm = model()
    with SyncMemoryManager(config.replaced(llm=llm)) as store:
        talk(TieredMemory(memory=store, conversation_id="chat", max_token_limit=150), 30)
    for number in range(20):
        assert sum(f"Question {number} about Genoa\n" in prompt for prompt in llm.calls) <= 1


def test_langchain_10078_the_limit_holds_for_what_was_stored_before(store: SyncMemoryManager) -> None:
    """A memory with a smaller limit over a log that is there already sends no more than its limit, and keeps all."""
    talk(TieredMemory(memory=store, conversation_id="chat", max_token_limit=100_000), 60)
    small = TieredMemory(memory=store, conversation_id="chat", max_token_limit=100)
    text = small.load_memory_variables({"input": "hi"})["history"]
    assert 0 < len(ENCODING.encode_ordinary(text)) <= 100
    assert len(small.conversation.messages()) == 120


def test_langchain_5053_the_buffer_is_pruned_by_every_save(store: SyncMemoryManager) -> None:
    """The window that is read for each prompt does not grow with the conversation."""
    memory = TieredMemory(memory=store, conversation_id="chat", max_token_limit=150)
    sizes = []
    for _ in range(6):
        talk(memory, 5)
        sizes.append(len(memory.conversation.window()))
    assert max(sizes) <= 16
    assert len(memory.conversation.messages()) == 60


def test_langchain_18303_one_memory_for_each_session_over_one_store(store: SyncMemoryManager) -> None:
    """Sessions are trimmed each for itself."""
    chats = [
        TieredMemory(memory=store, conversation_id=f"chat-{n}", max_token_limit=120, tiers="episodic") for n in (1, 2)
    ]
    talk(chats[0], 30)
    chats[1].save_context({"input": "Hello"}, {"output": "Hi"})
    assert chats[1].load_memory_variables({})["history"].endswith("Human: Hello\nAI: Hi")
    assert "Question 29" in chats[0].load_memory_variables({})["history"]


@pytest.mark.parametrize("budget", range(150, 700, 50))
def test_langchain_34282_no_orphaned_tool_messages(store: SyncMemoryManager, budget: int) -> None:
    """At whatever place the budget cuts, and however many tools one message calls."""
    history: list[Any] = []
    for number in range(6):
        ids = [f"{number}-{call}" for call in range(number % 3 + 1)]
        calls = [{"id": i, "name": "weather", "args": {"city": "Genoa"}} for i in ids]
        history += [HumanMessage(f"Question {number}"), AIMessage("", tool_calls=calls)]
        history += [*(ToolMessage("It is sunny. " * 10, tool_call_id=i) for i in ids), AIMessage(f"Sunny, {number}.")]
    chat = ScriptedModel(ask=False)
    middleware = TieredMemoryMiddleware(memory=store, user_key=None, budget_tokens=budget, on_error="raise")
    agent = create_agent(chat, [weather], middleware=[middleware])
    agent.invoke({"messages": [*history, HumanMessage("And now?")]}, {"configurable": {"thread_id": str(budget)}})
    assert_valid(chat.prompts[0])
    assert tokens_sent(chat.prompts[0], chat.tools) <= budget


def test_langchain_38352_a_call_that_never_got_its_result_does_not_block_the_thread(store: SyncMemoryManager) -> None:
    """After a run that was broken off, the next one sends what is valid of it."""
    broken = [
        HumanMessage("Weather?"),
        AIMessage("Let me look.", tool_calls=[{"id": "c", "name": "weather", "args": {}}]),
    ]
    chat = ScriptedModel(ask=False)
    middleware = TieredMemoryMiddleware(memory=store, user_key=None, on_error="raise")
    agent = create_agent(chat, [weather], middleware=[middleware])
    agent.invoke({"messages": [*broken, HumanMessage("Hello?")]}, {"configurable": {"thread_id": "t"}})
    assert [m.text for m in chat.prompts[0]] == ["Weather?", "Let me look.", "Hello?"]
    assert_valid(chat.prompts[0])


def test_deepagents_270_recalled_tool_results_are_text_not_messages(store: SyncMemoryManager) -> None:
    """What is recalled of a tool's work stands in the fence, where no provider looks for pairs."""
    chat = ScriptedModel()
    middleware = TieredMemoryMiddleware(memory=store, user_key=None, on_error="raise")
    agent = create_agent(chat, [weather], middleware=[middleware])
    agent.invoke({"messages": [HumanMessage("Weather in Genoa?")]}, {"configurable": {"thread_id": "1"}})
    agent.invoke({"messages": [HumanMessage("What did you find, sunny?")]}, {"configurable": {"thread_id": "2"}})
    assert "It is sunny in Town 1" in chat.prompts[2][0].text
    assert [m.type for m in chat.prompts[2]] == ["system", "human"]


@pytest.mark.parametrize("answer", ["", "I'm sorry, I can't help with that.", "Previous conversation was too long."])
def test_langchain_39261_no_placeholder_takes_the_place_of_what_was_said(config: MemoryConfig, answer: str) -> None:
    """An answer that is no summary changes nothing: what left the window is found, and an extract stands for it."""
    with SyncMemoryManager(config.replaced(llm=model(answer))) as store:
        memory = TieredMemory(memory=store, conversation_id="chat", max_token_limit=150)
        memory.save_context({"input": "My boat is called Nina."}, {"output": "A fine name."})
        talk(memory, 20)
        assert memory.conversation.summaries()
        text = memory.load_memory_variables({"input": "What is my boat called?"})["history"]
        assert "My boat is called Nina." in text
        assert not answer or answer not in text


def test_langchain_38867_a_failing_model_keeps_the_originals(config: MemoryConfig) -> None:
    """Nothing is lost, nothing about the failure gets into the prompt, and saving works."""
    with SyncMemoryManager(config.replaced(llm=model(fails=True))) as store:
        memory = TieredMemory(memory=store, conversation_id="chat", max_token_limit=150)
        talk(memory, 20)
        assert len(memory.conversation.messages()) == 40
        assert "away" not in memory.load_memory_variables({"input": "Genoa"})["history"]


def test_langchain_39261_a_long_span_is_summarised_whole(config: MemoryConfig) -> None:
    """In parts, rather than only its last 4,000 tokens."""
    llm = model()
    with SyncMemoryManager(config.replaced(llm=llm)) as store:
        memory = TieredMemory(memory=store, conversation_id="chat", max_token_limit=300)
        long = [part for n in range(40) for part in (AIMessage(f"Part{n}. " + "Genoa has fine weather. " * 40),)]
        memory.save_context({"input": "Tell me all about Genoa"}, {"output": long})
        talk(memory, 20)
    shown = "\n".join(llm.calls)
    assert all(f"Part{number}." in shown for number in range(40))


def test_deerflow_1430_summarising_erases_no_transcript(config: MemoryConfig) -> None:
    """The log has every message as it was said, the agent's state too."""
    limits = EvictionConfig(max_messages=6)
    with SyncMemoryManager(config.replaced(llm=model(), short_term=limits)) as store:
        middleware = TieredMemoryMiddleware(memory=store, user_key=None, budget_tokens=400, on_error="raise")
        agent = create_agent(ScriptedModel(), [weather], middleware=[middleware], checkpointer=InMemorySaver())
        run: Any = {"configurable": {"thread_id": "t"}}
        for number in range(12):
            state = agent.invoke({"messages": [HumanMessage(f"Question {number} about Genoa")]}, run)
        conversation = store.conversation("t")
        assert conversation.summaries()
        assert [m.content or "" for m in conversation.messages()] == [m.text for m in state["messages"]]


def test_deepagents_2876_the_prompt_stays_small_while_the_state_grows(store: SyncMemoryManager) -> None:
    """Who wants the state trimmed too does it by a policy of its own; memory has what goes."""
    chat = ScriptedModel()
    middleware = TieredMemoryMiddleware(memory=store, user_key=None, budget_tokens=400, on_error="raise")
    agent = create_agent(chat, [weather], middleware=[middleware], checkpointer=InMemorySaver())
    run: Any = {"configurable": {"thread_id": "t"}}
    for number in range(12):
        agent.invoke({"messages": [HumanMessage(f"Question {number} about Genoa")]}, run)
    assert max(tokens_sent(prompt, chat.tools) for prompt in chat.prompts) <= 400
