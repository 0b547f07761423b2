"""A workflow whose context is saved, restored and gone on with: it keeps a handle to the memory, not the messages."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent
from llama_index.core.llms import ChatMessage
from llama_index.core.llms.mock import MockFunctionCallingLLM
from llama_index.core.workflow import Context, JsonSerializer

from llamaindex_memory_mgr import TieredMemory
from memory_mgr import MemoryConfig


def told(messages: Sequence[ChatMessage], **_: Any) -> ChatMessage:
    """What it was told, so that you see what a model would know."""
    lines = [f"  {message.role.value}: {message.content}" for message in messages]
    return ChatMessage(role="assistant", content="\n".join(["I was told:", *lines]))


def workflow() -> AgentWorkflow:
    llm = MockFunctionCallingLLM(response_generator=told, is_chat_model=True)
    return AgentWorkflow(agents=[FunctionAgent(name="helper", description="Helps.", llm=llm)])


async def first() -> str:
    memory = TieredMemory.from_defaults(
        config=MemoryConfig(path="workflow-memory", namespace="ada"), conversation_id="chat-1", token_limit=1000
    )
    agents = workflow()
    context = Context(agents)
    await agents.run("My name is Ada and I am allergic to nuts.", ctx=context, memory=memory)
    await memory.aclose()
    return json.dumps(context.to_dict(serializer=JsonSerializer()))


async def later(saved: str) -> str:
    agents = workflow()
    context = Context.from_dict(agents, json.loads(saved), serializer=JsonSerializer())
    return str(await agents.run("What must I not eat?", ctx=context))


def main() -> None:
    saved = asyncio.run(first())
    print(f"Saved: {len(saved)} characters of JSON, with a handle to the memory in them.")
    print(asyncio.run(later(saved)))


if __name__ == "__main__":
    main()
