"""Each command does what its help says, for people and as JSON, and a wrong call is told in one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from memory_mgr import SyncMemoryManager
from memory_mgr.testing import FakeEmbedder

from .conftest import Cli


def test_what_is_added_is_found_shown_and_listed(cli: Cli) -> None:
    """The same memory through add, search, show, list and context."""
    added = cli("add", "I am allergic to nuts", "--metadata", '{"topic": "food"}', "--source", "chat-1", "--json").data
    found = cli("search", "allergic nuts", "--explain", "--json").data
    shown = cli("show", added["id"], "--json").data
    listed = cli("list", "--where", '{"topic": "food"}', "--json").data
    context = cli("context", "allergic", "--explain", "--json").data
    assert [found[0]["id"], shown["id"], listed[0]["id"]] == [added["id"]] * 3
    assert sum(v for k, v in found[0]["explain"].items() if k != "trust") == pytest.approx(found[0]["score"], abs=0.05)
    assert shown["metadata"] == {"topic": "food"}
    assert shown["namespace"] == ["acme", "ann"]
    assert "I am allergic to nuts" in context["text"]
    assert context["tokens"] <= context["budget_tokens"]
    assert added["id"] in context["explain"]


def test_people_see_the_same(cli: Cli) -> None:
    """Without --json there are tables and text with ids to go on with."""
    added = cli("add", "I am allergic to nuts", "--json").data
    for arguments in (["search", "nuts"], ["list"], ["show", added["id"]], ["history", added["id"]]):
        out = cli(*arguments).out
        assert "allergic to nuts" in out
        assert added["id"] in out
    assert "long_term" in cli("stats").out
    assert "recalled" in cli("context", "nuts").out


def test_remembered_text_is_neither_markup_nor_terminal_codes(cli: Cli) -> None:
    """Brackets stay as they are; escape sequences come out as replacement characters."""
    added = cli("add", "-", "--json", stdin="[red]danger[/red] [/nope] \x1b]0;owned\x07 \x9b31m").data
    for arguments in (
        ["list"],
        ["search", "danger"],
        ["show", added["id"]],
        ["context", "danger"],
        ["history", added["id"]],
    ):
        out = cli(*arguments).out
        assert "[red]danger[/red] [/nope]" in out
        assert not {"\x1b", "\x07", "\x9b"} & set(out)


def test_superseding_keeps_history(cli: Cli) -> None:
    """The old one is hidden from search and list, not from history and --all."""
    old = cli("add", "I live in Porto", "--json").data
    new = cli("supersede", old["id"], "I live in Lisbon", "--json").data
    assert [e["id"] for e in cli("history", old["id"], "--json").data] == [old["id"], new["id"]]
    assert [e["id"] for e in cli("list", "--json").data] == [new["id"]]
    assert len(cli("list", "--all", "--json").data) == 2
    assert "superseded" in cli("list", "--all").out


def test_pruning_is_shown_done_and_taken_back(cli: Cli) -> None:
    """A dry run changes nothing; undo brings back what was pruned."""
    for n in range(3):
        cli("add", f"fact number {n}")
    dry = cli("prune", "--quota", "1", "--dry-run", "--json").data
    assert len(dry["actions"]) == 2
    assert len(cli("list", "--json").data) == 3
    done = cli("prune", "--quota", "1", "--json").data
    assert len(cli("list", "--json").data) == 1
    assert cli("undo", done["operation_id"], "--json").data == {"restored": 2}
    assert len(cli("list", "--json").data) == 3
    assert "memory-mgr undo" in cli("prune", "--quota", "2").out


def test_consolidation_merges_duplicates(cli: Cli) -> None:
    """What says the same is one memory then."""
    cli("add", "Ann has a red bicycle")
    cli("add", "Ann has a red bicycle.")
    assert [a["kind"] for a in cli("consolidate", "--json").data["actions"]] == ["merge"]
    assert len(cli("list", "--json").data) == 1


def test_export_and_import_carry_a_namespace_over(cli: Cli, tmp_path: Path) -> None:
    """Through a file and through standard output and input."""
    cli("add", "I am allergic to nuts")
    file = tmp_path / "out.jsonl"
    assert cli("export", str(file), "--json").data["exported"] == 1
    assert cli("export", "-").out == file.read_text()
    assert cli("import", str(file), "-n", "bob", "--json").data["added"] == 1
    assert cli("import", "-", "-n", "cid", "--json", stdin=file.read_text()).data["added"] == 1
    assert cli("list", "-n", "cid", "--json").data[0]["content"] == "I am allergic to nuts"


def test_another_embedder_needs_reembed(cli: Cli, settings: Path) -> None:
    """The error names the command, and the command makes a store that can be searched; the old one stays."""
    cli("add", "I am allergic to nuts")
    (settings.parent / "cli_test_embedders.py").write_text(
        "from memory_mgr.testing import FakeEmbedder\nother = FakeEmbedder(32, 'other')\n"
    )
    settings.write_text(settings.read_text().replace("memory_mgr.testing:FakeEmbedder", "cli_test_embedders:other"))
    refused = cli("search", "nuts")
    assert refused.code == 1
    assert "memory-mgr reembed" in refused.err
    new = str(settings.parent / "new")
    assert cli("reembed", new, "--json").data == {"written": 1, "to": new}
    assert cli("search", "nuts", "--path", new, "--json").data[0]["content"] == "I am allergic to nuts"
    assert cli("search", "nuts").code == 1
    assert cli("reembed", new, "--json").data["written"] == 0


def test_forgetting_needs_a_yes_and_spares_other_namespaces(cli: Cli) -> None:
    """Ids go at once; all of a namespace only when that was meant."""
    first, second = (cli("add", text, "--json").data["id"] for text in ("one thing", "another thing"))
    cli("add", "below", "-n", "acme/ann/below")
    assert cli("forget", first, "unknown", "--json").data == {"deleted": 1}
    asked = cli("forget", "--all")
    assert asked.code == 2
    assert "--yes" in asked.err
    assert cli("show", second).code == 0
    assert cli("forget", "--all", "--yes", "--json").data["deleted"]["long_term"] == 1
    assert cli("stats", "-n", "acme/ann/below", "--json").data["counts"]["long_term"] == 1


def test_chat_recalls_from_earlier_chats(cli: Cli) -> None:
    """A later conversation sees what was said in an earlier one, with nobody answering."""
    cli("chat", "--conversation", "first", stdin="I am allergic to nuts\n/quit\nnever read\n")
    said = cli("chat", "--json", stdin="Am I allergic to anything?\n")
    exchange = json.loads(said.out)
    assert exchange["reply"] is None
    assert exchange["recalled"][0]["content"] == "I am allergic to nuts"
    assert "allergic to nuts" in cli("chat", stdin="allergic?\n/context\n").out


def test_chat_with_a_configured_model(cli: Cli, settings: Path) -> None:
    """The model of the config file gets message and memory, and its answer is remembered."""
    (settings.parent / "cli_test_models.py").write_text(
        'def llm(prompt, max_tokens=0):\n    return "nuts!" if "allergic to nuts" in prompt else "nothing"\n'
    )
    settings.write_text(settings.read_text() + 'llm = "cli_test_models:llm"\n')
    cli("add", "I am allergic to nuts")
    assert "nuts!" in cli("chat", "--conversation", "c", stdin="allergic?\n").out
    assert [e["content"] for e in cli("list", "--source", "c", "--json").data] == ["allergic?", "nuts!"]


def test_replay_takes_a_transcript_in(cli: Cli, tmp_path: Path) -> None:
    """One namespace a conversation, below the given one."""
    file = tmp_path / "talk.jsonl"
    file.write_text('{"role": "user", "content": "hello", "conversation_id": "c1"}\n')
    assert cli("replay", str(file), "-n", "talks", "--json").data[0]["messages"] == 1
    assert cli("list", "-n", "talks/c1", "--json").data[0]["content"] == "hello"


def test_doctor_looks_at_the_store(cli: Cli) -> None:
    """Entries counted, catalog compared."""
    cli("add", "I am allergic to nuts")
    findings = {f["check"]: f for f in cli("doctor", "--json").data}
    assert findings["store"]["found"] == "1 entries in acme/ann"
    assert findings["catalog"]["ok"] is True


WRONG = [
    (["search"], 2, "Missing argument"),
    (["serch", "x"], 2, "search"),
    (["search", "x", "--lmit", "3"], 2, "--limit"),
    (["search", "x", "--limit", "-1"], 2, "--limit"),
    (["search", "x", "--tier", "nope"], 2, "short_term"),
    (["search", "x", "--where", "{"], 2, "--where"),
    (["search", "x", "--where", "[]"], 2, "--where"),
    (["search", "x", "--where", '{"$nope": 1}'], 2, "$nope"),
    (["search", "  "], 2, "query is empty"),
    (["add", ""], 2, "content is empty"),
    (["add", "x", "--importance", "2"], 2, "[0, 1]"),
    (["add", "x", "--when", "soon"], 2, "--when"),
    (["add", "x", "--metadata", "1"], 2, "--metadata"),
    (["add", "x", "-n", "a//b"], 2, "namespace"),
    (["show", "unknown"], 3, "unknown"),
    (["supersede", "unknown", "x"], 3, "unknown"),
    (["undo", "unknown"], 2, "unknown"),
    (["forget"], 2, "--all"),
    (["forget", "x", "--all"], 2, "--all"),
    (["import", "missing.jsonl"], 2, "missing.jsonl"),
    (["import", "missing.jsonl", "--on-conflict", "nope"], 2, "--on-conflict"),
    (["export", "missing/x.jsonl"], 2, "missing"),
    (["replay", "missing.jsonl"], 2, "missing.jsonl"),
    (["stats", "--url", "nope"], 2, "http://"),
    (["stats", "--url", "http://127.0.0.1:1"], 1, "server"),
    (["stats", "--config", "missing.toml"], 2, "missing.toml"),
    (["reembed"], 2, "--to-url"),
    (["reembed", "x", "--to-url", "http://127.0.0.1:1"], 2, "--to-url"),
    (["inspect", "--port", "70000"], 2, "--port"),
    (["inspect", "--path", "missing"], 2, "memory-mgr add"),
    (["mcp", "--transport", "pigeon"], 2, "stdio"),
    (["stats", "--path", "missing"], 2, "memory-mgr add"),
]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The config file of a store with something in it, which wrong calls leave as it is."""
    folder = tmp_path_factory.mktemp("filled")
    with SyncMemoryManager(path=folder / "store", namespace="ann", embedder=FakeEmbedder()) as memory:
        memory.add_memory("something")
    file = folder / "memory.toml"
    file.write_text('path = "store"\nnamespace = "ann"\nembedder = "memory_mgr.testing:FakeEmbedder"\n')
    return file


@pytest.mark.parametrize(("arguments", "code", "told"), WRONG, ids=[" ".join(a) for a, _, _ in WRONG])
def test_a_wrong_call_is_one_line_and_an_exit_code(
    cli: Cli, filled: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, told: str
) -> None:
    """It says what is wrong, on standard error, and prints nothing else."""
    monkeypatch.setenv("MEMORY_MGR_CONFIG", str(filled))
    ran = cli(*arguments)
    assert (ran.code, ran.out) == (code, "")
    assert ran.err.startswith("memory-mgr: ")
    assert ran.err.count("\n") == 1
    assert told in ran.err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("path = ", "not TOML"),
        ("pathh = 'x'", "pathh"),
        ('llm = "nowhere:llm"', "nowhere:llm"),
        ('llm = "os"', "module:attribute"),
        ("long_term = {quota = 0}", "quota"),
    ],
)
def test_a_wrong_config_file_is_told(cli: Cli, settings: Path, text: str, told: str) -> None:
    """Which setting, and what may stand there."""
    settings.write_text(text)
    ran = cli("stats")
    assert ran.code == 2
    assert told in ran.err
    assert ran.err.count("\n") == 1


def test_looking_leaves_no_trace(cli: Cli, settings: Path) -> None:
    """No store is made, and a search counts as no access; several may look at once."""
    assert cli("stats").code == 2
    assert not (settings.parent / "store").exists()
    cli("add", "something")
    with SyncMemoryManager(
        path=settings.parent / "store", namespace=("acme", "ann"), embedder=FakeEmbedder(), read_only=True
    ) as beside:
        assert cli("search", "something").code == 0
        with beside._lease() as repository:
            assert repository.accesses() == {}


def test_help_is_quick_and_loads_nothing_heavy() -> None:
    """All commands are listed without numpy, pydantic models, Chroma or the engine."""
    script = (
        "import sys, json; sys.argv = ['memory-mgr', '--help']; from memory_mgr.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print(json.dumps([m for m in sys.modules]))"
    )
    out = subprocess.check_output([sys.executable, "-c", script], text=True)
    loaded = set(json.loads(out.splitlines()[-1]))
    assert not loaded & {"numpy", "chromadb", "memory_mgr.config", "memory_mgr.engine.manager", "starlette", "mcp"}
    assert "consolidate" in out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_commands(shell: str) -> None:
    """The completion of each shell knows the commands."""
    asked = {
        "bash": {"COMP_WORDS": "memory-mgr cons", "COMP_CWORD": "1", "_MEMORY_MGR_COMPLETE": "complete_bash"},
        "zsh": {"_TYPER_COMPLETE_ARGS": "memory-mgr cons", "_MEMORY_MGR_COMPLETE": "complete_zsh"},
        "fish": {
            "_TYPER_COMPLETE_ARGS": "memory-mgr cons",
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
            "_MEMORY_MGR_COMPLETE": "complete_fish",
        },
    }[shell]
    script = "import sys; sys.argv = ['memory-mgr']; from memory_mgr.cli import main; main()"
    out = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | asked, capture_output=True, text=True, check=False
    ).stdout
    assert "consolidate" in out
