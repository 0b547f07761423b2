"""`TieredMemory`: a memory for LangChain's chains (`langchain_classic`), over the core's four tiers.

The only module that needs the extra `[langchain-classic]`.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from langchain_classic.base_memory import BaseMemory
from langchain_core.messages import BaseMessage, SystemMessage, get_buffer_string
from pydantic import ConfigDict, Field, PrivateAttr

from langchain_memory_mgr.apart import apart
from langchain_memory_mgr.counting import FRAMING, MessageCounter
from langchain_memory_mgr.exchange import exchanged, question
from langchain_memory_mgr.history import TieredChatMessageHistory
from langchain_memory_mgr.messages import as_langchain, as_message
from langchain_memory_mgr.trimming import Item, MessageForm, beside_recalled
from memory_mgr import MemoryConfig, MemoryManager, Message, SyncConversationContext, SyncMemoryManager
from memory_mgr.connection import Connection
from memory_mgr.policy.eviction import fitting
from memory_mgr.types import JSON

MEMORY_SHARE = 0.3
"""Of `max_token_limit` that recalled text may fill; the rest is for the latest turns."""
_BETWEEN = "\n\n"
"""Stands between recalled text and the transcript."""
_TRIES = 4
"""Joined, texts may have a token more than they have apart; then less is put in."""


class _Window(dict[tuple[str, str], Item]):
    """The messages of the window as they were last read; a pickle has settings in it, and no messages."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _Window, ()


class TieredMemory(BaseMemory):
    """Remembers a conversation inside a token limit, and what was said in others.

    `load_memory_variables` returns the latest whole turns and before them, fenced as data, the summary of what came
    earlier and what is recalled for the question; together never more than `max_token_limit` tokens. Works in
    ConversationChain, LLMChain and any Chain, sync and async. Thread-safe; pickles as its settings and reconnects.

    Args:
        memory: An open memory; else one is opened with `config`, or with MemoryConfig()'s ./memory.
        config: Settings of a memory to open.

    Raises:
        ConfigurationError: Both a memory and a config are given.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    conversation_id: str = Field(default_factory=lambda: uuid.uuid4().hex, description="Default: a new conversation.")
    memory_key: str = Field(default="history", description="The variable of the prompt that is filled in.")
    input_key: str | None = Field(default=None, description="The input to remember, if the chain has several.")
    output_key: str | None = Field(default=None, description="The output to remember, if the chain has several.")
    human_prefix: str = Field(default="Human", description="Who the user is in the transcript.")
    ai_prefix: str = Field(default="AI", description="Who the model is in the transcript.")
    return_messages: bool = Field(default=False, description="Fill in messages, not text.")
    summary_message_cls: type[BaseMessage] = Field(
        default=SystemMessage, description="Of the message of recalled text."
    )
    max_token_limit: int = Field(default=2000, ge=1, description="Tokens of what is filled in.")
    memory_tokens: int | None = Field(default=None, ge=0, description="Tokens of recalled text; default: 30 %.")
    tiers: Any = Field(default=None, description="Tiers to recall from, None = all but working.")
    filter: dict[str, Any] | None = Field(
        default=None, description="What may be recalled, see `memory_mgr.stores.filters`."
    )
    metadata: dict[str, JSON] = Field(default_factory=dict, description="Kept with every message saved.")

    _connection: Connection = PrivateAttr()
    _window: _Window = PrivateAttr(default_factory=_Window)

    def __init__(
        self,
        *,
        memory: MemoryManager | SyncMemoryManager | None = None,
        config: MemoryConfig | None = None,
        **fields: Any,
    ) -> None:
        super().__init__(**fields)
        self._connection = Connection(memory, config)

    @property
    def memory_variables(self) -> list[str]:
        """The one variable that is filled in."""
        return [self.memory_key]

    @property
    def manager(self) -> MemoryManager:
        """The memory behind this; for what LangChain has no words for."""
        return self._connection.manager

    @property
    def conversation(self) -> SyncConversationContext:
        """The core's conversation."""
        own = self._connection.config.short_term
        limits = fitting(own, self.max_token_limit - self._memory_budget)
        return self._connection.sync.conversation(self.conversation_id, short_term=limits)

    # --- reading -------------------------------------------------------------------------------------------

    def load_memory_variables(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """What the prompt is told from memory.

        Args:
            inputs: Of the chain; {} recalls for the last thing the user said.

        Returns:
            Under `memory_key` text, "" if nothing was said yet; with `return_messages` a list of messages.
        """
        return {self.memory_key: apart(self._loaded, question(inputs, self.memory_variables, self.input_key))}

    async def aload_memory_variables(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """As `load_memory_variables`."""
        return await self._connection.run(self.load_memory_variables, inputs)

    def _loaded(self, asked: str) -> str | list[BaseMessage]:
        conversation, form = self.conversation, self._form
        items = self._items(conversation, form)
        users = [item for item in items if form.role(item.message) == "user"]
        query = asked or (form.text(users[-1].message) if users else "")

        def recall(sent: Sequence[str], budget: int) -> str:
            options: dict[str, Any] = {"memory_type": self.tiers, "filters": self.filter}
            if not query.strip():
                return ""
            return conversation.build_context(query, budget, include_recent=False, sent=set(sent), **options).text

        room = self.max_token_limit - FRAMING
        for _ in range(_TRIES):
            sent, recalled = beside_recalled(items, room, self._memory_budget, recall, form, hard=True)
            filled = self._filled(sent, recalled)
            over = self._tokens(filled) - self.max_token_limit
            if over <= 0:
                return filled
            room -= over
        return self._filled([], "")

    def _items(self, conversation: SyncConversationContext, form: MessageForm) -> list[Item]:
        """The window. A message is made and counted once while it stays there: that was half the adapter's time."""
        window = _Window()
        for message in conversation.window():
            key = str(message.id), message.content
            window[key] = self._window.get(key) or form.item(key[0], as_langchain(message))
        self._window = window
        return list(window.values())

    def _filled(self, sent: Sequence[Item], recalled: str) -> str | list[BaseMessage]:
        turns = [item.message for item in sent]
        if self.return_messages:
            first = [self.summary_message_cls(content=recalled)] if recalled else []
            return [*first, *map(_copied, turns)]
        return _BETWEEN.join(part for part in (recalled, self._transcript(turns)) if part)

    def _transcript(self, messages: Sequence[BaseMessage]) -> str:
        return get_buffer_string(messages, human_prefix=self.human_prefix, ai_prefix=self.ai_prefix)

    @property
    def _counter(self) -> MessageCounter:
        return MessageCounter(self._connection.sync.counter)

    @property
    def _form(self) -> MessageForm:
        counter = self._counter
        if self.return_messages:
            return MessageForm(counter.message)
        return MessageForm(lambda message: counter.text(self._transcript([message]) + "\n"))

    def _tokens(self, filled: str | list[BaseMessage]) -> int:
        return self._counter.text(filled) if isinstance(filled, str) else self._counter.messages(filled)

    @property
    def _memory_budget(self) -> int:
        share = self.memory_tokens
        limit = self.max_token_limit
        return int(limit * MEMORY_SHARE) if share is None else min(share, limit)

    # --- the whole conversation ------------------------------------------------------------------------------

    @property
    def chat_memory(self) -> TieredChatMessageHistory:
        """The log of the conversation, for code that reads or adds single messages."""
        return TieredChatMessageHistory(self.conversation_id, memory=self.manager)

    @property
    def buffer(self) -> str | list[BaseMessage]:
        """All that was ever said in the conversation, whatever the limit; text or messages."""
        return self.buffer_as_messages if self.return_messages else self.buffer_as_str

    @property
    def buffer_as_messages(self) -> list[BaseMessage]:
        """`buffer` as messages."""
        return [as_langchain(message) for message in self.conversation.messages()]

    @property
    def buffer_as_str(self) -> str:
        """`buffer` as a transcript."""
        return self._transcript(self.buffer_as_messages)

    # --- changing ------------------------------------------------------------------------------------------

    def save_context(
        self, inputs: dict[str, Any], outputs: Mapping[str, Any], *, metadata: Mapping[str, JSON] | None = None
    ) -> None:
        """Remember one exchange. What does not fit the window is archived by whole turns, and summarised.

        Args:
            inputs: Of the chain: text, a message, or a list of messages under `input_key`.
            outputs: Of the chain, likewise.
            metadata: Kept with these messages, over the field `metadata`.

        Raises:
            InvalidInputError: It cannot be told which input or output is meant, or it is not messages.
        """
        apart(self._save, self._exchange(inputs, outputs, metadata))

    async def asave_context(
        self, inputs: dict[str, Any], outputs: Mapping[str, Any], *, metadata: Mapping[str, JSON] | None = None
    ) -> None:
        """As `save_context`."""
        # Read before the first await: callers may change a message while it is on its way.
        await self._connection.run(apart, self._save, self._exchange(inputs, outputs, metadata))

    def _exchange(
        self, inputs: Mapping[str, Any], outputs: Mapping[str, Any], metadata: Mapping[str, JSON] | None
    ) -> list[Message]:
        messages = exchanged(inputs, outputs, self.memory_variables, self.input_key, self.output_key)
        about = self.metadata | dict(metadata or {})
        return [replace(as_message(message), metadata=about) for message in messages]

    def _save(self, messages: Sequence[Message]) -> None:
        self.conversation.add_messages(messages)

    def clear(self) -> int:  # type: ignore[override]
        """Delete this conversation, archived turns and summaries too, and nothing else; how many entries went."""
        return self.conversation.delete()

    async def aclear(self) -> int:  # type: ignore[override]
        """As `clear`."""
        return await self._connection.run(self.clear)

    # --- closing -------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the memory if it was opened here."""
        self._connection.close()


def _copied(message: BaseMessage) -> BaseMessage:
    """A message that callers may change."""
    content = message.content
    if not isinstance(content, str):
        content = [dict(block) if isinstance(block, dict) else block for block in content]
    extra = {"additional_kwargs": dict(message.additional_kwargs), "response_metadata": dict(message.response_metadata)}
    return message.model_copy(update={"content": content} | extra)
