"""Serving: `inspect` for people, `mcp` for models."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from memory_mgr.cli.app import app
from memory_mgr.cli.command import ConfigOption, NamespaceOption, PathOption, Place, UrlOption
from memory_mgr.cli.output import console

PortOption = Annotated[int, typer.Option("--port", min=0, max=65535, help="Port on 127.0.0.1; 0 = a free one.")]


@app.command()
def inspect(
    path: PathOption = None,
    url: UrlOption = None,
    namespace: NamespaceOption = None,
    config: ConfigOption = None,
    port: PortOption = 0,
    read_only: Annotated[bool, typer.Option("--read-only", help="Look only.")] = False,
    open_browser: Annotated[bool, typer.Option("--open/--no-open", help="Open it in a browser.")] = True,
) -> None:
    """Look into a memory in the browser: browse, search, explain, edit, undo, forget. On this machine only.

    Without --namespace all namespaces of the store are shown.
    """
    from memory_mgr.inspector import serve

    settings = Place(path, url, namespace, config).existing(read_only=read_only)

    def tell(link: str) -> None:
        console.print(f"{link}\nThis link is the key; stop with Ctrl-C.", soft_wrap=True)

    serve(settings, tell=tell, port=port, open_browser=open_browser, whole_store=namespace is None)


@app.command()
def mcp(
    path: PathOption = None,
    url: UrlOption = None,
    namespace: NamespaceOption = None,
    config: ConfigOption = None,
    transport: Annotated[Literal["stdio", "http"], typer.Option("--transport", help="How clients connect.")] = "stdio",
    port: PortOption = 8765,
    read_only: Annotated[bool, typer.Option("--read-only", help="Only recall; no remember, no forget.")] = False,
) -> None:
    """Serve a namespace to models over the Model Context Protocol. The namespace is fixed here, never by the model."""
    from memory_mgr.mcp import serve

    settings = Place(path, url, namespace, config).settings(read_only=read_only)
    serve(settings, transport=transport, port=port)
