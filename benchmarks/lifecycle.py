"""What the policies are worth on LoCoMo: importance, contexts within a budget, pruning, summaries.

    python benchmarks/lifecycle.py --data locomo.json [--only importance,contexts,pipeline,pruning,summaries,peers]
        [--json benchmarks/results/lifecycle.json]

- importance: AUC of the turns that are evidence of a question (categories 1-4) against the others, and the share
  of evidence among the better half. `held out` is by models fitted without the conversation they are tested on.
- contexts: for how many questions any and all evidence turns stand in `build_context`; one memory a conversation,
  one long_term entry a turn.
- pipeline: the same after the messages came one by one through `ConversationContext`, in the default configuration,
  reopened before the questions. `one`: the whole conversation is one; `sessions`: every session is one; `roles`: as
  `sessions`, and the second speaker is the assistant.
- pruning: contexts after `prune` to half and to a quarter of the entries.
- summaries: through `summarize`, against the first tokens and TextRank, see benchmarks/summaries.py.
- peers: what users have now, in the same budgets, see benchmarks/lifecycle_peers.py.

LoCoMo (Maharana et al. 2024, CC BY-NC 4.0) is not part of this project.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import importance_fit
import numpy as np
import recall_data
import summaries
from recall_data import Conversation, Question

from memory_mgr import MemoryConfig, Message, NewMemory, ShortTermConfig, SyncMemoryManager
from memory_mgr.defaults.adapters import as_embedder
from memory_mgr.policy.importance import default_weights

BUDGETS = (1000, 500)
Numbers = dict[str, float]
Rows = list[tuple[str, Numbers]]
"""Of each question: its conversation, and what was found."""

EMBEDDER = as_embedder(None, cache=100_000)


def config(folder: str | Path, **settings: Any) -> MemoryConfig:
    """The default configuration, embeddings shared between the runs."""
    return MemoryConfig(path=Path(folder), embedder=EMBEDDER, **settings)


# --- importance --------------------------------------------------------------------------------------------


def importance(path: Path, _: Sequence[Conversation]) -> dict[str, Any]:
    read = importance_fit.load(path)
    shipped = [default_weights()] * len(read)
    held_out = importance_fit.leave_one_out(read) if len(read) > 1 else shipped
    return {
        name: {
            "stored": _separation(read, models, following=False),
            "once_answered": _separation(read, models, following=True),
        }
        for name, models in (("shipped", shipped), ("held_out", held_out))
    }


def _separation(
    read: Sequence[importance_fit.Conversation], models: Sequence[Any], *, following: bool
) -> dict[str, Numbers]:
    found = [
        importance_fit.scores(model, conversation, following=following, frequency=True)
        for model, conversation in zip(models, read, strict=True)
    ]
    areas = {c.name: importance_fit.auc(f, c.evidence) for f, c in zip(found, read, strict=True)}
    kept = {c.name: importance_fit.kept_share(f, c.evidence) for f, c in zip(found, read, strict=True)}
    together, truth = np.concatenate(found), np.concatenate([c.evidence for c in read])
    return {
        "auc": areas | {"mean": float(np.mean(list(areas.values()))), "pooled": importance_fit.auc(together, truth)},
        "top_half_keeps": kept
        | {"mean": float(np.mean(list(kept.values()))), "pooled": importance_fit.kept_share(together, truth)},
    }


# --- contexts ----------------------------------------------------------------------------------------------


def stored(memory: SyncMemoryManager, conversation: Conversation) -> None:
    """One long_term entry a turn."""
    memory.add_memories(
        [
            NewMemory(content=turn.text, source=turn.session, timestamp=turn.timestamp, metadata={"turn": place})
            for place, turn in enumerate(conversation.turns)
        ]
    )


def said(memory: SyncMemoryManager, conversation: Conversation, variant: str) -> None:
    """The turns as messages, one by one."""
    names = list(dict.fromkeys(turn.text.split(": ", 1)[0] for turn in conversation.turns))
    for place, turn in enumerate(conversation.turns):
        name, text = turn.text.split(": ", 1)
        chat = memory.conversation(conversation.name if variant == "one" else turn.session)
        role = "assistant" if variant == "roles" and name == names[1] else "user"
        chat.add_message(
            Message(role=role, name=name, content=text, timestamp=turn.timestamp, metadata={"turn": place})
        )


def answers(memory: SyncMemoryManager, conversation: Conversation) -> Rows:
    """Every question asked of an open memory."""
    return [(conversation.name, _answered(memory, conversation, question)) for question in conversation.questions]


def _answered(memory: SyncMemoryManager, conversation: Conversation, question: Question) -> Numbers:
    numbers: Numbers = {}
    for budget in BUDGETS:
        context = memory.build_context(question.text, budget)
        if summaries.COUNTER.count(context.text) > budget:
            raise AssertionError(f"{context.tokens} tokens for a budget of {budget}: {question.text!r}")
        shown = {entry.metadata.get("turn") for entry in context.entries}
        found = [
            any(i in shown and _text(conversation, i) in _flat(context.text) for i in group)
            for group in question.evidence
        ]
        numbers |= {f"any@{budget}": any(found), f"all@{budget}": all(found), f"tokens@{budget}": context.tokens}
    return numbers


def _text(conversation: Conversation, place: int) -> str:
    return _flat(conversation.turns[place].text.split(": ", 1)[1])


def _flat(text: str) -> str:
    """`text` with its white space made even: packing indents the lines of one entry."""
    return " ".join(text.split())


def asked(
    conversations: Sequence[Conversation],
    fill: Callable[[SyncMemoryManager, Conversation], None],
    then: Callable[[SyncMemoryManager, Conversation], None] | None = None,
) -> Rows:
    """All questions, each conversation in a store of its own that is reopened before them, read-only."""
    rows: Rows = []
    for conversation in conversations:
        with tempfile.TemporaryDirectory() as folder:
            with SyncMemoryManager(config(folder)) as memory:
                fill(memory, conversation)
                if then is not None:
                    then(memory, conversation)
            with SyncMemoryManager(config(folder, read_only=True)) as memory:
                rows += answers(memory, conversation)
        print(f"  {conversation.name}: {shown_row(means(rows[-len(conversation.questions) :]))}", flush=True)
    return rows


def means(rows: Rows) -> Numbers:
    return {name: round(float(np.mean([row[name] for _, row in rows])), 4) for name in rows[0][1]}


def by_conversation(rows: Rows) -> dict[str, Numbers]:
    names = [*dict.fromkeys(name for name, _ in rows)]
    return {"all": means(rows)} | {name: means([row for row in rows if row[0] == name]) for name in names}


def shown_row(numbers: Numbers) -> str:
    return "  ".join(f"{name} {value:.3f}" for name, value in numbers.items())


def contexts(_: Path, conversations: Sequence[Conversation]) -> dict[str, Any]:
    return by_conversation(asked(conversations, stored))


def pipeline(_: Path, conversations: Sequence[Conversation]) -> dict[str, Any]:
    found = {}
    for variant in ("one", "sessions", "roles"):
        print(f" {variant}")
        found[variant] = by_conversation(asked(conversations, lambda m, c, v=variant: said(m, c, v)))
    return found


def pruning(_: Path, conversations: Sequence[Conversation]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, divisor in (("whole", 1), ("half", 2), ("quarter", 4)):
        print(f" {name}")

        def then(memory: SyncMemoryManager, conversation: Conversation, by: int = divisor) -> None:
            memory.prune(quota=len(conversation.turns) // by)

        found[name] = by_conversation(asked(conversations, stored, then))
    for name in ("half", "quarter"):
        kept = found[name]["all"]["any@1000"] / found["whole"]["all"]["any@1000"]
        found[name]["keeps_of_any@1000"] = round(kept, 4)
    return found


# --- summaries ---------------------------------------------------------------------------------------------


def summarized(said_before: Sequence[Any], tokens: int) -> str:
    """The summary that the engine stores of one session."""
    unbounded = ShortTermConfig(max_messages=None, max_tokens=None)
    episodic = {"summary_tokens": tokens}
    with (
        tempfile.TemporaryDirectory() as folder,
        SyncMemoryManager(config(folder, short_term=unbounded, episodic=episodic)) as memory,
    ):
        memory.conversation("session").add_messages(
            [Message(role="user", name=s.speaker, content=s.text, timestamp=s.timestamp, id=s.id) for s in said_before]
        )
        summary = memory.summarize("session")
        return "" if summary is None else summary.content


def summary(path: Path, _: Sequence[Conversation]) -> dict[str, Any]:
    sessions, questions = summaries.load(path)
    methods = {"ours": summarized, "lead": summaries.lead, "textrank": summaries.textrank}
    if not installed("summa"):
        del methods["textrank"]
    found = {name: summaries.measure(sessions, questions, method, 300) for name, method in methods.items()}
    print(summaries.table(found))
    gains = {
        name: {m: round(found["ours"]["all"][m] / other["all"][m] - 1, 4) for m in ("answer", "evidence")}
        for name, other in found.items()
        if name != "ours"
    }
    return {"tokens": 300, "shares": found, "gain_over": gains}


def peers(path: Path, conversations: Sequence[Conversation]) -> dict[str, Any]:
    import lifecycle_peers

    return lifecycle_peers.compared(conversations)


# --- the whole ---------------------------------------------------------------------------------------------

SECTIONS: dict[str, Callable[[Path, Sequence[Conversation]], dict[str, Any]]] = {
    "importance": importance,
    "contexts": contexts,
    "pipeline": pipeline,
    "pruning": pruning,
    "summaries": summary,
    "peers": peers,
}
PACKAGES = ("memory-mgr", "chromadb", "numpy", "onnxruntime", "tiktoken", "summa", "langchain-classic")
PACKAGES = (*PACKAGES, "llama-index-core")


def installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def run(path: Path, wanted: Iterable[str]) -> dict[str, Any]:
    conversations = recall_data.load(path)
    report: dict[str, Any] = {
        "command": "python benchmarks/lifecycle.py --data PATH --json benchmarks/results/lifecycle.json",
        "versions": {p: v for p in PACKAGES if (v := installed(p))} | {"python": platform.python_version()},
        "conversations": [c.name for c in conversations],
        "questions": sum(len(c.questions) for c in conversations),
    }
    for name in wanted:
        print(name, flush=True)
        report[name] = SECTIONS[name](path, conversations)
        brief = report[name].get("all", report[name])
        print(json.dumps(brief, indent=1) if name != "summaries" else brief["gain_over"], flush=True)
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="locomo10.json or a part of it")
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, by comma")
    parser.add_argument("--json", type=Path, help="where to write the results; sections not run are kept")
    options = parser.parse_args()
    if not options.data.exists():
        sys.exit(f"skipped: {options.data} is not here; get data/locomo10.json from github.com/snap-research/locomo")
    wanted = options.only.split(",")
    if unknown := set(wanted) - SECTIONS.keys():
        parser.error(f"unknown section {', '.join(unknown)}; there are {', '.join(SECTIONS)}")
    report = run(options.data, wanted)
    if options.json:
        before = json.loads(options.json.read_text()) if options.json.exists() else {}
        options.json.write_text(json.dumps(before | report, indent=1) + "\n")


if __name__ == "__main__":
    main()
