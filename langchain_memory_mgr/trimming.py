"""LangChain's messages as the core's trimming sees them, and what stands in a prompt beside recalled text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from langchain_core.messages import AIMessage, BaseMessage

from langchain_memory_mgr.messages import answered_call, calls_of, role_of
from memory_mgr.policy import trimming

Item: TypeAlias = trimming.Item[BaseMessage]
Recall: TypeAlias = Callable[[Sequence[str], int], str]
"""(ids of the messages in the prompt, tokens) -> text to remember by, of at most that many tokens."""
_THOUGHTS = {"thinking", "redacted_thinking", "reasoning", "reasoning_content"}


class MessageForm:
    """How LangChain's messages are read and made smaller.

    Args:
        tokens: Size of a message as it is sent.
    """

    def __init__(self, tokens: Callable[[BaseMessage], int]) -> None:
        self.role = role_of
        self.answered = answered_call
        self.tokens = tokens

    def calls(self, message: BaseMessage) -> Sequence[str]:
        """Ids of the tool calls of a message; of those too that could not be read, which providers are sent as well."""
        invalid = message.invalid_tool_calls if isinstance(message, AIMessage) else []
        return [*(call.id for call in calls_of(message)), *(str(call["id"]) for call in invalid)]

    def without_calls(self, message: BaseMessage, calls: Sequence[str]) -> BaseMessage | None:
        """The message without these calls, None if nothing else was said in it."""
        if not isinstance(message, AIMessage):
            return message
        extra = {k: v for k, v in message.additional_kwargs.items() if k not in {"tool_calls", "function_call"}}
        content = message.content
        if isinstance(content, list):
            content = [block for block in content if not _calls_one_of(block, calls)]
        changes = {
            "tool_calls": [call for call in message.tool_calls if (call["id"] or call["name"]) not in calls],
            "invalid_tool_calls": [call for call in message.invalid_tool_calls if str(call["id"]) not in calls],
            "additional_kwargs": extra,
            "content": content,
        }
        rest = message.model_copy(update=changes)
        return rest if _says_something(rest) or self.calls(rest) else None

    def text(self, message: BaseMessage) -> str:
        """The text of a message."""
        return str(message.text)

    def with_text(self, message: BaseMessage, text: str) -> BaseMessage:
        """A copy with another text."""
        return message.model_copy(update={"content": text})

    def item(self, message_id: str, message: BaseMessage) -> Item:
        """A message with its size."""
        return trimming.Item(message_id, message, self.tokens(message))


def beside_recalled(
    items: Sequence[Item], budget: int, memory_budget: int, recall: Recall, form: MessageForm, *, hard: bool = False
) -> tuple[list[Item], str]:
    """The newest turns of a history and what is recalled, together in `budget` tokens.

    Recalled text gets up to `memory_budget`, but the newest turn goes before it.

    Args:
        items: The history, oldest first.
        budget: Tokens of both.
        memory_budget: Tokens of recalled text.
        recall: Gives it.
        form: Reads the messages.
        hard: Leave out the newest turn too if it is over the budget by itself; parts of it may then be recalled.
    """
    sent = trimming.fitted(items, budget - memory_budget, form, newest=budget)
    if hard and trimming.size(sent) > budget:
        sent = items = []
    room = min(memory_budget, budget - trimming.size(sent))
    recalled = recall([item.id for item in sent], room) if room > 0 else ""
    if not recalled and len(sent) < len(items):
        sent = trimming.fitted(items, budget, form)
    return sent, recalled


def _calls_one_of(block: Any, calls: Sequence[str]) -> bool:
    return isinstance(block, dict) and (block.get("id") in calls or block.get("call_id") in calls)


def _says_something(message: BaseMessage) -> bool:
    if isinstance(message.content, str):
        return bool(message.content.strip())
    return any(isinstance(block, str) or block.get("type") not in _THOUGHTS for block in message.content)
