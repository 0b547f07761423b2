"""A process that talks to an agent and ends: `saved_agent.py FOLDER TEXT...`.

The first one makes the memory and saves the Context in FOLDER/context.json; later ones restore it from there and know
nothing else. Prints what the model was sent, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms.mock import MockFunctionCallingLLMWithChatMemoryOfLastCall
from llama_index.core.workflow import Context, JsonSerializer

from llamaindex_memory_mgr import TieredMemory
from memory_mgr import MemoryConfig


async def main(folder: Path, texts: list[str]) -> None:
    """A run of the agent for each text."""
    llm = MockFunctionCallingLLMWithChatMemoryOfLastCall()
    agent = FunctionAgent(tools=[], llm=llm, streaming=False)
    saved = folder / "context.json"
    memory = None
    if saved.exists():
        context = Context.from_dict(agent, json.loads(saved.read_text()), serializer=JsonSerializer())
    else:
        context = Context(agent)
        config = MemoryConfig(path=folder / "memory", namespace="user-1")
        memory = TieredMemory.from_defaults(config=config, conversation_id="c", token_limit=400)
    for text in texts:
        await agent.run(text, ctx=context, memory=memory)
    saved.write_text(json.dumps(context.to_dict(serializer=JsonSerializer())))
    print(json.dumps([message.content for message in llm.last_chat_messages or ()]))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2:]))
