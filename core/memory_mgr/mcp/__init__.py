"""Memory for models over the Model Context Protocol (extra `[mcp]`): `memory-mgr mcp`, or a server to mount.

Whose memory it is, is fixed by the settings; no tool takes a namespace.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from memory_mgr.errors import MissingDependencyError

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer

    from memory_mgr.config import MemoryConfig
    from memory_mgr.engine.manager import SyncMemoryManager


def build_server(memory: SyncMemoryManager) -> MCPServer:
    """A server of the official SDK with this memory's tools and resources; read-only if the memory is.

    Raises:
        MissingDependencyError: The SDK is not installed.
    """
    try:
        from memory_mgr.mcp.server import build
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != "mcp":
            raise
        raise MissingDependencyError("mcp 2", "mcp", "the MCP server") from error
    return build(memory)


def serve(config: MemoryConfig, *, transport: Literal["stdio", "http"] = "stdio", port: int = 8765) -> None:
    """Serve one memory until the client leaves (stdio) or the process is stopped (http).

    Args:
        config: Whose memory, and where.
        transport: "stdio": a client starts this process and talks through its pipes. "http": streamable HTTP on
            http://127.0.0.1:port/mcp; whoever may connect to this machine's loopback may use it.
        port: For "http".

    Raises:
        MissingDependencyError: The SDK is not installed.
    """
    from memory_mgr.engine.manager import SyncMemoryManager

    with SyncMemoryManager(config) as memory:
        server = build_server(memory)
        if transport == "stdio":
            server.run("stdio")
        else:
            server.run("streamable-http", host="127.0.0.1", port=port)


__all__ = ["build_server", "serve"]
