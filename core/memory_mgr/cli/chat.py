"""`chat`: talk, and see what is recalled for each message."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import datetime
from importlib import resources
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.panel import Panel
from rich.text import Text

from memory_mgr.cli.app import app
from memory_mgr.cli.command import BudgetOption, ConfigOption, JsonOption, NamespaceOption, PathOption, Place, UrlOption
from memory_mgr.cli.output import console, print_json, safe, said
from memory_mgr.errors import MemoryMgrError

if TYPE_CHECKING:
    from memory_mgr.engine.conversation import SyncConversationContext
    from memory_mgr.protocols import LLM
    from memory_mgr.types import Context

_ANSWER_TOKENS = 500
_HELP = "Say something. /context shows what a model would be told, /quit (or Ctrl-D) ends."


@app.command()
def chat(
    conversation: Annotated[
        str | None, typer.Option("--conversation", help="Go on with this one; default: a new one.")
    ] = None,
    budget: BudgetOption = 500,
    path: PathOption = None,
    url: UrlOption = None,
    namespace: NamespaceOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Talk, and see what is recalled. A model answers if the config file names one under `llm`; else nobody does."""
    from memory_mgr.defaults.adapters import as_llm
    from memory_mgr.engine.manager import SyncMemoryManager

    settings = Place(path, url, namespace, config).settings()
    model = None if settings.llm is None else as_llm(settings.llm)
    name = conversation or f"chat-{datetime.now():%Y-%m-%d-%H%M%S}"
    with SyncMemoryManager(settings) as memory:
        talk = Talk(memory.conversation(name), model, budget)
        if not as_json:
            who = "echo: no model is configured, see --config" if model is None else type(settings.llm).__name__
            console.print(Text(f"{name} ({who}). {_HELP}", "dim"))
        for text in _lines(prompt="" if as_json else "you: "):
            if text == "/quit":
                break
            talk.command(text) if text.startswith("/") else talk.say(text, as_json=as_json)


class Talk:
    """One conversation at the terminal.

    Args:
        conversation: Where it is remembered.
        model: Who answers; None = nobody, what was recalled is shown all the same.
        budget: Tokens of what is recalled for a message.
    """

    def __init__(self, conversation: SyncConversationContext, model: LLM | None, budget: int) -> None:
        self._conversation = conversation
        self._model = model
        self._budget = budget
        self._last: Context | None = None

    def say(self, text: str, *, as_json: bool) -> None:
        """Recall, answer, remember."""
        from memory_mgr.types import Message

        self._last = self._conversation.build_context(text, self._budget)
        if not as_json:
            self._show_recalled(self._last)
        self._conversation.add_message(Message(role="user", content=text))
        reply = self._reply(text, self._last)
        if reply is not None:
            self._conversation.add_message(Message(role="assistant", content=reply))
        if as_json:
            print_json(_exchange(text, reply, self._last), indent=None)
            sys.stdout.flush()
        else:
            console.print(Text("model: ", "bold").append_text(safe(reply or f"(echo) {text}")))

    def command(self, text: str) -> None:
        """A line that begins with a slash."""
        if text == "/context" and self._last is not None:
            console.print(Panel(safe(self._last.text), title=f"{self._last.tokens} of {self._budget} tokens"))
        else:
            console.print(Text(_HELP, "dim"))

    def _reply(self, text: str, context: Context) -> str | None:
        if self._model is None:
            return None
        template = (resources.files("memory_mgr.cli") / "data/chat_prompt.txt").read_text("utf-8")
        prompt = template.replace("{message}", text).replace("{context}", context.text, 1)
        try:
            return self._model.complete(prompt, max_tokens=_ANSWER_TOKENS).strip() or None
        except MemoryMgrError as error:
            console.print(safe(f"the model failed: {error}", "red"))
            return None

    def _show_recalled(self, context: Context) -> None:
        recent = {message.id for message in context.messages}
        recalled = [entry for entry in context.entries if entry.details.get("message_id") not in recent]
        for entry in recalled[:5]:
            console.print(Text("  recalls ", "dim").append_text(safe(said(entry, 120), "cyan")))


def _exchange(text: str, reply: str | None, context: Context) -> dict[str, Any]:
    recalled = [{"id": e.id, "tier": e.memory_type.value, "content": e.content} for e in context.entries]
    return {"message": text, "reply": reply, "recalled": recalled, "tokens": context.tokens}


def _lines(prompt: str) -> Iterator[str]:
    """What is typed, line by line, until there is no more."""
    if sys.stdin.isatty():
        import readline  # noqa: F401 - gives `input` its editing and history
    while True:
        try:
            text = input(prompt if sys.stdin.isatty() else "").strip()
        except EOFError:
            return
        if text:
            yield text
