"""What commands share: where memory is, and one result that is shown to people or printed as JSON."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from memory_mgr.cli.app import app
from memory_mgr.cli.output import print_json, print_view
from memory_mgr.errors import InvalidInputError

if TYPE_CHECKING:
    from memory_mgr.config import MemoryConfig

PathOption = Annotated[
    Path | None, typer.Option("--path", "-p", envvar="MEMORY_MGR_PATH", help="Folder of an embedded store.")
]
UrlOption = Annotated[
    str | None, typer.Option("--url", envvar="MEMORY_MGR_URL", help="Chroma server, http://host:port.")
]
NamespaceOption = Annotated[
    str | None,
    typer.Option("--namespace", "-n", envvar="MEMORY_MGR_NAMESPACE", help="Whose memory; labels joined by '/'."),
]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", envvar="MEMORY_MGR_CONFIG", help="TOML file of settings.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON only.")]
BudgetOption = Annotated[int, typer.Option("--budget", "-b", min=0, help="Tokens of a context.")]
LimitOption = Annotated[int, typer.Option("--limit", "-k", min=0, help="Results at most.")]
TierOption = Annotated[
    list[str] | None,
    typer.Option(
        "--tier",
        "-t",
        help="Only this tier (short_term, working, long_term, episodic); may be given several times.",
        autocompletion=lambda: ["short_term", "working", "long_term", "episodic"],
    ),
]
WhereOption = Annotated[
    str | None,
    typer.Option("--where", "-w", help='Filter as JSON: \'{"source": "chat-1", "importance_score": {"$gte": 0.5}}\'.'),
]
IdArgument = Annotated[str, typer.Argument(help="Id of a memory.")]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@dataclass(frozen=True, slots=True)
class Result:
    """What a command found or did.

    Attributes:
        data: For `--json`; None if all was printed already.
        view: For people: anything rich prints.
    """

    data: Any
    view: Any


@dataclass(frozen=True, slots=True)
class Place:
    """Where memory is, as the common options name it."""

    path: Path | None = None
    url: str | None = None
    namespace: str | None = None
    config: Path | None = None

    def settings(self, **more: Any) -> MemoryConfig:
        """The configuration: that of the file, the options on top.

        Raises:
            InvalidInputError: The file cannot be read.
            ConfigurationError: A setting cannot work.
        """
        from memory_mgr.cli.config_file import read_config
        from memory_mgr.config import MemoryConfig

        given: dict[str, Any] = {} if self.config is None else read_config(self.config)
        if self.path is not None or self.url is not None:
            given = {k: v for k, v in given.items() if k not in {"path", "url"}}
            given |= {"path": self.path, "url": self.url}
        if self.namespace is not None:
            given["namespace"] = tuple(self.namespace.split("/"))
        return MemoryConfig(**(given | more))

    def existing(self, **more: Any) -> MemoryConfig:
        """As `settings`, of a store that is there: looking does not make an empty one.

        Raises:
            InvalidInputError: There is no store in the folder.
        """
        config = self.settings(**more)
        if config.path is not None and not config.in_memory and not (config.path / "chroma").is_dir():
            raise InvalidInputError(
                f"there is no store in {config.path.resolve()}; `memory-mgr add` makes one, or say where it is with "
                "--path, --url or --config"
            )
        return config


def command(
    name: str | None = None, *, writes: bool = False, creates: bool = False
) -> Callable[[Callable[..., Result]], Callable[..., None]]:
    """Register a function of an open memory as a command.

    It gets the common options on top of its own parameters, and what it returns is shown or printed as JSON.

    Args:
        name: Of the command; default: the function's.
        writes: Open the memory for writing; else several may look at the same time, and looking leaves no trace.
        creates: Make the store if it is not there.
    """

    def register(function: Callable[..., Result]) -> Callable[..., None]:
        @functools.wraps(function)
        def run(*, path: Any, url: Any, namespace: Any, config: Any, as_json: bool, **own: Any) -> None:
            from memory_mgr.actors import acting_as
            from memory_mgr.engine.manager import SyncMemoryManager

            place = Place(path, url, namespace, config)
            settings = place.settings() if creates else place.existing(read_only=not writes)
            with SyncMemoryManager(settings) as memory, acting_as("cli"):
                result = function(memory, **own)
            if result.data is not None:
                print_json(result.data) if as_json else print_view(result.view)

        return app.command(name)(_with_common_options(run, function))

    return register


def json_object(text: str | None, option: str) -> dict[str, Any] | None:
    """The object that an option gives as JSON.

    Raises:
        InvalidInputError: It is not a JSON object.
    """
    if text is None:
        return None
    try:
        value = json.loads(text)
    except ValueError as error:
        raise InvalidInputError(f'{option} is not JSON: {error}; like \'{{"source": "chat-1"}}\'') from error
    if not isinstance(value, dict):
        raise InvalidInputError(f"{option} must be a JSON object, not {text!r:.80}")
    return value


def _with_common_options(run: Callable[..., None], function: Callable[..., Result]) -> Callable[..., None]:
    """Give `run` the signature that Typer reads: the function's own parameters, then the common ones."""
    known = function.__globals__ | {"SyncMemoryManager": object}  # importing the engine would make `--help` slow
    _, *own = inspect.signature(function, globals=known, eval_str=True).parameters.values()
    common = {
        "path": (PathOption, None),
        "url": (UrlOption, None),
        "namespace": (NamespaceOption, None),
        "config": (ConfigOption, None),
        "as_json": (JsonOption, False),
    }
    kind = inspect.Parameter.KEYWORD_ONLY
    shared = [inspect.Parameter(n, kind, default=default, annotation=a) for n, (a, default) in common.items()]
    parameters = [parameter.replace(kind=kind) for parameter in own] + shared
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    del run.__wrapped__  # type: ignore[attr-defined]
    return run
