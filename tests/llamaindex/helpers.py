"""A model that answers by rule and writes down what it was sent, and short names for messages."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from typing import Any

import pytest
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    LLMMetadata,
    ToolCallBlock,
)
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.memory import Memory
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from llama_index.core.tools import BaseTool
from pydantic import PrivateAttr

Rule = Callable[[Sequence[ChatMessage]], str | ChatMessage]


class ScriptedLLM(FunctionCallingLLM):
    """Answers by a rule; `prompts` holds every list of messages it was sent."""

    _rule: Rule = PrivateAttr()
    _prompts: list[list[ChatMessage]] = PrivateAttr(default_factory=list)

    def __init__(self, rule: Rule = lambda messages: "I see.") -> None:
        super().__init__()
        self._rule = rule

    @property
    def prompts(self) -> list[list[ChatMessage]]:
        """What it was sent, call by call."""
        return self._prompts

    @classmethod
    def class_name(cls) -> str:
        """Names it for LlamaIndex."""
        return "ScriptedLLM"

    @property
    def metadata(self) -> LLMMetadata:
        """A chat model that calls functions."""
        return LLMMetadata(is_chat_model=True, is_function_calling_model=True, context_window=4096)

    def _answer(self, messages: Sequence[ChatMessage]) -> ChatResponse:
        self._prompts.append([message.model_copy(deep=True) for message in messages])
        said = self._rule(messages)
        message = ChatMessage(role="assistant", content=said) if isinstance(said, str) else said
        return ChatResponse(message=message, delta=message.content or "")

    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """One answer."""
        return self._answer(messages)

    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """One answer."""
        return self._answer(messages)

    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Generator[ChatResponse, None, None]:
        """The answer in two pieces."""
        yield from _pieces(self._answer(messages))

    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> AsyncGenerator[ChatResponse, None]:
        """The answer in two pieces."""

        async def pieces() -> AsyncGenerator[ChatResponse, None]:
            for piece in _pieces(self._answer(messages)):
                yield piece

        return pieces()

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """One answer."""
        answer = self._answer([ChatMessage(role="user", content=prompt)])
        return CompletionResponse(text=answer.message.content or "")

    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """One answer."""
        return self.complete(prompt)

    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        """One answer, whole."""
        return iter([self.complete(prompt)])

    async def astream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        """Not used."""
        raise NotImplementedError

    def _prepare_chat_with_tools(
        self, tools: Sequence[BaseTool], user_msg: Any = None, chat_history: Any = None, **kwargs: Any
    ) -> dict[str, Any]:
        return {"messages": [*(chat_history or []), *([user_msg] if user_msg else [])]}

    def get_tool_calls_from_response(self, response: ChatResponse, **kwargs: Any) -> list[ToolSelection]:
        """The tool calls of an answer."""
        return [
            ToolSelection(tool_id=b.tool_call_id or "", tool_name=b.tool_name, tool_kwargs=dict(b.tool_kwargs))
            for b in response.message.blocks
            if isinstance(b, ToolCallBlock)
        ]


def _pieces(whole: ChatResponse) -> list[ChatResponse]:
    text = whole.message.content or ""
    if not text:
        return [whole]
    half = len(text) // 2
    first = ChatResponse(message=ChatMessage(role="assistant", content=text[:half]), delta=text[:half])
    return [first, ChatResponse(message=whole.message, delta=text[half:])]


class Shelf(BaseRetriever):
    """Always finds the same page."""

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return [NodeWithScore(node=TextNode(text="A page about something else."), score=1.0)]


def user(text: str) -> ChatMessage:
    """A user message."""
    return ChatMessage(role="user", content=text)


def assistant(text: str) -> ChatMessage:
    """An assistant message."""
    return ChatMessage(role="assistant", content=text)


def tool_round(call_id: str, output: str, name: str = "search") -> list[ChatMessage]:
    """A tool call and its result."""
    call = ToolCallBlock(tool_call_id=call_id, tool_name=name, tool_kwargs={"query": "x"})
    return [
        ChatMessage(role="assistant", blocks=[call]),
        ChatMessage(role="tool", content=output, additional_kwargs={"tool_call_id": call_id}),
    ]


def contents(messages: Sequence[ChatMessage]) -> list[str | None]:
    """Their texts."""
    return [message.content for message in messages]


takes_chat_store = pytest.mark.skipif(
    "chat_store" not in inspect.signature(Memory.from_defaults).parameters,
    reason="LlamaIndex's Memory.from_defaults takes chat_store= since 0.14.24",
)
