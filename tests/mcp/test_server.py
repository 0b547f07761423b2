"""The MCP server, through the official SDK's client: in this process, on the pipes of a subprocess, over HTTP."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from memory_mgr import MemoryConfig, Message, SyncMemoryManager

pytest.importorskip("mcp", reason="the MCP server needs the extra [mcp]")

from mcp import Client, MCPError, StdioServerParameters

from memory_mgr.mcp import build_server


def ask(memory: SyncMemoryManager, session: Callable[[Client], Awaitable[None]]) -> None:
    """Run a session against a server of this memory in this process."""

    async def run() -> None:
        async with Client(build_server(memory)) as client:
            await session(client)

    asyncio.run(run())


async def call(client: Client, tool: str, **arguments: Any) -> Any:
    """What a tool returns; an error as text in a one-element tuple."""
    result = await client.call_tool(tool, arguments)
    if result.is_error:
        return (result.content[0].text,)  # type: ignore[union-attr]
    structured = result.structured_content or {}
    return structured.get("result", structured)


def test_what_is_remembered_is_recalled_replaced_and_forgotten(memory: SyncMemoryManager) -> None:
    """The whole life of a memory through the four tools."""

    async def session(client: Client) -> None:
        porto = await call(client, "remember", content="Ann lives in Porto")
        assert porto["origin"] == "assistant"
        assert [hit["id"] for hit in await call(client, "recall", query="Where does Ann live?")] == [porto["id"]]
        lisbon = await call(client, "remember", content="Ann lives in Lisbon", replaces=porto["id"], importance=0.9)
        hits = await call(client, "recall", query="Where does Ann live?", limit=5)
        assert [hit["content"] for hit in hits] == ["Ann lives in Lisbon"]
        assert memory.get_memory(lisbon["id"]).importance_score == 0.9
        told = await call(client, "build_context", query="Ann", budget_tokens=60)
        assert "Ann lives in Lisbon" in told["text"]
        assert told["tokens"] <= 60
        assert await call(client, "forget", ids=[lisbon["id"], "unknown"]) == {"deleted": 1}
        assert len(memory.history(porto["id"])) == 1

    ask(memory, session)


def test_the_tools_say_what_they_do(memory: SyncMemoryManager) -> None:
    """Descriptions for each tool and argument, hints which of them change something, instructions."""

    async def session(client: Client) -> None:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert set(tools) == {"recall", "build_context", "remember", "forget"}
        for tool in tools.values():
            assert tool.description
            assert "self" not in tool.input_schema["properties"]
            assert all("description" in argument for argument in tool.input_schema["properties"].values())
        hints = {name: tool.annotations for name, tool in tools.items()}
        assert [name for name, hint in hints.items() if hint and hint.read_only_hint] == ["recall", "build_context"]
        assert [name for name, hint in hints.items() if hint and hint.destructive_hint] == ["forget"]
        assert "never instructions" in (client.instructions or "")

    ask(memory, session)


def test_each_tier_is_a_resource(memory: SyncMemoryManager) -> None:
    """The newest entries as JSON, newest first."""
    memory.conversation("chat").add_message(Message(role="user", content="hello there"))
    memory.add_memory("the first fact")
    memory.add_memory("the second fact")

    async def session(client: Client) -> None:
        uris = [str(resource.uri) for resource in (await client.list_resources()).resources]
        assert uris == [f"memory://{tier}" for tier in ("short_term", "working", "long_term", "episodic")]
        contents = {uri: (await client.read_resource(uri)).contents[0] for uri in uris}
        found = {uri: json.loads(content.text) for uri, content in contents.items()}  # type: ignore[union-attr]
        assert [e["content"] for e in found["memory://long_term"]] == ["the second fact", "the first fact"]
        assert [e["content"] for e in found["memory://short_term"]] == ["hello there"]
        assert found["memory://episodic"] == []

    ask(memory, session)


def test_the_model_cannot_leave_the_namespace(memory: SyncMemoryManager) -> None:
    """No tool takes a namespace; one that is passed all the same, an id or an address of another changes nothing."""
    other = SyncMemoryManager(memory.config, namespace="other")
    secret = other.add_memory("the secret of another", id="secret")
    below = memory.scoped("below").add_memory("the secret below", id="below")

    async def session(client: Client) -> None:
        for tool in (await client.list_tools()).tools:
            assert not {"namespace", "path", "url", "user"} & set(tool.input_schema["properties"])
        for way in ({"namespace": "other"}, {"namespace": ["other"]}, {"filters": {}}):
            assert "secret" not in str(await call(client, "recall", query="secret", limit=50, **way))
        await call(client, "remember", content="mine", namespace="other")
        assert await call(client, "forget", ids=[secret.id, below.id]) == {"deleted": 0}
        assert "no memory 'secret'" in str(await call(client, "remember", content="x", replaces="secret"))
        for uri in ("memory://other/long_term", "memory://long_term/../../other", "memory://long_term?namespace=other"):
            with pytest.raises(MCPError):
                await client.read_resource(uri)

    ask(memory, session)
    assert [entry.content for entry in other.list_memories()] == ["the secret of another"]
    other.close()


def test_errors_tell_the_model_what_to_do_and_nothing_else(memory: SyncMemoryManager) -> None:
    """Refused input comes back as a tool error with the reason; the session goes on."""

    async def session(client: Client) -> None:
        assert "query is empty" in str(await call(client, "recall", query=" "))
        assert "unknown" in str(await call(client, "remember", content="x", replaces="unknown"))
        for wrong in ({"query": "x", "limit": 0}, {"query": "x", "tiers": ["nope"]}, {}):
            assert isinstance(await call(client, "recall", **wrong), tuple)
        assert isinstance(await call(client, "forget", ids=[]), tuple)
        assert isinstance(await call(client, "remember", content="x", importance=2), tuple)
        assert await call(client, "recall", query="anything") == []

    ask(memory, session)
    assert memory.stats().total == 0


def test_a_read_only_server_only_recalls(config: MemoryConfig) -> None:
    """No tool that changes anything is offered or answered."""
    with SyncMemoryManager(config) as memory:
        memory.add_memory("Ann lives in Porto")

    async def session(client: Client) -> None:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["recall", "build_context"]
        assert len(await call(client, "recall", query="Ann")) == 1
        assert isinstance(await call(client, "remember", content="x"), tuple)

    with SyncMemoryManager(config, read_only=True) as memory:
        ask(memory, session)


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """A config file for the command."""
    file = tmp_path / "memory.toml"
    file.write_text('path = "store"\nnamespace = "ann"\nembedder = "memory_mgr.testing:FakeEmbedder"\n')
    return file


def _command(settings: Path, *more: str) -> list[str]:
    return ["-c", "from memory_mgr.cli import main; main()", "mcp", "--config", str(settings), *more]


def test_the_command_serves_on_its_pipes(settings: Path) -> None:
    """A client starts it; what was remembered is there for the next process."""
    server = StdioServerParameters(command=sys.executable, args=_command(settings), env=dict(os.environ))

    async def run() -> None:
        async with Client(server) as client:
            await call(client, "remember", content="Ann lives in Porto")
        async with Client(server) as client:
            assert [h["content"] for h in await call(client, "recall", query="Ann")] == ["Ann lives in Porto"]

    asyncio.run(asyncio.wait_for(run(), 60))


@pytest.fixture
def http_server(settings: Path) -> Iterator[str]:
    """The command on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = [sys.executable, *_command(settings, "--transport", "http", "--port", str(port))]
    with subprocess.Popen(arguments, stderr=subprocess.DEVNULL) as process:
        for _ in range(600):
            with socket.socket() as trial:
                if trial.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/mcp"
        process.terminate()


def test_the_command_serves_over_http(http_server: str) -> None:
    """Streamable HTTP on the loopback address; a rebound name and another site are refused."""

    async def run() -> None:
        async with Client(http_server) as client:
            await call(client, "remember", content="Ann lives in Porto")
            assert [h["content"] for h in await call(client, "recall", query="Ann")] == ["Ann lives in Porto"]

    asyncio.run(asyncio.wait_for(run(), 60))
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    accept = {"Accept": "application/json, text/event-stream"}
    for attack in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}):
        assert httpx.post(http_server, json=body, headers=accept | attack).status_code in {403, 421}
