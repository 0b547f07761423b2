"""What is redacted never reaches the store, whatever way it comes in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_mgr import (
    ConfigurationError,
    MemoryConfig,
    Message,
    NewMemory,
    PatternRedactor,
    RedactionError,
    SyncMemoryManager,
    ToolCall,
)
from memory_mgr.policy.eviction import EvictionConfig
from memory_mgr.testing import FakeEmbedder

KEY = bytes(range(64))
SECRETS = {
    "email": "ann.b+list@mail.example.co.uk",
    "phone": "+49 170 123 4567",
    "card": "4111 1111 1111 1111",
    "iban": "DE89 3704 0044 0532 0130 00",
    "ssn": "123-45-6789",
    "ip": "192.168.17.4",
    "token": "sk-proj-abcdefghijklmnop1234",
}


@pytest.mark.parametrize("kind", SECRETS)
def test_each_kind_is_found_and_comes_back_only_with_its_key(kind: str) -> None:
    """Gone for good without a key; sealed with one, the same every time, and restored by no other."""
    text = f"note: {SECRETS[kind]}, that is all"
    assert PatternRedactor().redact(text) == f"note: [redacted:{kind}], that is all"
    sealed = PatternRedactor(KEY).redact(text)
    assert SECRETS[kind] not in sealed
    assert PatternRedactor(KEY).redact(text) == sealed
    assert PatternRedactor(KEY).restore(sealed) == text
    with pytest.raises(RedactionError, match="another key"):
        PatternRedactor(bytes(64)).restore(sealed)
    with pytest.raises(RedactionError, match="without a key"):
        PatternRedactor().restore(sealed)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("my password is hunter22!", "hunter22!"),
        ('{"password": "hunter22"}', "hunter22"),
        ("postgres://user:s3cret@host/db", "s3cret"),
        ("AWS AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
        ("Authorization: Bearer abcdef0123456789abcdef", "abcdef0123456789abcdef"),
        ("api_key=abcd1234efgh5678", "abcd1234efgh5678"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIabc\n-----END RSA PRIVATE KEY-----", "MIIabc"),
        ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "ghp_abcdefghijklmnop"),
        ("call 555-123-4567 today", "555-123-4567"),
    ],
)
def test_named_and_formed_secrets_go_and_the_rest_stays(text: str, secret: str) -> None:
    """Only the secret itself is replaced."""
    redacted = PatternRedactor().redact(text)
    assert secret not in redacted
    assert redacted.split("[")[0] == text[: len(redacted.split("[")[0])]


@pytest.mark.parametrize(
    "text",
    [
        "on 2024-05-06 at 10:30 we met, 12 of us, order 1234567",
        "version 1.2.3 and 10.000.000 views",
        "card 4111 1111 1111 1112 has a wrong digit",
        "the pin board is full; he passed the word on",
        "see section 3.4.5.6.7 of the manual",
    ],
)
def test_ordinary_numbers_stay(text: str) -> None:
    """Dates, versions, counts, and numbers whose check digit is wrong."""
    assert PatternRedactor().redact(text) == text


@given(st.text())
def test_redacting_again_changes_nothing(text: str) -> None:
    """So that what was stored is the same when it is stored again; with a key nothing is sealed twice."""
    for redactor in (PatternRedactor(), PatternRedactor(KEY)):
        once = redactor.redact(f"{text} password: {text} mail a@b.example")
        assert redactor.redact(once) == once


def test_wrong_settings_are_refused() -> None:
    """A short key, an unknown kind."""
    with pytest.raises(ConfigurationError, match="64 random bytes"):
        PatternRedactor(b"short")
    with pytest.raises(ConfigurationError, match="unknown kinds"):
        PatternRedactor(kinds=("names",))


def test_no_way_into_the_store_goes_around_it(config: MemoryConfig, tmp_path: Path) -> None:
    """Facts, metadata, messages with calls and originals, slots, notes, updates, summaries, imports: no byte of it."""
    secret = "ann.b@mail.example"
    seen: list[str] = []

    class Recording(FakeEmbedder):
        def embed(self, texts, *, kind):  # type: ignore[no-untyped-def]
            seen.extend(texts)
            return super().embed(texts, kind=kind)

    plain = tmp_path / "plain.jsonl"
    with SyncMemoryManager(config.replaced(path=tmp_path / "other")) as memory:
        entry = memory.add_memory(f"imported {secret}", metadata={"mail": secret}, speaker=secret)
        memory.update_memory(entry.id, content=f"imported and changed {secret}")
        memory.export_memories(plain)
    with SyncMemoryManager(config, redactor="builtin", embedder=Recording()) as memory:
        fact = memory.add_memory(f"fact {secret}", metadata={"from": secret, "deep": [{"to": secret}]}, speaker=secret)
        memory.update_memory(fact.id, content=f"changed {secret}", metadata={"cc": secret})
        memory.supersede_memory(fact.id, f"superseded {secret}")
        memory.put_memories([NewMemory(content=f"put {secret}", id="p", found_by=[f"question {secret}"])])
        chat = memory.conversation("c", short_term=EvictionConfig(max_messages=2))
        call = ToolCall(id="call-1", name="mail", arguments={"to": secret, "id": secret})
        chat.add_message(Message(role="user", content=f"hello {secret}", name=secret, metadata={"m": secret}))
        chat.add_message(Message(role="assistant", content=secret, tool_calls=(call,), original={"c": {"t": secret}}))
        chat.add_message(Message(role="tool", content=f"sent to {secret}", tool_call_id="call-1"))
        for n in range(4):
            chat.add_message(Message(role="user", content=f"more {n} {secret}"))
        chat.working.set("mail", {"to": secret})
        chat.working.set("mail", [secret])
        chat.working.add_note(f"note {secret}")
        memory.import_memories(plain)
        memory.export_memories(tmp_path / "out.jsonl", with_vectors=True)
        assert chat.messages()[1].tool_calls[0].id == "call-1"
        assert chat.working.get("mail") == ["[redacted:email]"]
        stored = [*memory.list_memories(limit=None, include_superseded=True), *chat.messages()]
        assert secret not in json.dumps([repr(entry) for entry in stored])
    with SyncMemoryManager(config, redactor="builtin") as memory:
        assert len([e for e in memory.list_memories(limit=None) if e.changes]) >= 1
    assert secret not in "\n".join(seen)
    assert files_with(tmp_path / "memory", secret.encode()) == []
    assert secret not in (tmp_path / "out.jsonl").read_text()


def files_with(folder: Path, needle: bytes) -> list[str]:
    """The files below a folder that hold these bytes; for the one left out see docs/security.md."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "data_level0.bin"]
    assert files
    return [str(path) for path in files if needle in path.read_bytes()]


def test_a_redactor_that_fails_stores_nothing(config: MemoryConfig) -> None:
    """Rather nothing than something unredacted."""

    def broken(text: str) -> str:
        raise RuntimeError("no model")

    with SyncMemoryManager(config, redactor=broken) as memory:
        with pytest.raises(RedactionError, match="no model"):
            memory.add_memory("hello")
        with pytest.raises(RedactionError):
            memory.conversation("c").add_message(Message(role="user", content="hello"))
        assert memory.stats().total == 0


def test_one_of_ones_own(config: MemoryConfig) -> None:
    """Any callable from text to text."""
    with SyncMemoryManager(config, redactor=lambda text: text.replace("Ana", "A.")) as memory:
        assert memory.add_memory("Ana likes tea").content == "A. likes tea"
