"""A mixed workload over the whole API, with a plain record of what was acknowledged.

The record is lines of JSON: `{"begin": ...}` before an operation that may take something away, `{"there": {id: word}}`
and `{"gone": [ids]}` when it was acknowledged. Between a "begin" and its end the ids it names may be there or not.
Beside the memory is a passing one in a namespace of its own, which is filled (`{"passing": [ids]}`) and forgotten
(`{"forgetting": true}`, `{"forgotten": true}`).
"""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from memory_mgr import Message, NewMemory, SyncMemoryManager, ToolCall
from memory_mgr.engine.messages import entry_id

Say = Callable[[dict[str, Any]], None]
PASSING = "passing"
_FILLING = 4
"""Entries that are put into the passing namespace at once."""
_LONG = "Sentence {n} of many tells of river {n} and of the mountain behind it, for {w}. "
_SUBJECTS = ("Ana", "Ben", "Cem", "Dora", "Emil")
_PLACES = ("Rome", "Oslo", "Lima", "Cairo", "Kyoto")


@dataclass
class Record:
    """What must be there, told by lines of the workload.

    Attributes:
        there: Content's last word of every acknowledged entry, by id.
        unsure: Ids whose fate was not acknowledged when the workload ended.
        count: Operations that were acknowledged.
        passing: Ids of what was acknowledged of the passing namespace since it was forgotten last.
        forgetting: It may have been forgotten.
    """

    there: dict[str, str] = field(default_factory=dict)
    unsure: set[str] = field(default_factory=set)
    count: int = 0
    passing: set[str] = field(default_factory=set)
    forgetting: bool = False

    def hear(self, line: dict[str, Any]) -> None:
        """Take a line into account."""
        if "begin" in line:
            self.unsure |= set(line["begin"])
            return
        if "forgetting" in line:
            self.forgetting = True
            return
        self.count += 1
        self.passing |= set(line.get("passing", ()))
        if "forgotten" in line:
            self.passing, self.forgetting = set(), False
        self.there |= line.get("there", {})
        for memory_id in line.get("gone", ()):
            self.there.pop(memory_id, None)
        self.unsure -= set(line.get("there", {})) | set(line.get("gone", ())) | set(line.get("kept", ()))

    def check(self, memory: SyncMemoryManager) -> None:
        """Everything acknowledged is there, once; the rest of `unsure` becomes what it turned out to be."""
        listed = memory.list_memories(limit=None, include_superseded=True)
        found = {entry.id: entry.content for entry in listed}
        assert len(found) == len(listed), "an id is listed twice"
        for memory_id, word in self.there.items():
            if memory_id in self.unsure:
                continue
            assert memory_id in found, f"lost: {memory_id} ({word})"
            assert word in found[memory_id], f"{memory_id} is {found[memory_id]!r:.80}, not {word}"
        for memory_id in self.unsure:
            self.there.pop(memory_id, None)
        self.unsure.clear()
        self._check_passing(memory.scoped(PASSING))

    def _check_passing(self, memory: SyncMemoryManager) -> None:
        """It is whole, or it is gone if it was being forgotten; what was forgotten is not back."""
        found = {entry.id for entry in memory.list_memories(limit=None)}
        if self.forgetting:
            assert found in (self.passing, set()), f"forgotten in part: {found ^ self.passing} of {self.passing}"
        # One filling may have been made that was not acknowledged: it is there whole, or not at all.
        assert self.forgetting or self.passing <= found, f"lost: {self.passing - found}"
        assert len(found - self.passing) in {0, _FILLING}, f"back after it was forgotten: {found - self.passing}"
        self.passing, self.forgetting = found, False


class Workload:
    """Does one thing after the other.

    Args:
        memory: On what.
        chance: What comes next.
        say: Told of every beginning that may take something away and of every acknowledgement.
        known: Ids that are there already and may be changed.
        without: Kinds of steps to leave out.
    """

    def __init__(
        self,
        memory: SyncMemoryManager,
        chance: random.Random,
        say: Say,
        known: Iterable[str] = (),
        without: Iterable[str] = (),
    ):
        self.memory = memory
        self._chance = chance
        self._say = say
        self._facts = list(known)
        self._steps = {name: weight for name, weight in _STEPS.items() if name not in set(without)}
        self._number = chance.randrange(10**9) * 1000

    def step(self) -> str:
        """Do something; its name."""
        names, weights = zip(*self._steps.items(), strict=True)
        name = self._chance.choices(names, weights)[0]
        getattr(self, f"_{name}")()
        return str(name)

    def _word(self) -> str:
        self._number += 1
        return f"word{self._number:x}"

    def _fact(self) -> tuple[str, str]:
        word = self._word()
        who, where = self._chance.choice(_SUBJECTS), self._chance.choice(_PLACES)
        return word, f"{who} saw {where} with {word}"

    def _some(self, most: int) -> list[str]:
        return self._chance.sample(self._facts, min(most, len(self._facts)))

    @contextmanager
    def _risking(self, ids: list[str]) -> Iterator[None]:
        self._say({"begin": ids})
        yield

    # --- one method a kind of step ----------------------------------------------------------------------------

    def _add(self) -> None:
        word, text = self._fact()
        entry = self.memory.add_memory(text, id=word)
        self._facts.append(entry.id)
        self._say({"there": {entry.id: word}})

    def _add_several(self) -> None:
        facts = [self._fact() for _ in range(self._chance.randint(2, 12))]
        tier = self._chance.choice(["long_term", "episodic", "working"])
        self.memory.add_memories([NewMemory(content=text, id=word) for word, text in facts], tier)
        self._facts += [word for word, _ in facts]
        self._say({"there": {word: word for word, _ in facts}})

    def _add_long(self) -> None:
        word = self._word()
        self.memory.add_memory("".join(_LONG.format(n=n, w=word) for n in range(20)), id=word, source="book")
        self._facts.append(word)
        self._say({"there": {word: word}})

    def _chat(self) -> None:
        conversation = f"chat-{self._chance.randrange(3)}"
        word, text = self._fact()
        call = ToolCall(id=f"call-{word}", name="look", arguments={"for": word})
        turn = [
            Message(role="user", content=text, id=f"u-{word}"),
            Message(role="assistant", tool_calls=(call,), id=f"c-{word}"),
            Message(role="tool", content=f"result {word}", tool_call_id=call.id, id=f"t-{word}"),
            Message(role="assistant", content=f"answer {word}", id=f"a-{word}"),
        ]
        self.memory.conversation(conversation).add_messages(turn)
        self._say({"there": {entry_id(conversation, f"{k}-{word}"): word for k in "ucta"}})

    def _slot(self) -> None:
        chat = self.memory.conversation(f"chat-{self._chance.randrange(3)}")
        chat.working.set(f"key-{self._chance.randrange(4)}", self._word())
        if self._chance.random() < 0.2:
            chat.working.clear()

    def _summarize(self) -> None:
        self.memory.summarize(f"chat-{self._chance.randrange(3)}")

    def _update(self) -> None:
        for memory_id in self._some(1):
            word = self._word()
            text = f"changed to {word}" if self._chance.random() < 0.7 else _LONG.format(n=7, w=word) * 12
            with self._risking([memory_id]):
                self.memory.update_memory(memory_id, content=text, metadata={"word": word})
            self._say({"there": {memory_id: word}})

    def _supersede(self) -> None:
        for memory_id in self._some(1):
            word, text = self._fact()
            if self.memory.get_memory(memory_id).superseded_by is None:
                new = self.memory.supersede_memory(memory_id, text)
                self._facts.append(new.id)
                self._say({"there": {new.id: word}})

    def _delete(self) -> None:
        ids = self._some(3)
        with self._risking(ids):
            self.memory.delete_memories(ids)
        self._facts = [i for i in self._facts if i not in ids]
        self._say({"gone": ids})

    def _put(self) -> None:
        for memory_id in self._some(1):
            entry = self.memory.get_memory(memory_id)
            word, text = self._fact()
            with self._risking([memory_id]):
                self.memory.put_memories([NewMemory(content=text, id=memory_id)], entry.memory_type)
            self._say({"there": {memory_id: word}})

    def _import(self) -> None:
        stream = io.StringIO()
        self.memory.export_memories(stream)
        header, *lines = stream.getvalue().splitlines()
        once = [line for line in lines if '"id":"copy-' not in line]
        chosen = self._chance.sample(once, min(len(once), 20))
        head = header.replace(f'"entries":{len(lines)}', f'"entries":{len(chosen)}')
        copies = [line.replace('"id":"word', '"id":"copy-word') for line in chosen]
        texts = {entry["id"]: entry["text"] for entry in map(json.loads, copies) if entry["text"].strip()}
        words = {memory_id: text.split()[-1] for memory_id, text in texts.items()}
        new = words.keys() - {entry.id for entry in self.memory.get_memories(list(words))}
        self.memory.import_memories(io.StringIO("\n".join([head, *copies])), on_conflict="keep")
        self._say({"there": {memory_id: words[memory_id] for memory_id in new}})

    def _prune(self) -> None:
        report = self.memory.prune(quota=200)
        if report.operation_id is not None and self._chance.random() < 0.5:
            self.memory.undo(report.operation_id)
        self._say({})

    def _consolidate(self) -> None:
        report = self.memory.consolidate()
        if report.operation_id is not None and self._chance.random() < 0.3:
            self.memory.undo(report.operation_id)
        self._say({})

    def _pass(self) -> None:
        """Fill the passing namespace with entries of two tiers, or forget it."""
        passing = self.memory.scoped(PASSING)
        if self._chance.random() < 0.5:
            self._say({"forgetting": True})
            passing.forget()
            self._say({"forgotten": True})
            return
        facts = [NewMemory(content=text, id=word) for word, text in (self._fact() for _ in range(_FILLING))]
        passing.add_memories(facts, self._chance.choice(["long_term", "episodic", "working"]))
        self._say({"passing": [fact.id for fact in facts]})

    def _recall(self) -> None:
        _, text = self._fact()
        self.memory.search_memory(text, limit=5)
        self.memory.build_context(text, budget_tokens=300, conversation_id=f"chat-{self._chance.randrange(3)}")
        self._say({})

    def _rebuild(self) -> None:
        self.memory.rebuild_catalog()
        self._say({})


_STEPS = {
    "add": 20,
    "add_several": 8,
    "add_long": 3,
    "chat": 20,
    "slot": 8,
    "summarize": 3,
    "update": 10,
    "supersede": 6,
    "delete": 5,
    "put": 5,
    "import": 2,
    "prune": 2,
    "consolidate": 2,
    "recall": 6,
    "rebuild": 1,
    "pass": 6,
}
