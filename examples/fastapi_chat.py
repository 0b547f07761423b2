"""A chat service: one memory, a namespace per user. Serve: `uvicorn --app-dir examples fastapi_chat:app`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, cast

from fastapi import Depends, FastAPI, Header, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from memory_mgr import InvalidInputError, MemoryManager, Message


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with MemoryManager(path="fastapi-memory", namespace="chat") as memory:
        app.state.memory = memory
        yield


app = FastAPI(title="Chat with a memory", lifespan=lifespan)
app.add_exception_handler(InvalidInputError, lambda _, error: JSONResponse({"detail": str(error)}, 422))


class Said(BaseModel):
    text: str
    conversation_id: str = "default"


def memory_of_user(request: Request, x_user: Annotated[str, Header()]) -> MemoryManager:
    """Whose memory it is says the header, which stands where your authentication does; never the body."""
    return cast("MemoryManager", request.app.state.memory).scoped(x_user)


UserMemory = Annotated[MemoryManager, Depends(memory_of_user)]


@app.post("/chat")
async def chat(said: Said, memory: UserMemory) -> dict[str, str]:
    conversation = memory.conversation(said.conversation_id)
    context = await conversation.build_context(said.text, 300)
    await conversation.add_message(Message(role="user", content=said.text))
    return {"answer": f"You said: {said.text}\n{context.text}"}  # your model answers here, told `context.text`


@app.get("/recall")
async def recall(query: str, memory: UserMemory) -> list[str]:
    return [entry.content for entry in await memory.search_memory(query, limit=3)]


if __name__ == "__main__":
    from fastapi.testclient import TestClient

    with TestClient(app, headers={"X-User": "ann"}) as ann:
        ann.post("/chat", json={"text": "I am allergic to nuts.", "conversation_id": "monday"})
        print(ann.post("/chat", json={"text": "What must I not eat?"}).json()["answer"])
        print("Ben knows:", ann.get("/recall", params={"query": "allergic"}, headers={"X-User": "ben"}).json())
