"""`TieredChatMessageHistory`: every message of a conversation, for RunnableWithMessageHistory."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Sequence

from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.messages import BaseMessage
from langchain_core.runnables import ConfigurableFieldSpec

from langchain_memory_mgr.apart import apart
from langchain_memory_mgr.messages import as_langchain, as_message
from memory_mgr import MemoryConfig, MemoryManager, MemoryMgrError, SyncConversationContext, SyncMemoryManager
from memory_mgr.connection import Connection

log = logging.getLogger(__name__)
OnUnsaved = Callable[[Exception, Sequence[BaseMessage]], None]

USER_AND_CONVERSATION = (
    ConfigurableFieldSpec(id="user_id", annotation=str, name="User", description="Whose memory.", is_shared=True),
    ConfigurableFieldSpec(
        id="conversation_id", annotation=str, name="Conversation", description="Which of theirs.", is_shared=True
    ),
)
"""`history_factory_config` for sessions of two keys; the factory's arguments are then named like them."""


class TieredChatMessageHistory(BaseChatMessageHistory):
    """The whole log of one conversation, each message as it was added, whether it is in the window or archived.

    Nothing is trimmed or summarised here: that would corrupt what RunnableWithMessageHistory saves next. The
    memory evicts, summarises and recalls behind this as for every conversation.

    Args:
        conversation_id: Names it.
        user_id: Label of a namespace below the memory's, in which the conversation is; None = the memory's own.
        memory: An open memory; make one for all histories. Else one is opened with `config`.
        config: Settings of a memory to open.
        on_unsaved: Called with an error and the messages that were not saved because of it; when it returns, the
            error is dealt with. Default: it is logged and raised. RunnableWithMessageHistory swallows what is raised.

    Raises:
        ConfigurationError: Both a memory and a config are given.
        InvalidInputError: An id is empty or not text.
    """

    def __init__(
        self,
        conversation_id: str,
        *,
        user_id: str | int | None = None,
        memory: MemoryManager | SyncMemoryManager | None = None,
        config: MemoryConfig | None = None,
        on_unsaved: OnUnsaved | None = None,
    ) -> None:
        self.conversation_id = conversation_id
        self.user_id = user_id
        self.on_unsaved = on_unsaved
        self._connection = Connection(memory, config)

    def _conversation(self) -> SyncConversationContext:
        memory = self._connection.sync
        if self.user_id is not None:
            memory = memory.scoped(self.user_id)
        return memory.conversation(self.conversation_id)

    @property
    def messages(self) -> list[BaseMessage]:  # type: ignore[override]
        """Every message ever added, oldest first; the list and its messages are the caller's own."""
        return [as_langchain(message) for message in self._conversation().messages()]

    async def aget_messages(self) -> list[BaseMessage]:
        """As `messages`."""
        return await self._connection.run(lambda: self.messages)

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Append messages in one write; the same message added twice stands there twice.

        Raises:
            MemoryMgrError: They could not be saved, and there is no `on_unsaved`.
        """
        try:
            # Ids of their own, as a log may hold one message id twice.
            kept = [as_message(message, id=uuid.uuid4().hex) for message in messages]
            apart(self._conversation().add_messages, kept)
        except MemoryMgrError as error:
            log.error("%d messages of conversation %r were not saved: %s", len(messages), self.conversation_id, error)
            if self.on_unsaved is None:
                raise
            self.on_unsaved(error, messages)

    async def aadd_messages(self, messages: Sequence[BaseMessage]) -> None:
        """As `add_messages`."""
        await self._connection.run(self.add_messages, messages)

    def clear(self) -> None:
        """Delete this conversation and nothing else: messages, archived ones too, slots, notes and summaries."""
        self.delete()

    async def aclear(self) -> None:
        """As `clear`."""
        await self._connection.run(self.clear)

    def delete(self) -> int:
        """As `clear`; how many entries went."""
        return self._conversation().delete()

    def close(self) -> None:
        """Close the memory if it was opened here."""
        self._connection.close()
