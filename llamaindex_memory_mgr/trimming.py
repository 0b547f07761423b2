"""LlamaIndex's messages as the core's trimming sees them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from llama_index.core.base.llms.types import ChatMessage, TextBlock

from llamaindex_memory_mgr.counting import MessageCounter
from llamaindex_memory_mgr.messages import answered_call, calls_of, copied, role_of, without_calls
from memory_mgr.policy import trimming

Item: TypeAlias = trimming.Item[ChatMessage]


class ChatForm:
    """How `ChatMessage`s are read and made smaller.

    Args:
        counter: Counts what is sent.
    """

    def __init__(self, counter: MessageCounter) -> None:
        self.role = role_of
        self.tokens = counter.message

    def calls(self, message: ChatMessage) -> Sequence[str]:
        """Ids of the tool calls of a message."""
        return [call.id for call in calls_of(message)]

    def answered(self, message: ChatMessage) -> str | None:
        """Id of the call that a message answers."""
        return answered_call(message)

    def without_calls(self, message: ChatMessage, calls: Sequence[str]) -> ChatMessage | None:
        """The message without these calls, None if nothing else is in it."""
        rest = without_calls(message, calls)
        return rest if rest.blocks else None

    def text(self, message: ChatMessage) -> str:
        """The text of a message."""
        return message.content or ""

    def with_text(self, message: ChatMessage, text: str) -> ChatMessage:
        """A copy with another text."""
        changed = copied(message)
        changed.blocks = [TextBlock(text=text)]
        return changed


def fitted(items: Sequence[Item], budget: int, counter: MessageCounter, *, newest: int | None = None) -> list[Item]:
    """As `memory_mgr.policy.trimming.fitted`, for messages counted by `counter`."""
    return trimming.fitted(items, budget, ChatForm(counter), newest=newest)
