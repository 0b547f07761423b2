"""A look into a memory in the browser (extra `[inspect]`): `memory-mgr inspect`.

Server-rendered pages without scripts, on 127.0.0.1 only, for whoever has the link that is printed.
"""

from __future__ import annotations

import secrets
import webbrowser
from collections.abc import Callable
from typing import TYPE_CHECKING

from memory_mgr.errors import MissingDependencyError

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from memory_mgr.config import MemoryConfig
    from memory_mgr.inspector.memories import Memories

HOST = "127.0.0.1"
_NEEDED = {"starlette", "uvicorn", "jinja2"}


def serve(
    config: MemoryConfig,
    *,
    tell: Callable[[str], object],
    port: int = 0,
    open_browser: bool = True,
    whole_store: bool = False,
) -> None:
    """Show a memory until the process is stopped.

    Args:
        config: Whose memory, and where; with `read_only` nothing can be changed.
        tell: Called with the link when it can be opened; whoever has it gets in.
        port: On 127.0.0.1; 0 = a free one.
        open_browser: Open the page in the user's browser too.
        whole_store: All namespaces of the store, not only the config's and those below it.

    Raises:
        MissingDependencyError: The extra `[inspect]` is not installed.
        StoreUnavailableError: The port or the store is in use.
    """
    try:
        from memory_mgr.inspector.server import bound, run
    except ModuleNotFoundError as error:
        if error.name not in _NEEDED:
            raise
        raise MissingDependencyError(error.name or "", "inspect", "the inspector") from error
    from memory_mgr.inspector.memories import Memories

    token = secrets.token_urlsafe(24)
    with bound(HOST, port) as socket, Memories(config, whole_store=whole_store) as memories:
        address = f"{HOST}:{socket.getsockname()[1]}"
        link = f"http://{address}/?token={token}"
        tell(link)
        if open_browser:
            webbrowser.open(link)
        run(build_app(memories, token=token, address=address), socket)


def build_app(memories: Memories, *, token: str, address: str) -> Starlette:
    """The pages as an application.

    Args:
        memories: What is shown.
        token: Whoever gives it gets in.
        address: "host:port" as browsers will send it; requests for any other are refused.
    """
    from memory_mgr.inspector.app import build

    return build(memories, token=token, address=address)


__all__ = ["build_app", "serve"]
