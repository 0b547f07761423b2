"""Tokens of LlamaIndex messages: of every block and of `additional_kwargs`, not of the text alone.

LlamaIndex's own `Memory` counts tool calls, thinking and citations as 0 in 0.14.25 (its issue 21950), so that its
limit does not hold. Text is counted exactly; images, audio, video and documents at the fixed sizes `Memory` uses,
without reading them (their bytes may be a URL).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from llama_index.core.base.llms.types import (
    CachePoint,
    ChatMessage,
    CitableBlock,
    CitationBlock,
    TextBlock,
    ThinkingBlock,
)

from llamaindex_memory_mgr.messages import dumped
from memory_mgr import MemoryConfig
from memory_mgr.defaults.adapters import as_token_counter
from memory_mgr.defaults.tokens import estimate_tokens, find_encoding

Tokenizer = Callable[[str], Sequence[Any]]
MEDIA_TOKENS = {"image": 256, "audio": 256, "video": 256, "document": 2048}
"""By block type; the estimates of LlamaIndex's `Memory`."""
ENCODING = "cl100k_base"
"""Counts within a few per cent for the models of most providers; the same default as the core's."""


def resolve_tokenizer(given: Tokenizer | None, config: MemoryConfig) -> Tokenizer:
    """The tokenizer to count with: the given one, else the memory's, else LlamaIndex's global one, else cl100k_base."""
    if given is not None:
        return given
    if config.token_counter is not None:
        counter = as_token_counter(config.token_counter)
        return lambda text: range(counter.count(text))
    return global_tokenizer() or _default_tokenizer()


def global_tokenizer() -> Tokenizer | None:
    """What was set with `set_global_tokenizer` or `Settings.tokenizer`."""
    import llama_index.core

    tokenizer: Tokenizer | None = llama_index.core.global_tokenizer
    return tokenizer


def _default_tokenizer() -> Tokenizer:
    encoding = find_encoding(ENCODING, allow_download=False)
    if encoding is None:
        return lambda text: range(estimate_tokens(text))
    tokenizer: Tokenizer = encoding.encode_ordinary
    return tokenizer


class MessageCounter:
    """Counts messages.

    Args:
        tokenizer: Text to tokens.
        media: Tokens of a block by its type, on top of `MEDIA_TOKENS`.
    """

    def __init__(self, tokenizer: Tokenizer, media: dict[str, int] | None = None) -> None:
        self._tokenizer = tokenizer
        self._media = MEDIA_TOKENS | (media or {})

    def text(self, text: str) -> int:
        """Tokens of a text, >= 0."""
        return len(self._tokenizer(text)) if text else 0

    def message(self, message: ChatMessage) -> int:
        """Tokens of all blocks and of `additional_kwargs`."""
        extra = json.dumps(dumped(message)["additional_kwargs"], ensure_ascii=False) if _has_extra(message) else ""
        return sum(self._block(block) for block in message.blocks) + self.text(extra)

    def total(self, messages: Iterable[ChatMessage]) -> int:
        """Tokens of several messages."""
        return sum(map(self.message, messages))

    def _block(self, block: Any) -> int:
        if isinstance(block, CachePoint):
            return 0
        if isinstance(block, ThinkingBlock):
            return max(block.num_tokens or 0, self.text(block.content or ""))
        if isinstance(block, CitableBlock | CitationBlock):
            inner = block.content if isinstance(block, CitableBlock) else [block.cited_content]
            return self.text(block.title) + self.text(block.source) + sum(map(self._block, inner))
        size = self._media.get(block.block_type)
        if size is not None:
            return size
        # Tool calls, and blocks of later versions: their JSON is at least their text.
        return self.text(block.text if isinstance(block, TextBlock) else block.model_dump_json())


def _has_extra(message: ChatMessage) -> bool:
    return any(key != "images" for key in message.additional_kwargs)
