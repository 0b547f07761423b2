"""What the policies are worth on LoCoMo: importance, contexts within a budget, pruning, summaries.

    python benchmarks/lifecycle.py --data locomo.json [--only importance,contexts,pipeline,pruning,summaries,peers]
        [--json benchmarks/results/lifecycle.json]

- importance: AUC of the turns that are evidence of a question (categories 1-4) against the others, and the share
  of evidence among the better half. `held_out` is by models fitted without the conversation they are tested on,
  `engine` what stands in the entries after the messages came one by one.
- contexts: for how many questions any and all evidence turns stand in `build_context`; one memory a conversation,
  one long_term entry a turn.
- pipeline: the same after the messages came one by one through `ConversationContext`, in the default configuration,
  reopened before the questions. `one`: the whole conversation is one; `sessions`: every session is one; `roles`: as
  `sessions`, and the second speaker is the assistant.
- pruning: contexts after `prune` to half and to a quarter of the entries.
- summaries: through `summarize`, against the first tokens and TextRank, see benchmarks/summaries.py.
- peers: what users have now, in the same budgets, see benchmarks/lifecycle_peers.py.

LoCoMo (Maharana et al. 2024, CC BY-NC 4.0) is not part of this project; what is compared with comes with the extra
`bench`.
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
from lifecycle_questions import Numbers, asked, by_conversation, config, said, stored
from numpy.typing import NDArray
from recall_data import Conversation

from memory_mgr import Message, ShortTermConfig, SyncMemoryManager
from memory_mgr.policy.importance import default_weights
from memory_mgr.testing import FakeEmbedder

# --- importance --------------------------------------------------------------------------------------------


def importance(path: Path, conversations: Sequence[Conversation]) -> dict[str, Any]:
    read = importance_fit.load(path)
    shipped = [default_weights()] * len(read)
    held_out = importance_fit.leave_one_out(read) if len(read) > 1 else shipped
    return {
        name: {
            "stored": _separation(read, models, following=False),
            "once_answered": _separation(read, models, following=True),
        }
        for name, models in (("shipped", shipped), ("held_out", held_out))
    } | {"engine": _separations([_by_engine(c) for c in conversations], read)}


def _by_engine(conversation: Conversation) -> NDArray[np.float64]:
    """What the turns are worth to the engine as they come, one by one, in a conversation for every session."""
    with SyncMemoryManager(path=":memory:", embedder=FakeEmbedder(), namespace=conversation.name) as memory:
        said(memory, conversation, "sessions")
        entries = memory.list_memories(("short_term", "long_term"), limit=None)
    worth = {entry.metadata["turn"]: entry.importance_score for entry in entries}
    return np.array([worth[place] for place in range(len(conversation.turns))])


def _separation(
    read: Sequence[importance_fit.Conversation], models: Sequence[Any], *, following: bool
) -> dict[str, Numbers]:
    found = [
        importance_fit.scores(model, conversation, following=following, frequency=True)
        for model, conversation in zip(models, read, strict=True)
    ]
    return _separations(found, read)


def _separations(
    found: Sequence[NDArray[np.float64]], read: Sequence[importance_fit.Conversation]
) -> dict[str, Numbers]:
    areas = {c.name: importance_fit.auc(f, c.evidence) for f, c in zip(found, read, strict=True)}
    kept = {c.name: importance_fit.kept_share(f, c.evidence) for f, c in zip(found, read, strict=True)}
    together, truth = np.concatenate(found), np.concatenate([c.evidence for c in read])
    return {
        "auc": areas | {"mean": float(np.mean(list(areas.values()))), "pooled": importance_fit.auc(together, truth)},
        "top_half_keeps": kept
        | {"mean": float(np.mean(list(kept.values()))), "pooled": importance_fit.kept_share(together, truth)},
    }


# --- contexts -----------------------------------------------------------------------------------------------


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
