"""An agent that remembers its users: the middleware recalls across threads, the checkpointer keeps each thread."""

from typing import Any

from langchain.agents import create_agent
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatResult
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver

from langchain_memory_mgr import TieredMemoryMiddleware
from memory_mgr import MemoryConfig, SyncMemoryManager


class FakeModel(GenericFakeChatModel):
    """Says what it was told, so that you see what a model would know."""

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        told = "\n".join(f"  {message.type}: {message.text}" for message in messages)
        self.messages = iter([AIMessage(f"I was told:\n{told}")])
        return super()._generate(messages, *args, **kwargs)


def run(user_id: str, day: str) -> RunnableConfig:
    # A checkpointer knows threads only, not users: two users' threads must never have the same name.
    return {"configurable": {"user_id": user_id, "thread_id": f"{user_id}-{day}"}}


def main() -> None:
    with SyncMemoryManager(MemoryConfig(path="agent-memory")) as memory:
        agent = create_agent(
            FakeModel(messages=iter(())),
            tools=[],
            system_prompt="You are a cook.",
            middleware=[TieredMemoryMiddleware(memory=memory, budget_tokens=2000)],
            checkpointer=InMemorySaver(),
        )
        for user_id, day, text in (
            ("ann", "monday", "I am allergic to nuts."),
            ("ann", "friday", "What must I not eat?"),
            ("ben", "friday", "What must I not eat?"),
        ):
            state = agent.invoke({"messages": [("user", text)]}, run(user_id, day))
            print(f"{user_id}, {day}: {text}\n{state['messages'][-1].text}\n")
        print(len(agent.get_state(run("ann", "friday")).values["messages"]), "messages in the thread of Ann's friday")


if __name__ == "__main__":
    main()
