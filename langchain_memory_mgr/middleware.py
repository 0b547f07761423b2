"""`TieredMemoryMiddleware`: memory for agents made with `langchain.agents.create_agent`.

Needs the extra `[langchain-agents]`.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, NotRequired

from langchain.agents.middleware import AgentMiddleware, AgentState, ModelRequest, ModelResponse
from langchain.agents.middleware.types import PrivateStateAttr
from langchain_core.messages import BaseMessage
from langgraph.runtime import Runtime

from langchain_memory_mgr.apart import apart
from langchain_memory_mgr.counting import MessageCounter
from langchain_memory_mgr.exchange import without_recalled
from langchain_memory_mgr.messages import as_langchain, as_message
from langchain_memory_mgr.prompting import Budget, prompted
from langchain_memory_mgr.trimming import MessageForm
from langchain_memory_mgr.unstored import is_users, start_of_turn, unstored
from langchain_memory_mgr.whose import Whose, whose
from memory_mgr import InvalidInputError, MemoryConfig, MemoryManager, SyncConversationContext, SyncMemoryManager
from memory_mgr.connection import Connection
from memory_mgr.engine.messages import entry_id
from memory_mgr.failures import OnError, goes_on
from memory_mgr.policy.eviction import fitting
from memory_mgr.types import JSON, Filters, Tiers

log = logging.getLogger(__name__)
MEMORY_SHARE = 0.3
"""Of the budget that recalled text may fill; the rest is for system prompt, tools and messages."""
_TURNS_UNDER_WAY = 256
"""Of so many it is kept what was recalled; for one that was dropped it is recalled again."""


@dataclass
class _Turn:
    """What memory adds to the prompts of one user turn: found at its first model call, the same in all of them.

    Attributes:
        recalled: Text for the end of the system message, None = not asked for yet.
        earlier: What was said before, if the state does not have it; None = not looked for yet.
    """

    recalled: str | None = None
    earlier: Sequence[BaseMessage] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class MemoryState(AgentState[Any]):
    """The agent's state, and up to which message it is remembered.

    What is forgotten on purpose does not come back from a state that still has it.
    """

    memory_mgr_upto: NotRequired[Annotated[str | None, PrivateStateAttr]]


class TieredMemoryMiddleware(AgentMiddleware[MemoryState, Any]):
    """Remembers every run of an agent, and keeps its prompts inside a token budget.

    Once a user turn it recalls what is remembered for what the user said, and puts it, fenced as data, at the end
    of the system message. The newest whole turns that fit beside it are sent; the state is not touched. When the
    run is over, what was said is remembered, each message once. A state that holds only the new message (no
    checkpointer, or one that was lost) gets the latest turns from memory. One object serves any number of users,
    threads and event loops.

    Args:
        memory: An open memory; else one is opened with `config`, or with MemoryConfig()'s ./memory.
        config: Settings of a memory to open.
        budget_tokens: Tokens of all that the model is sent: system message, recalled text, tools, messages; >= 1.
        memory_tokens: Tokens of recalled text at most; >= 0; default: 30 %.
        user_key: Name of the user's id in the run's `context`, else in `config["configurable"]`; its memory is below
            the configured namespace. None = the configured namespace is one user's.
        conversation_key: Name of the conversation's id, looked for likewise.
        tiers: Tiers to recall from, None = all but working.
        filters: What may be recalled, see `memory_mgr.stores.filters`.
        metadata: Kept with every message remembered.
        on_error: When the memory fails, go on without it and say so in the log ("warn"), or raise. A run that does
            not say whose memory it uses always raises.

    Raises:
        ConfigurationError: Both a memory and a config are given.
        InvalidInputError: A number is out of range.
    """

    state_schema = MemoryState

    def __init__(
        self,
        *,
        memory: MemoryManager | SyncMemoryManager | None = None,
        config: MemoryConfig | None = None,
        budget_tokens: int = 8000,
        memory_tokens: int | None = None,
        user_key: str | None = "user_id",
        conversation_key: str = "thread_id",
        tiers: Tiers = None,
        filters: Filters | None = None,
        metadata: Mapping[str, JSON] | None = None,
        on_error: OnError = "warn",
    ) -> None:
        super().__init__()
        if budget_tokens < 1 or (memory_tokens is not None and memory_tokens < 0):
            raise InvalidInputError(f"budget_tokens={budget_tokens} must be >= 1, memory_tokens={memory_tokens} >= 0")
        share = int(budget_tokens * MEMORY_SHARE) if memory_tokens is None else memory_tokens
        self.tools = []
        self.budget = Budget(budget_tokens, min(share, budget_tokens))
        self._connection = Connection(memory, config)
        self._user_key = user_key
        self._conversation_key = conversation_key
        self._options: dict[str, Any] = {"memory_type": tiers, "filters": filters}
        self._metadata = dict(metadata or {})
        self._on_error = on_error
        self._turns: OrderedDict[tuple[Whose, str | None], _Turn] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def manager(self) -> MemoryManager:
        """The memory behind this; for what an agent has no words for."""
        return self._connection.manager

    def close(self) -> None:
        """Close the memory if it was opened here."""
        self._connection.close()

    # --- before the run --------------------------------------------------------------------------------------

    def before_agent(self, state: MemoryState, runtime: Runtime[Any]) -> None:
        """Begin a turn: what an earlier try at it recalled is forgotten.

        Raises:
            ConfigurationError: The run does not say whose memory it uses.
        """
        self._end(self._whose(runtime), state["messages"])

    async def abefore_agent(self, state: MemoryState, runtime: Runtime[Any]) -> None:
        """As `before_agent`."""
        self.before_agent(state, runtime)

    def _whose(self, runtime: Runtime[Any]) -> Whose:
        return whose(runtime.context, self._user_key, self._conversation_key)

    def _turn(self, owner: Whose, messages: Sequence[BaseMessage]) -> _Turn:
        with self._lock:
            turn = self._turns.setdefault((owner, _last_asked(messages)), _Turn())
            while len(self._turns) > _TURNS_UNDER_WAY:
                self._turns.popitem(last=False)
            return turn

    def _end(self, owner: Whose, messages: Sequence[BaseMessage]) -> None:
        with self._lock:
            self._turns.pop((owner, _last_asked(messages)), None)

    # --- before each model call --------------------------------------------------------------------------------

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelResponse[Any]:
        """Tell the model what is remembered, and send it no more than the budget."""
        return handler(apart(self._prompted, self._whose(request.runtime), request))

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]
    ) -> ModelResponse[Any]:
        """As `wrap_model_call`."""
        owner = self._whose(request.runtime)
        return await handler(await self._connection.run(apart, self._prompted, owner, request))

    def _prompted(self, owner: Whose, request: ModelRequest[Any]) -> ModelRequest[Any]:
        counter = MessageCounter(self._connection.sync.counter)
        form = MessageForm(counter.message)
        turn = self._turn(owner, request.messages)
        with turn.lock:
            if turn.earlier is None:
                turn.earlier = self._earlier(owner, request.messages)
            said = [*turn.earlier, *request.messages]
            items = [form.item(message.id or f"#{place}", message) for place, message in enumerate(said)]

            def recall(sent: Sequence[str], tokens: int) -> str:
                if turn.recalled is None or counter.text(turn.recalled) > tokens:
                    turn.recalled = self._recalled(owner, _asked(request.messages), sent, tokens)
                return turn.recalled

            return prompted(request, items, self.budget, recall, counter)

    def _recalled(self, owner: Whose, query: str, sent: Sequence[str], tokens: int) -> str:
        """The text to remember by; "" if there is nothing to tell, or the memory fails."""
        if not query.strip():
            return ""
        try:
            conversation = self._conversation(owner)
            return conversation.build_context(query, tokens, include_recent=False, sent=set(sent), **self._options).text
        except Exception as error:
            if not goes_on(error, self._on_error, "nothing can be recalled now; going on without", log):
                raise
            return ""

    def _earlier(self, owner: Whose, messages: Sequence[BaseMessage]) -> list[BaseMessage]:
        """The latest turns as they are remembered, for a state that begins with what the user says now."""
        if start_of_turn(messages) > 0:
            return []
        here = {message.id for message in messages}
        try:
            window = self._conversation(owner).window()
        except Exception as error:
            if not goes_on(error, self._on_error, "the latest turns cannot be read now; going on without", log):
                raise
            return []
        before = itertools.takewhile(lambda message: message.id not in here, window)
        return [as_langchain(message).model_copy(update={"id": message.id}) for message in before]

    # --- after the run ---------------------------------------------------------------------------------------

    def after_agent(self, state: MemoryState, runtime: Runtime[Any]) -> dict[str, Any] | None:
        """Remember what was said."""
        return apart(self._remember, self._whose(runtime), state)

    async def aafter_agent(self, state: MemoryState, runtime: Runtime[Any]) -> dict[str, Any] | None:
        """As `after_agent`."""
        return await self._connection.run(apart, self._remember, self._whose(runtime), state)

    def _remember(self, owner: Whose, state: MemoryState) -> dict[str, Any] | None:
        messages: list[BaseMessage] = list(state["messages"])
        self._end(owner, messages)
        try:
            conversation = self._conversation(owner)
            known = {state.get("memory_mgr_upto"), *self._known(conversation, messages)}
            new = unstored(messages, known, conversation.messages)
            said = [clean for message in new if (clean := without_recalled(message)) is not None]
            conversation.add_messages([replace(as_message(m), metadata=self._metadata) for m in said])
        except Exception as error:
            if not goes_on(error, self._on_error, "this run cannot be remembered now; the next one tries again", log):
                raise
            return None
        return {"memory_mgr_upto": messages[-1].id} if messages else None

    def _known(self, conversation: SyncConversationContext, messages: Sequence[BaseMessage]) -> set[str]:
        """Ids of the messages that are remembered."""
        ids = {entry_id(conversation.conversation_id, str(message.id)): str(message.id) for message in messages}
        return {ids[entry.id] for entry in conversation.memory.get_memories(list(ids))}

    def _conversation(self, owner: Whose) -> SyncConversationContext:
        memory = self._connection.sync
        scoped = memory if owner.user is None else memory.scoped(owner.user)
        room = self.budget.tokens - self.budget.memory
        return scoped.conversation(owner.conversation_id, short_term=fitting(memory.config.short_term, room))


def _asked(messages: Sequence[BaseMessage]) -> str:
    """What the user said last."""
    return next((str(message.text) for message in reversed(messages) if is_users(message)), "")


def _last_asked(messages: Sequence[BaseMessage]) -> str | None:
    """Which message that is."""
    return next((message.id for message in reversed(messages) if is_users(message)), None)
