"""How the LlamaIndex classes are used, for type checkers only: nothing here is run."""

from typing import assert_type

from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.memory import BaseMemory, Memory
from llama_index.core.schema import NodeWithScore

from llamaindex_memory_mgr import (
    LLMImportanceScorer,
    TieredChatStore,
    TieredMemory,
    TieredMemoryBlock,
    TieredMemoryRetriever,
    TieredMemoryToolSpec,
    memory_config,
    register_memory,
)
from memory_mgr import MemoryConfig, MemoryManager, SyncMemoryManager


def engine(llm: FunctionCallingLLM) -> None:
    config = MemoryConfig(path="./memory", namespace="ann", importance=LLMImportanceScorer(llm))
    memory = TieredMemory.from_defaults(config=config, conversation_id="chat-1", token_limit=3000)
    assert_type(memory, TieredMemory)
    assert_type(memory.get("Who?"), list[ChatMessage])
    base: BaseMemory = memory
    SimpleChatEngine.from_defaults(llm=llm, memory=base)
    TieredMemory(memory=SyncMemoryManager(config), conversation_id="chat-2", insert_method="system")
    assert_type(memory_config(config, llm=llm), MemoryConfig)


async def agent(manager: MemoryManager, llm: FunctionCallingLLM) -> None:
    tools = TieredMemoryToolSpec(memory=manager, limit=3).to_tool_list()
    helper = FunctionAgent(name="helper", description="Helps.", tools=list(tools), llm=llm)
    memory = TieredMemory.from_defaults(memory=manager, conversation_id="chat-2", llm=llm)
    await AgentWorkflow(agents=[helper]).run("Who am I?", memory=memory)
    assert_type(await memory.aget(), list[ChatMessage])
    assert_type(register_memory(manager), MemoryManager)


def parts(manager: SyncMemoryManager) -> None:
    block = TieredMemoryBlock(memory=manager, max_tokens=500)
    Memory.from_defaults(session_id="chat-4", token_limit=3000, memory_blocks=[block])
    store = TieredChatStore(config=MemoryConfig(path="./memory"))
    assert_type(store.class_name(), str)
    retriever = TieredMemoryRetriever(memory=manager, similarity_top_k=5, filters={"topic": "home"})
    assert_type(retriever.retrieve("where?"), list[NodeWithScore])
