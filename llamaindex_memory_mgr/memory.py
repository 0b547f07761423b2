"""`TieredMemory`: a LlamaIndex memory for chat engines and agents, over the core's four tiers."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.bridge.pydantic import ConfigDict, Field, PrivateAttr
from llama_index.core.llms.llm import LLM
from llama_index.core.memory.types import BaseMemory

from llamaindex_memory_mgr.connection import Connection, Handle
from llamaindex_memory_mgr.counting import MessageCounter, Tokenizer, resolve_tokenizer
from llamaindex_memory_mgr.failures import OnError, log
from llamaindex_memory_mgr.history import History
from llamaindex_memory_mgr.insertion import InsertMethod, inserted, without_recalled
from llamaindex_memory_mgr.messages import as_chat_message, as_message, calls_of, copied, role_of, text_of
from llamaindex_memory_mgr.recall import Question, Recall
from llamaindex_memory_mgr.trimming import Item, fitted
from memory_mgr import InvalidInputError, MemoryConfig, MemoryManager, Message, SyncMemoryManager
from memory_mgr.policy.eviction import EvictionConfig, fitting
from memory_mgr.types import Filters

DEFAULT_TOKEN_LIMIT = 3000
"""As `ChatMemoryBuffer`."""
WINDOW_SHARE = 0.75
"""Of a model's context window that memory may fill; as `ChatMemoryBuffer`."""
MEMORY_SHARE = 0.3
"""Of `token_limit` that recalled text may fill; what LlamaIndex's `Memory` leaves beside its history (ratio 0.7)."""


@dataclass(frozen=True)
class _Request:
    """The arguments of one `get`."""

    input: str
    initial_tokens: int
    reserve: int
    tiers: Sequence[str] | None
    filters: Filters | None


class TieredMemory(BaseMemory):
    """Remembers a conversation inside a token limit, and what was said in others.

    `get` returns the newest whole turns and, in the user message it is about or in one system message before them, what
    the memory recalls for the last thing the user said. Works in chat engines, agents and workflows, sync and async.
    All methods may be called from any thread and any event loop.

    Args:
        memory: An open memory; else one is opened with `config`, or with MemoryConfig()'s ./memory.
        config: Settings of a memory to open; `Settings` fills in models that it leaves open.
        llm: Writes summaries, if a memory is opened here.
        embed_model: Embeds, if a memory is opened here.

    Raises:
        ConfigurationError: Both a memory and a config are given, or a setting cannot work.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    conversation_id: str = Field(default_factory=lambda: uuid.uuid4().hex, description="Default: a new conversation.")
    token_limit: int = Field(default=DEFAULT_TOKEN_LIMIT, ge=1, description="Tokens of what get() returns.")
    memory_tokens: int | None = Field(default=None, ge=0, description="Tokens of recalled text; default: 30 %.")
    reserve_tokens: int = Field(default=0, ge=0, description="Tokens to leave free, e.g. for a context engine's nodes.")
    insert_method: InsertMethod = Field(
        default="auto",
        description="Where recalled text is put: 'system', the first message; 'user', the last user message; 'auto', "
        "the user message it is about if that is in the history (agents, SimpleChatEngine), else the first message.",
    )
    on_error: OnError = Field(default="warn", description="Go on when the memory fails, or raise.")
    media_tokens: dict[str, int] = Field(default_factory=dict, description="Tokens of an image, audio, video, document")
    tokenizer_fn: Tokenizer | None = Field(default=None, exclude=True, description="Text to tokens.")

    _connection: Connection = PrivateAttr()
    _history: History = PrivateAttr()
    _recall: Recall = PrivateAttr()
    _counter: MessageCounter = PrivateAttr()
    _known: dict[str, tuple[Message, Item]] = PrivateAttr(default_factory=dict)

    def __init__(
        self,
        *,
        memory: MemoryManager | SyncMemoryManager | None = None,
        config: MemoryConfig | None = None,
        connection: Handle | None = None,
        llm: LLM | None = None,
        embed_model: BaseEmbedding | None = None,
        **fields: Any,
    ) -> None:
        super().__init__(**fields)
        tokenizer = fields.get("tokenizer_fn")
        self._connection = Connection(
            memory, config, handle=connection, llm=llm, embed_model=embed_model, tokenizer_fn=tokenizer
        )
        self.tokenizer_fn = resolve_tokenizer(tokenizer, self._connection.config)
        self._counter = MessageCounter(self.tokenizer_fn, self.media_tokens)
        limits = self._limits() if "token_limit" in fields else None
        self._history = History(lambda: self._connection.sync, self.conversation_id, limits, self.on_error)
        self._recall = Recall(lambda: self._connection.sync, self._counter, self.on_error)

    @classmethod
    def from_defaults(
        cls,
        chat_history: list[ChatMessage] | None = None,
        llm: LLM | None = None,
        token_limit: int | None = None,
        tokenizer_fn: Tokenizer | None = None,
        *,
        memory: MemoryManager | SyncMemoryManager | None = None,
        config: MemoryConfig | None = None,
        conversation_id: str | None = None,
        **kwargs: Any,
    ) -> TieredMemory:
        """A memory with defaults, as chat engines and agents make one.

        Args:
            chat_history: What the history is set to; none or an empty list leaves what is stored.
            llm: Its context window decides the limit if none is given.
            token_limit: Tokens of what get() returns; >= 1.
            tokenizer_fn: Text to tokens.
            memory: An open memory.
            config: Settings of a memory to open.
            conversation_id: Which conversation; default: a new one.
            kwargs: The other arguments of the class.
        """
        if token_limit is None and llm is not None:
            token_limit = max(1, int(llm.metadata.context_window * WINDOW_SHARE))
        optional = {"token_limit": token_limit, "tokenizer_fn": tokenizer_fn, "conversation_id": conversation_id}
        given: dict[str, Any] = {name: value for name, value in optional.items() if value is not None}
        made = cls(memory=memory, config=config, llm=llm, **given, **kwargs)
        if chat_history:
            made.set(chat_history)
        return made

    @classmethod
    def class_name(cls) -> str:
        """Names the class in what LlamaIndex saves."""
        return "TieredMemory"

    # --- reading -------------------------------------------------------------------------------------------

    def get(self, input: str | None = None, **kwargs: Any) -> list[ChatMessage]:
        """The prompt's messages: recalled text and the newest whole turns, within the token limit.

        Args:
            input: What is about to be answered; default: the last user message.
            kwargs: `initial_token_count`: tokens the caller adds itself. `reserve_tokens`: in place of the field.
                `filters`, `tiers`: what may be recalled. Others are ignored, for callers that pass their own.

        Returns:
            Copies; changing them changes nothing here. Over the limit only if the last user message alone is.

        Raises:
            InvalidInputError: A number is negative.
        """
        request = self._request(input, kwargs)
        items = self._items()
        users = [item for item in items if item.message.role == "user"]
        query = request.input or (text_of(users[-1].message) if users else "")
        stored = _is_stored(request.input, items, users)
        unsent = 0 if stored else self._counter.text(request.input)
        budget = self.token_limit - request.initial_tokens - request.reserve - unsent
        sent = fitted(items, budget - self._memory_budget, self._counter, newest=budget)
        question = Question(
            query, [item.id for item in sent], users[-1].id if users else None, request.tiers, request.filters
        )
        left = min(self._memory_budget, budget - sum(item.tokens for item in sent))
        recalled = self._recall.text(question, self.conversation_id, left)
        if not recalled and len(sent) < len(items):
            sent = fitted(items, budget, self._counter)
        if sum(item.tokens for item in sent) > budget:
            log.warning("the newest turn alone is over the token limit of %d; sending it all the same", budget)
        method = self.insert_method
        if method == "auto":
            method = "user" if stored else "system"
        return inserted([item.message for item in sent], recalled, method)

    async def aget(self, input: str | None = None, **kwargs: Any) -> list[ChatMessage]:
        """As `get`."""
        return await self._connection.run(self.get, input, **kwargs)

    def get_all(self) -> list[ChatMessage]:
        """The whole history since it was set or reset, archived turns included, without recalled text."""
        return [as_chat_message(message) for message in self._history.all()]

    async def aget_all(self) -> list[ChatMessage]:
        """As `get_all`."""
        return await self._connection.run(self.get_all)

    # --- changing ------------------------------------------------------------------------------------------

    def put(self, message: ChatMessage) -> None:
        """Append a message."""
        self.put_messages([message])

    async def aput(self, message: ChatMessage) -> None:
        """As `put`."""
        await self.aput_messages([message])

    def put_messages(self, messages: list[ChatMessage]) -> None:
        """Append messages, in one write."""
        self._history.add(_stored(messages))

    async def aput_messages(self, messages: list[ChatMessage]) -> None:
        """As `put_messages`."""
        # Copied before the first await: callers may change a message while it is on its way.
        await self._connection.run(self._history.add, _stored(messages))

    def set(self, messages: list[ChatMessage]) -> None:
        """Make the history these messages.

        Setting the same history again, or a longer, shorter or edited one, stores only what is new; long_term and
        episodic memories are never removed by it.
        """
        self._history.set(_stored(messages))

    async def aset(self, messages: list[ChatMessage]) -> None:
        """As `set`."""
        await self._connection.run(self._history.set, _stored(messages))

    def reset(self) -> None:
        """Empty the history and the working memory; long_term and episodic memories stay."""
        self._history.reset()

    async def areset(self) -> None:
        """As `reset`."""
        await self._connection.run(self.reset)

    # --- saving and restoring --------------------------------------------------------------------------------

    def to_dict(self, **kwargs: Any) -> dict[str, Any]:
        """Where the memory is and how it is read, in JSON primitives; no messages, secrets or models."""
        settings = self.model_dump(mode="json")
        if "token_limit" not in self.model_fields_set:
            settings.pop("token_limit")
        return settings | {"connection": self._connection.handle(), "class_name": self.class_name()}

    @classmethod
    def from_dict(cls, data: dict[str, Any], **kwargs: Any) -> TieredMemory:
        """The memory that `to_dict` was called on; it connects at first use.

        Args:
            data: What `to_dict` returned.
            kwargs: Arguments of the class that take precedence; `memory` or `config` in place of the saved place.
        """
        settings = {name: value for name, value in data.items() if name != "class_name"} | kwargs
        if settings.get("memory") is not None or settings.get("config") is not None:
            settings.pop("connection", None)
        return cls(**settings)

    def to_string(self) -> str:
        """`to_dict` as JSON text."""
        return json.dumps(self.to_dict())

    @classmethod
    def from_string(cls, json_str: str) -> TieredMemory:
        """The memory that `to_string` was called on."""
        return cls.from_dict(json.loads(json_str))

    def __deepcopy__(self, memo: object = None) -> TieredMemory:
        """Itself: workflows copy their state, and a conversation cannot be in two places."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).from_dict, (self.to_dict(),)

    def close(self) -> None:
        """Close the memory if it was opened here."""
        self._connection.close()

    async def aclose(self) -> None:
        """As `close`."""
        self.close()

    # --- pieces ----------------------------------------------------------------------------------------------

    @property
    def manager(self) -> MemoryManager:
        """The memory behind this; for what LlamaIndex has no words for."""
        return self._connection.manager

    @property
    def _memory_budget(self) -> int:
        share = self.memory_tokens
        return int(self.token_limit * MEMORY_SHARE) if share is None else min(share, self.token_limit)

    def _limits(self) -> EvictionConfig:
        """The window that fits beside the recalled text, unless the memory's own settings say otherwise."""
        room = self.token_limit - self.reserve_tokens - self._memory_budget
        return fitting(self._connection.config.short_term, room)

    def _request(self, given: Any, kwargs: dict[str, Any]) -> _Request:
        numbers = {
            "initial_token_count": kwargs.get("initial_token_count") or 0,
            "reserve_tokens": self.reserve_tokens if kwargs.get("reserve_tokens") is None else kwargs["reserve_tokens"],
        }
        for name, value in numbers.items():
            if not isinstance(value, int) or value < 0:
                raise InvalidInputError(f"{name} must be an int >= 0, not {value!r:.80}")
        text = text_of(given) if isinstance(given, ChatMessage) else given
        tiers = kwargs.get("tiers")
        return _Request(
            input=text if isinstance(text, str) else "",
            initial_tokens=numbers["initial_token_count"],
            reserve=numbers["reserve_tokens"],
            tiers=[tiers] if isinstance(tiers, str) else tiers,
            filters=cast("Filters | None", kwargs.get("filters")),
        )

    def _items(self) -> list[Item]:
        """The window, counted; what was read and counted before is not read and counted again."""
        before, known = self._known, dict[str, tuple[Message, Item]]()
        for stored in self._history.window():
            name = str(stored.id)
            if name in before and before[name][0] == stored:
                known[name] = before[name]
            else:
                message = as_chat_message(stored)
                known[name] = (stored, Item(name, message, self._counter.message(message)))
        self._known = known
        return [replace(item, message=item.message.model_copy(deep=True)) for _, item in known.values()]


def _is_stored(asked: str, items: Sequence[Item], users: Sequence[Item]) -> bool:
    """Whether what is asked is the last user message; if not, the caller will add it to the prompt.

    The same words asked again after an answer are another message.
    """
    if not users or not asked:
        return bool(users)
    last = items[-1].message
    answered = role_of(last) == "assistant" and not any(calls_of(last))
    return not answered and asked == text_of(users[-1].message)


def _stored(messages: Sequence[ChatMessage]) -> list[Message]:
    """Messages as they are kept: copies, and without what was only recalled."""
    said = [without_recalled(message) for message in messages]
    return [as_message(copied(message)) for message in said if message is not None]
