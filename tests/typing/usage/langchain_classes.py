"""How the LangChain classes are used, for type checkers only: nothing here is run."""

from typing import Any, assert_type

from langchain.agents import create_agent
from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables.history import RunnableWithMessageHistory
from langchain_core.tools import BaseTool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import MessagesState, StateGraph
from langgraph.store.base import BaseStore, Item

from langchain_memory_mgr import (
    USER_AND_CONVERSATION,
    LangChainLLM,
    TieredChatMessageHistory,
    TieredMemory,
    TieredMemoryMiddleware,
    TieredMemoryRetriever,
    TieredMemoryStore,
    create_memory_tools,
)
from memory_mgr import MemoryConfig, MemoryManager, SyncMemoryManager


def chain(memory: SyncMemoryManager, model: BaseChatModel) -> None:
    config = MemoryConfig(
        path="./memory",
        namespace="acme",
        llm=LangChainLLM(model),
        embedder=DeterministicFakeEmbedding(size=64),
    )
    classic = TieredMemory(config=config, conversation_id="chat-1", max_token_limit=2000, return_messages=True)
    TieredMemory(memory=memory.scoped("ann"), conversation_id="chat-1")
    classic.save_context({"input": "Hello"}, {"output": "Hello."})
    assert_type(classic.load_memory_variables({"input": "Who?"}), dict[str, Any])

    def history(user_id: str, conversation_id: str) -> BaseChatMessageHistory:
        return TieredChatMessageHistory(conversation_id, user_id=user_id, memory=memory)

    prompt = ChatPromptTemplate([MessagesPlaceholder("history"), ("human", "{input}")])
    RunnableWithMessageHistory(
        prompt | model,
        history,
        input_messages_key="input",
        history_messages_key="history",
        history_factory_config=list(USER_AND_CONVERSATION),
    )


async def history(memory: MemoryManager) -> None:
    log = TieredChatMessageHistory("chat-1", memory=memory)
    log.add_messages([HumanMessage("Hello")])
    assert_type(log.messages, list[BaseMessage])
    assert_type(await log.aget_messages(), list[BaseMessage])
    retriever: BaseRetriever = TieredMemoryRetriever(memory=memory, k=5, tiers="long_term")
    assert_type(await retriever.ainvoke("where?"), list[Document])


def agent(memory: SyncMemoryManager, model: BaseChatModel) -> None:
    tools = create_memory_tools(memory=memory, actions=["search", "save"])
    assert_type(tools, list[BaseTool])
    with TieredMemoryStore(
        config=MemoryConfig(path="./store"), index={"fields": ["text"]}, ttl={"default_ttl": 60}
    ) as store:
        store.put(("users", "ann"), "diet", {"text": "allergic to nuts"})
        assert_type(store.get(("users", "ann"), "diet"), Item | None)
        base: BaseStore = store
        middleware = TieredMemoryMiddleware(memory=memory, budget_tokens=4000, tiers=["long_term"])
        create_agent(model, tools=tools, middleware=[middleware], checkpointer=InMemorySaver(), store=base)
        StateGraph(MessagesState).compile(store=store)
