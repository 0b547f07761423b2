"""Tokens of LangChain messages as they are sent: framing, role, name, content blocks, tool calls and their ids.

Text is counted exactly, with the memory's counter. Images, audio, video and files are counted at fixed sizes
without reading them (their bytes may be a URL).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.utils.function_calling import convert_to_openai_tool

from langchain_memory_mgr.messages import answered_call, calls_of
from memory_mgr.protocols import TokenCounter

FRAMING = 4
"""Around each message: 3 tokens and the role, of 1 (OpenAI cookbook, "How to count tokens with tiktoken")."""
PRIMING = 3
"""Before the answer, once a prompt (same source)."""
MEDIA_TOKENS = {"image": 256, "audio": 256, "video": 256, "file": 2048}
"""By what a block's type begins with; the sizes LlamaIndex's memory uses, for want of any in LangChain."""
_ALIASES = {"input_image": "image", "input_audio": "audio", "input_file": "file", "document": "file", "media": "image"}
_CALLS = {"tool_use", "tool_call", "function_call", "input_json_delta", "tool_call_chunk"}
"""Types of content blocks that repeat what stands in `tool_calls`."""


class MessageCounter:
    """Counts what a chat model is sent.

    Args:
        counter: Counts text.
    """

    def __init__(self, counter: TokenCounter) -> None:
        self.text = counter.count

    def message(self, message: BaseMessage) -> int:
        """Tokens of one message."""
        name = 1 + self.text(message.name) if message.name else 0
        answered = self.text(call) if (call := answered_call(message)) is not None else 0
        return FRAMING + name + self.content(message.content) + self._calls(message) + answered

    def messages(self, messages: Iterable[BaseMessage]) -> int:
        """Tokens of several."""
        return sum(map(self.message, messages))

    def content(self, content: str | list[Any]) -> int:
        """Tokens of a message's content."""
        if isinstance(content, str):
            return self.text(content) if content else 0
        return sum(map(self._block, content))

    def tools(self, tools: Iterable[Any]) -> int:
        """Tokens of the definitions of tools, as OpenAI's JSON."""
        return sum(self.text(_json(tool if isinstance(tool, dict) else convert_to_openai_tool(tool))) for tool in tools)

    def _block(self, block: str | dict[str, Any]) -> int:
        if isinstance(block, str):
            return self.text(block)
        kind = str(block.get("type", ""))
        if kind == "text":
            return self.text(str(block.get("text", "")))
        if kind in _CALLS:
            return 0
        media = MEDIA_TOKENS.get(_ALIASES.get(kind, kind.partition("_")[0]))
        # Thinking, citations and blocks of later versions: their JSON is at least their text.
        return self.text(_json(block)) if media is None else media

    def _calls(self, message: BaseMessage) -> int:
        calls: list[Any] = [{"id": c.id, "name": c.name, "arguments": c.arguments} for c in calls_of(message)]
        calls += message.invalid_tool_calls if isinstance(message, AIMessage) else []
        return sum(self.text(_json(call)) for call in calls)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
