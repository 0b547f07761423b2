"""Each example runs as README says, in an empty folder and offline; services answer as their users ask."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
SECONDS = 120
"""Longest time an example may take."""
NEEDS = {
    "fastapi_chat": "fastapi",
    "streamlit_chat": "streamlit",
    "langgraph_agent": "langchain",
    "llamaindex_workflow": "llama_index.core",
}
SAYS = {
    "fastapi_chat": ["user: I am allergic to nuts.", "Ben knows: []"],
    "streamlit_chat": ["You said: What must I not eat?", "user: I am allergic to nuts."],
    "langgraph_agent": ["ann, friday", "user: I am allergic to nuts.", "2 messages in the thread of Ann's friday"],
    "llamaindex_workflow": ["with a handle to the memory", "user: My name is Ada and I am allergic to nuts."],
}


def run(name: str, folder: Path) -> str:
    """What the example prints when a user runs it in `folder`."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "core"), str(ROOT)])}
    outcome = subprocess.run(
        [sys.executable, str(EXAMPLES / f"{name}.py")],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stdout


def test_none_is_forgotten() -> None:
    """Every example is run here, is listed in the README beside it, and is short."""
    examples = sorted(EXAMPLES.glob("*.py"))
    assert {path.stem for path in examples} == set(NEEDS) == set(SAYS)
    readme = (EXAMPLES / "README.md").read_text("utf-8")
    for path in examples:
        assert f"[{path.name}]({path.name})" in readme
        assert len(path.read_text("utf-8").splitlines()) <= 60, path.name


@pytest.mark.parametrize("name", sorted(NEEDS))
def test_it_runs(name: str, tmp_path: Path) -> None:
    """And shows that what was said before is recalled."""
    pytest.importorskip(NEEDS[name], reason=f"EXAMPLE {name} WAS NOT RUN: it needs the extra [examples]")
    printed = run(name, tmp_path)
    for line in SAYS[name]:
        assert line in printed


def test_users_of_the_agent_do_not_meet(tmp_path: Path) -> None:
    """What Ann told the agent is not told to the model when Ben asks."""
    pytest.importorskip("langchain", reason="EXAMPLE langgraph_agent WAS NOT RUN: it needs the extra [examples]")
    printed = run("langgraph_agent", tmp_path)
    ann, _, ben = printed.partition("ben, friday")
    assert "allergic" in ann
    assert "allergic" not in ben


def test_the_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Recalls across conversations and restarts, keeps users apart, and refuses what it cannot use."""
    pytest.importorskip("fastapi", reason="EXAMPLE fastapi_chat WAS NOT TRIED: it needs the extra [examples]")
    from fastapi.testclient import TestClient

    monkeypatch.chdir(tmp_path)
    app = runpy.run_path(str(EXAMPLES / "fastapi_chat.py"), run_name="fastapi_chat")["app"]
    with TestClient(app) as client:
        said = client.post("/chat", json={"text": "My cat is called Mia."}, headers={"X-User": "ann"})
        assert said.status_code == 200
    with TestClient(app) as client:
        asked = {"text": "What is my cat called?", "conversation_id": "another"}
        assert "Mia" in client.post("/chat", json=asked, headers={"X-User": "ann"}).json()["answer"]
        assert "Mia" not in client.post("/chat", json=asked, headers={"X-User": "ben"}).json()["answer"]
        recalled = client.get("/recall", params={"query": "my cat"}, headers={"X-User": "ann"}).json()
        assert "My cat is called Mia." in recalled
        assert client.post("/chat", json=asked).status_code == 422
        assert client.post("/chat", json={"text": " "}, headers={"X-User": "ann"}).status_code == 422
        assert client.post("/chat", json=asked, headers={"X-User": " "}).status_code == 422


def test_the_page(tmp_path: Path) -> None:
    """In Streamlit's own test runner: a second message is answered with what the first one said in view."""
    pytest.importorskip("streamlit", reason="EXAMPLE streamlit_chat WAS NOT TRIED: it needs the extra [examples]")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "core"), str(ROOT)])}
    script = (
        "import sys\n"
        "from streamlit.testing.v1 import AppTest\n"
        "page = AppTest.from_file(sys.argv[1], default_timeout=60).run()\n"
        "for text in ('I am allergic to nuts.', 'What must I not eat?'):\n"
        "    page.chat_input[0].set_value(text).run()\n"
        "assert not page.exception, page.exception\n"
        "print([message.name for message in page.chat_message])\n"
        "print(page.text[0].value)\n"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", script, str(EXAMPLES / "streamlit_chat.py")],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stderr
    assert "['user', 'assistant', 'user', 'assistant']" in outcome.stdout
    assert "user: I am allergic to nuts." in outcome.stdout
