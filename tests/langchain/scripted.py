"""A chat model that follows a script, a tool, and what is sent to a model counted without our own counter.

Run as a program, `python scripted.py PATH QUESTION`: a fresh process that opens the memory in PATH, asks an agent,
and prints what its model was sent as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from langchain.agents import create_agent
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, convert_to_openai_messages
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import tool
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import Field

from langchain_memory_mgr import TieredMemoryMiddleware
from memory_mgr import MemoryConfig
from memory_mgr.defaults.tokens import find_encoding
from memory_mgr.testing import FakeEmbedder

ENCODING = find_encoding("cl100k_base", allow_download=False)


@tool
def weather(city: str) -> str:
    """Tells the weather in a city."""
    return f"It is sunny in {city}, with light winds from the west and no clouds before the evening."


class ScriptedModel(BaseChatModel):
    """Calls the tool for every question, then answers; keeps what it was sent.

    Attributes:
        prompts: The messages of each call.
        tools: The definitions of the tools, as they are sent.
        ask: Whether it calls the tool first.
    """

    prompts: list[list[BaseMessage]] = Field(default_factory=list)
    tools: list[dict[str, Any]] = Field(default_factory=list)
    ask: bool = True

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[Any, Any]:
        """Keep the definitions."""
        self.tools = [convert_to_openai_tool(given) for given in tools]
        return self

    def _next(self, messages: list[BaseMessage]) -> AIMessage:
        self.prompts.append(list(messages))
        number = len(self.prompts)
        if self.ask and messages[-1].type == "human":
            call = {"id": f"call-{number}", "name": "weather", "args": {"city": f"Town {number}"}}
            return AIMessage("Let me look.", tool_calls=[call])
        return AIMessage(f"The answer has the number {number}.")

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._next(messages))])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        answer = self._next(messages)
        for word in answer.text.split(" "):
            yield ChatGenerationChunk(message=AIMessageChunk(f"{word} "))
        calls = [
            {"id": call["id"], "name": call["name"], "args": json.dumps(call["args"]), "index": place}
            for place, call in enumerate(answer.tool_calls)
        ]
        yield ChatGenerationChunk(message=AIMessageChunk("", tool_call_chunks=calls))


def tokens_sent(messages: Sequence[BaseMessage], tools: Sequence[dict[str, Any]] = ()) -> int:
    """Tokens of a prompt in OpenAI's wire format, as their cookbook counts them: 3 a message, 3 for the answer."""
    total = 3
    for sent in convert_to_openai_messages(list(messages)):
        texts = [sent["role"], sent["content"], sent.get("name", ""), sent.get("tool_call_id", "")]
        for call in sent.get("tool_calls", ()):
            texts += [call["id"], call["function"]["name"], call["function"]["arguments"]]
        total += 3 + sum(len(ENCODING.encode_ordinary(text)) for text in texts)
    return total + sum(len(ENCODING.encode_ordinary(json.dumps(given))) for given in tools)


def assert_valid(messages: Sequence[BaseMessage]) -> None:
    """No provider refuses it: starts with a user, every call is followed by its results, no result stands alone."""
    turns = [message for message in messages if message.type != "system"]
    assert messages[: len(messages) - len(turns)] == [m for m in messages if m.type == "system"]
    assert not turns or turns[0].type == "human"
    waiting: set[str] = set()
    for message in turns:
        if message.type == "tool":
            assert message.tool_call_id in waiting
            waiting.discard(message.tool_call_id)
            continue
        assert not waiting
        waiting = {str(call["id"]) for call in getattr(message, "tool_calls", ())}
    assert not waiting


def main() -> None:
    """See the module."""
    path, question = sys.argv[1:]
    model = ScriptedModel()
    config = MemoryConfig(path=Path(path), namespace="tests", embedder=FakeEmbedder())
    middleware = TieredMemoryMiddleware(config=config, budget_tokens=800, on_error="raise")
    agent = create_agent(model, [weather], system_prompt="You are a guide.", middleware=[middleware])
    run = {"configurable": {"user_id": "ann", "thread_id": "long"}}
    asyncio.run(agent.ainvoke({"messages": [HumanMessage(question)]}, run))
    middleware.close()
    sizes = [tokens_sent(prompt, model.tools) for prompt in model.prompts]
    print(json.dumps({"sizes": sizes, "prompts": convert_to_openai_messages(model.prompts[0])}))


if __name__ == "__main__":
    main()
