"""Recalled text in a prompt, and out of it again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from llama_index.core.base.llms.types import ChatMessage, MessageRole, TextBlock

from llamaindex_memory_mgr.messages import copied, role_of
from memory_mgr.policy.rendering import OPENING, without_blocks

InsertMethod = Literal["auto", "system", "user"]
"""Where recalled text goes: into the system message, the last user message, or ("auto") the message it is about if
the history holds that, else the system message. ReActAgent and CodeActAgent drop a memory's system message."""
_TEMPLATE_WORDS = re.compile(r"\{\s*(query_str|context_str)\s*\}")
"""Names that chat engines fill in in every message that passes through their templates, remembered ones too."""


def neutralised(text: str) -> str:
    """`text` in which no chat engine's template finds a place to fill in: `{query_str}` becomes `(query_str)`."""
    return _TEMPLATE_WORDS.sub(r"(\1)", text)


def inserted(history: Sequence[ChatMessage], recalled: str, method: InsertMethod) -> list[ChatMessage]:
    """The history with recalled text in its system message, or before the words of its last user message.

    However many system messages there are, one comes out, and it comes first. The messages must be copies.
    """
    system = [message for message in history if role_of(message) == "system"]
    others = [message for message in history if role_of(message) != "system"]
    into_system = method == "system" or not any(role_of(message) == "user" for message in others)
    if recalled and not into_system:
        last = max(i for i, message in enumerate(others) if role_of(message) == "user")
        others[last].blocks = [TextBlock(text=f"{recalled}\n\n"), *others[last].blocks]
    head = _joined(system, recalled if into_system else "")
    return [*head, *others]


def _joined(system: list[ChatMessage], recalled: str) -> list[ChatMessage]:
    """One system message of several and of what is recalled; none of nothing."""
    if not system:
        return [ChatMessage(role=MessageRole.SYSTEM, content=recalled)] if recalled else []
    first, *rest = system
    if rest or recalled:
        first = copied(first)
        first.blocks = [*first.blocks, *(block for message in rest for block in message.blocks)]
        if recalled:
            first.blocks.append(TextBlock(text=recalled))
    return [first]


def without_recalled(message: ChatMessage) -> ChatMessage | None:
    """The message without text that `inserted` put in, None if nothing else was in it.

    Applications hand a prompt back as history; what was recalled must not be stored as if it had been said.
    """
    if not any(isinstance(block, TextBlock) and OPENING in block.text for block in message.blocks):
        return message
    clean = copied(message)
    texts = [(b, without_blocks(b.text)) if isinstance(b, TextBlock) else (b, "") for b in clean.blocks]
    clean.blocks = [
        TextBlock(text=text) if isinstance(block, TextBlock) else block
        for block, text in texts
        if not isinstance(block, TextBlock) or text or text == block.text
    ]
    return clean if clean.blocks else None
