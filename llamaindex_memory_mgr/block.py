"""`TieredMemoryBlock`: all tiers as one block of LlamaIndex's own `Memory`."""

from __future__ import annotations

import threading
from typing import Any

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.bridge.pydantic import Field, PrivateAttr
from llama_index.core.memory import BaseMemoryBlock

from llamaindex_memory_mgr.connection import Connection
from llamaindex_memory_mgr.counting import MessageCounter, Tokenizer, resolve_tokenizer
from llamaindex_memory_mgr.failures import OnError
from llamaindex_memory_mgr.history import History
from llamaindex_memory_mgr.insertion import without_recalled
from llamaindex_memory_mgr.messages import as_message, copied, role_of, text_of
from llamaindex_memory_mgr.recall import Question, Recall
from memory_mgr import MemoryConfig, MemoryManager, MemoryType, SyncMemoryManager
from memory_mgr.policy.eviction import EvictionConfig
from memory_mgr.policy.rendering import CLOSING, OPENING

_UNLIMITED = EvictionConfig(max_messages=None, max_tokens=None)
"""What arrives here has left a window already; it is archived at once."""
_SESSIONS = 256
"""Sessions whose unwritten messages and last answers are kept at hand."""


class TieredMemoryBlock(BaseMemoryBlock[str]):
    """Keeps what `Memory` evicts, and tells what is remembered about the last user message.

    One block does the work of several: it divides its tokens among slots, summaries and recalled memories itself,
    so that the order of truncation among blocks does not matter. It never raises under on_error="warn", and never
    changes the messages it is given.

    Args:
        memory: An open memory; else one is opened with `config`, or with MemoryConfig()'s ./memory.
        config: Settings of a memory to open.

    Raises:
        ConfigurationError: Both a memory and a config are given.
    """

    name: str = "tiered_memory"
    description: str | None = "What is remembered of this and other conversations."
    max_tokens: int = Field(default=1000, ge=0, description="Tokens of the block's text.")
    conversation_id: str | None = Field(default=None, description="Default: the session id of the Memory.")
    archive: bool = Field(
        default=True,
        description="Keep evicted messages; False if the Memory's chat store is a TieredChatStore on the same memory, "
        "which keeps them already.",
    )
    tiers: list[MemoryType] | None = Field(default=None, description="Recalled from; default: all but working.")
    filters: dict[str, Any] | None = Field(default=None, description="What may be recalled.")
    on_error: OnError = Field(default="warn", description="Go on when the memory fails, or raise.")
    tokenizer_fn: Tokenizer | None = Field(default=None, exclude=True, description="Text to tokens.")

    _connection: Connection = PrivateAttr()
    _counter: MessageCounter = PrivateAttr()
    _lock: Any = PrivateAttr(default_factory=threading.Lock)
    _histories: dict[str, History] = PrivateAttr(default_factory=dict)
    _recalls: dict[str, Recall] = PrivateAttr(default_factory=dict)
    _asked: dict[str, tuple[Question, str | None]] = PrivateAttr(default_factory=dict)

    def __init__(
        self,
        *,
        memory: MemoryManager | SyncMemoryManager | None = None,
        config: MemoryConfig | None = None,
        **fields: Any,
    ) -> None:
        super().__init__(**fields)
        tokenizer = fields.get("tokenizer_fn")
        self._connection = Connection(memory, config, tokenizer_fn=tokenizer)
        self.tokenizer_fn = resolve_tokenizer(tokenizer, self._connection.config)
        self._counter = MessageCounter(self.tokenizer_fn)

    def __deepcopy__(self, memo: object = None) -> TieredMemoryBlock:
        """Itself: a copy would have another list of what is still to be written."""
        return self

    # --- reading -------------------------------------------------------------------------------------------

    async def _aget(self, messages: list[ChatMessage] | None = None, **block_kwargs: Any) -> str:
        """What is remembered about the last user message of `messages`; "" if nothing is."""
        users = [text_of(m) for m in messages or () if role_of(m) == "user"]
        if not users:
            return ""
        conversation = self._conversation(block_kwargs.get("session_id"))
        question = Question(
            text=users[-1],
            sent=(),
            since=str(len(users)),
            tiers=block_kwargs.get("tiers") or self.tiers,
            filters=block_kwargs.get("filters") or self.filters,
        )
        return await self._connection.run(self._text, question, conversation, self.max_tokens)

    def _text(self, question: Question, conversation: str | None, budget: int) -> str:
        if conversation is not None:
            self._history(conversation).catch_up()
        text = self._recall(conversation or "").text(question, conversation, budget)
        if text:
            with self._lock:
                _bounded(self._asked, text, (question, conversation))
        return text

    async def atruncate(self, content: str, tokens_to_truncate: int) -> str | None:
        """The block in at least `tokens_to_truncate` tokens less: its least worthy entries go, not its end."""
        budget = self._counter.text(content) - tokens_to_truncate
        asked = self._asked.get(content)
        if budget <= 0:
            return None
        if asked is None:
            return self._shortened(content, budget)
        return await self._connection.run(self._text, *asked, budget) or None

    def _shortened(self, content: str, budget: int) -> str | None:
        """Text that this block did not make: its last lines go."""
        lines = content.removeprefix(OPENING).removesuffix(CLOSING).splitlines()
        while lines:
            lines.pop()
            text = OPENING + "".join(f"{line}\n" for line in lines) + CLOSING
            if lines and self._counter.text(text) <= budget:
                return text
        return None

    # --- writing -------------------------------------------------------------------------------------------

    async def aput(
        self, messages: list[ChatMessage], from_short_term_memory: bool = False, session_id: str | None = None
    ) -> None:
        """Keep messages of a session; their order and every field of them, and the objects untouched."""
        if from_short_term_memory and not (self.accept_short_term_memory and self.archive):
            return
        conversation = self._conversation(session_id) or self.name
        said = [without_recalled(message) for message in messages]
        kept = [as_message(copied(message)) for message in said if message is not None]
        await self._connection.run(self._history(conversation).archive, kept)

    async def _aput(self, messages: list[ChatMessage]) -> None:
        await self.aput(messages)

    # --- pieces --------------------------------------------------------------------------------------------

    def _conversation(self, session_id: str | None) -> str | None:
        return self.conversation_id or session_id

    def _history(self, conversation: str) -> History:
        with self._lock:
            if conversation not in self._histories:
                idle = [name for name, history in self._histories.items() if not history.waiting]
                for name in idle[: len(self._histories) - _SESSIONS]:
                    del self._histories[name]
                self._histories[conversation] = History(
                    lambda: self._connection.sync, conversation, _UNLIMITED, self.on_error
                )
            return self._histories[conversation]

    def _recall(self, conversation: str) -> Recall:
        with self._lock:
            if conversation not in self._recalls:
                _bounded(
                    self._recalls, conversation, Recall(lambda: self._connection.sync, self._counter, self.on_error)
                )
            return self._recalls[conversation]


def _bounded(known: dict[str, Any], key: str, value: Any) -> None:
    known[key] = value
    while len(known) > _SESSIONS:
        del known[next(iter(known))]
