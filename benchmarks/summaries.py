"""Extractive summaries of LoCoMo sessions: ours against the first tokens and against TextRank.

    python benchmarks/summaries.py --data locomo.json [--tokens 300] [--json results.json]

Two numbers a conversation, over the questions (categories 1 to 4 for answers, all for evidence) and each session
that holds evidence of the question:

- answer: the mean share of the answer's content words that stand in the session's summary;
- evidence: the share of the evidence turns at least 60 % of whose content words stand in it.

A content word is a case-folded run of letters and digits that is not a function word; no stemming. All summaries
begin with the session's date and have the same budget of cl100k_base tokens. TextRank is the `summa` package's
(Barrios et al. 2016): its best sentences while they fit, in order. The data (CC BY-NC 4.0) is not part of this
project; without `summa` its column is left out.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from memory_mgr.defaults.tokens import TiktokenCounter
from memory_mgr.policy.lexical import stop_words
from memory_mgr.policy.rendering import day
from memory_mgr.policy.summary import summarise
from memory_mgr.policy.summary_lines import Spoken

ENOUGH = 0.6
Summarizer = Callable[[Sequence[Spoken], int], str]


@dataclass(frozen=True)
class Question:
    """What is asked of one session."""

    conversation: str
    session: str
    category: int
    answer: frozenset[str]
    evidence: tuple[str, ...]


def content_words(text: str) -> frozenset[str]:
    """The words of `text` that say something."""
    return frozenset(w for w in re.findall(r"[^\W_]+", text.casefold()) if w not in stop_words())


def load(path: Path) -> tuple[dict[tuple[str, str], list[Spoken]], list[Question]]:
    """Sessions by (conversation, session), and the questions on them."""
    sessions: dict[tuple[str, str], list[Spoken]] = {}
    questions: list[Question] = []
    for raw in json.loads(path.read_text(encoding="utf-8")):
        name, conversation = raw["sample_id"], raw["conversation"]
        where: dict[str, str] = {}
        for session, turns in conversation.items():
            if not (re.fullmatch(r"session_\d+", session) and isinstance(turns, list)):
                continue
            at = datetime.strptime(conversation[f"{session}_date_time"], "%I:%M %p on %d %B, %Y").replace(tzinfo=UTC)
            sessions[name, session] = [
                Spoken(id=t["dia_id"], text=_text(t), speaker=t["speaker"], timestamp=at) for t in turns
            ]
            where |= {turn["dia_id"]: session for turn in turns}
        for asked in raw["qa"]:
            questions += _questions(name, asked, where)
    return sessions, questions


def _text(turn: dict) -> str:
    return turn["text"] + (f" [shares {turn['blip_caption']}]" if turn.get("blip_caption") else "")


def _questions(name: str, asked: dict, where: dict[str, str]) -> list[Question]:
    ids = dict.fromkeys(i for e in asked["evidence"] for i in re.findall(r"D\d+:\d+", e) if i in where)
    answer = content_words(str(asked.get("answer", ""))) if asked["category"] != 5 else frozenset()
    return [
        Question(name, session, asked["category"], answer, tuple(i for i in ids if where[i] == session))
        for session in dict.fromkeys(where[i] for i in ids)
    ]


# --- summarizers -------------------------------------------------------------------------------------------

COUNTER = TiktokenCounter()


def ours(said: Sequence[Spoken], tokens: int) -> str:
    return summarise(said, max_tokens=tokens, count=COUNTER.count).text


def lead(said: Sequence[Spoken], tokens: int) -> str:
    """The first tokens, cut anywhere."""
    text = _heading(said) + "\n".join(f"{s.speaker}: {s.text}" for s in said)
    while (over := COUNTER.count(text) - tokens) > 0:
        text = text[: -max(1, over)]
    return text


def textrank(said: Sequence[Spoken], tokens: int) -> str:
    """The best sentences while they fit, in their order."""
    from summa.summarizer import summarize

    whole = "\n".join(f"{s.speaker}: {s.text}" for s in said)
    ranked = summarize(whole, ratio=1.0, split=True, scores=True)
    chosen: list[str] = []
    for sentence, _ in sorted(ranked, key=lambda pair: -pair[1]):
        if COUNTER.count(_heading(said) + "\n".join([*chosen, sentence])) <= tokens:
            chosen.append(sentence)
    order = {sentence: place for place, (sentence, _) in enumerate(ranked)}
    return _heading(said) + "\n".join(sorted(chosen, key=order.__getitem__))


def _heading(said: Sequence[Spoken]) -> str:
    moment = said[0].timestamp
    return f"[{day(moment)}]\n" if moment else ""


# --- measuring ---------------------------------------------------------------------------------------------


def measure(
    sessions: dict[tuple[str, str], list[Spoken]], questions: list[Question], summarize: Summarizer, tokens: int
) -> dict[str, dict[str, float]]:
    """Answer and evidence shares by conversation and over all."""
    words = {key: content_words(summarize(said, tokens)) for key, said in sessions.items()}
    turns = {(key[0], s.id): content_words(s.text) for key, said in sessions.items() for s in said}
    rows: list[tuple[str, float, float]] = []
    for q in questions:
        told = words[q.conversation, q.session]
        answer = len(q.answer & told) / len(q.answer) if q.answer else np.nan
        evidence = [len((t := turns[q.conversation, i]) & told) >= ENOUGH * len(t) for i in q.evidence]
        rows.append((q.conversation, answer, float(np.mean(evidence))))
    names = [*dict.fromkeys(name for name, _, _ in rows), "all"]
    return {name: _means([row for row in rows if name in (row[0], "all")]) for name in names}


def _means(rows: list[tuple[str, float, float]]) -> dict[str, float]:
    values = np.array([row[1:] for row in rows])
    answer, evidence = np.nanmean(values, axis=0)
    return {"answer": round(float(answer), 4), "evidence": round(float(evidence), 4)}


def table(results: dict[str, dict[str, dict[str, float]]]) -> str:
    """Results as text, with the gain over each baseline."""
    lines = [f"{'':14s}" + "".join(f"{name:>24s}" for name in results) + "   (answer, evidence)"]
    for name in results["ours"]:
        cells = [f"{r[name]['answer']:.3f}  {r[name]['evidence']:.3f}" for r in results.values()]
        gains = [
            "  ".join(f"{results['ours'][name][m] / other[name][m] - 1:+.0%}" for m in ("answer", "evidence"))
            for key, other in results.items()
            if key != "ours"
        ]
        lines.append(f"{name:14s}" + "".join(f"{cell:>24s}" for cell in cells) + "   gains " + " | ".join(gains))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare extractive summaries on LoCoMo sessions.")
    parser.add_argument("--data", type=Path, required=True, help="locomo10.json or a part of it")
    parser.add_argument("--tokens", type=int, default=300, help="budget of a session's summary")
    parser.add_argument("--json", type=Path, help="where to write the results")
    options = parser.parse_args()
    if not options.data.exists():
        sys.exit(f"{options.data} is not there: get data/locomo10.json from github.com/snap-research/locomo")
    sessions, questions = load(options.data)
    summarizers: dict[str, Summarizer] = {"ours": ours, "lead": lead, "textrank": textrank}
    try:
        import summa  # noqa: F401
    except ImportError:
        print("TextRank is left out: pip install summa", file=sys.stderr)
        del summarizers["textrank"]
    results = {name: measure(sessions, questions, f, options.tokens) for name, f in summarizers.items()}
    print(table(results))
    if options.json:
        options.json.write_text(json.dumps({"tokens": options.tokens, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
