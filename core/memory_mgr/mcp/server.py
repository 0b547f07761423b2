"""The server: tools and resources put together."""

from __future__ import annotations

from importlib import resources

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.resources import FunctionResource
from mcp_types import ToolAnnotations

from memory_mgr import __version__
from memory_mgr.engine.manager import SyncMemoryManager
from memory_mgr.mcp.resources import described, newest
from memory_mgr.mcp.tools import Tools
from memory_mgr.types import MemoryType

_READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
_WRITES = ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=False)
_DELETES = ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False)


def build(memory: SyncMemoryManager) -> MCPServer:
    """A server for one memory."""
    instructions = (resources.files("memory_mgr.mcp") / "instructions.txt").read_text("utf-8")
    server = MCPServer("memory-mgr", instructions=instructions, version=__version__, log_level="WARNING")
    tools = Tools(memory)
    server.add_tool(tools.recall, title="Recall", annotations=_READS)
    server.add_tool(tools.build_context, title="Build context", annotations=_READS)
    if not memory.config.read_only:
        server.add_tool(tools.remember, title="Remember", annotations=_WRITES)
        server.add_tool(tools.forget, title="Forget", annotations=_DELETES)
    for tier in MemoryType:
        server.add_resource(
            FunctionResource(
                uri=f"memory://{tier.value}",
                name=tier.value,
                description=described(tier),
                mime_type="application/json",
                fn=lambda tier=tier: newest(memory, tier),
            )
        )
    return server
