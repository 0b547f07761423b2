"""Lines of a summary, as text and back."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from memory_mgr.policy.cues import speaker_of
from memory_mgr.policy.rendering import MONTHS, Line, day, rendered

_HEADING = re.compile(rf"\[(\d{{1,2}}) ({'|'.join(MONTHS)})(?: (\d{{4}}))?\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """A message, or a line of an earlier summary.

    Attributes:
        id: Of the message.
        text: Without the speaker.
        speaker: Who said it.
        role: "user", "assistant", "system" or "tool"; a model's words weigh less than a person's.
        timestamp: When (aware).
        importance: In [0, 1]; None = found by the importance model from the text and what stands around it.
        vector: Its embedding, length 1, shape (dimensions,); used against near-duplicates, not needed.
        sources: Ids of the messages it stands for; () = itself.
    """

    id: str
    text: str
    speaker: str | None = None
    role: str | None = None
    timestamp: datetime | None = None
    importance: float | None = None
    vector: NDArray[np.float32] | None = None
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryLine:
    """One line of a summary.

    Attributes:
        text: Without the speaker; one line.
        speaker: Who said it.
        timestamp: When; None = unknown.
        sources: Ids of the messages it was taken from.
        importance: The highest of these, in [0, 1]; None = unknown.
    """

    text: str
    speaker: str | None = None
    timestamp: datetime | None = None
    sources: tuple[str, ...] = ()
    importance: float | None = None

    def __str__(self) -> str:
        return f"{self.speaker}: {self.text}" if self.speaker else self.text


def summary_text(lines: Iterable[SummaryLine]) -> str:
    """The lines, each day's under its date."""
    return rendered(Line(str(line), line.timestamp) for line in lines).rstrip("\n")


def parse_summary(text: str, sources: tuple[str, ...] = ()) -> list[SummaryLine]:
    """The lines of a text made by `summary_text`; of any other text its lines, undated.

    Args:
        text: The summary.
        sources: What every line is said to stand for: the text does not tell.
    """
    lines: list[SummaryLine] = []
    moment: datetime | None = None
    for raw in text.splitlines():
        line = raw.strip()
        if heading := _HEADING.fullmatch(line):
            moment = _date(heading, moment)
        elif line:
            speaker = speaker_of(line)
            said = line[len(speaker) + 2 :] if speaker else line
            lines.append(SummaryLine(text=said, speaker=speaker, timestamp=moment, sources=sources))
    return lines


def is_summary(text: str) -> bool:
    """Whether `text` begins like one made by `summary_text`."""
    heading = _HEADING.fullmatch(text.partition("\n")[0].strip())
    return heading is not None and heading[3] is not None


def spoken_of(message: Spoken) -> list[Spoken]:
    """`message`, or its lines if it is a summary itself: what a roll-up picks from."""
    if not is_summary(message.text):
        return [message]
    sources = message.sources or (message.id,)
    return [again(line, f"{message.id}:{n}") for n, line in enumerate(parse_summary(message.text, sources))]


def again(line: SummaryLine, line_id: str) -> Spoken:
    """A line as something to be summarised again."""
    return Spoken(
        id=line_id,
        text=line.text,
        speaker=line.speaker,
        timestamp=line.timestamp,
        importance=line.importance,
        sources=line.sources,
    )


def same_day(a: datetime | None, b: datetime | None) -> bool:
    """Whether both are shown under one heading."""
    return a is b if a is None or b is None else day(a) == day(b)


def _date(heading: re.Match[str], before: datetime | None) -> datetime | None:
    """The day of a heading; one without a year is in that of the heading before."""
    number, month, named = heading.groups()
    year = int(named) if named else before.year if before else None
    if year is None:
        return None
    try:
        return datetime(year, MONTHS.index(month) + 1, int(number), tzinfo=UTC)
    except ValueError:  # such as [31 February 2023]
        return None
