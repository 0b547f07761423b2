"""Times that a query names, and how well a timestamp fits them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache

from memory_mgr.policy.lexicon import load_sections

_GRACE_DAYS = 14
"""What happened on a day is told that day or in the two weeks after."""

_ISO = re.compile(r"\b((?:19|20)\d\d)-(\d{1,2})(?:-(\d{1,2}))?\b")
_YEAR = re.compile(r"\b((?:19|20)\d\d)\b")
_RELATIVE = re.compile(
    r"\b(?:(today|yesterday)|(last|past|this) (week|month|year)"
    r"|(\d+|a|an|one|two|three|four|five|six) (day|week|month|year)s? ago)\b",
    re.IGNORECASE,
)
_UNIT_DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}
_SMALL = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}


@dataclass(frozen=True, slots=True)
class TimeHint:
    """A time as far as it was named; at least one of the parts is given.

    Attributes:
        year: Such as 2023.
        month: 1 to 12.
        day: Of the month, 1 to 31; only with a month.
        start: First day of an absolute range (relative expressions).
        end: Last day of that range.
    """

    year: int | None = None
    month: int | None = None
    day: int | None = None
    start: date | None = None
    end: date | None = None

    def fit(self, moment: datetime) -> float:
        """How well `moment` fits, in [0, 1]: 1 inside, falling to 0 over two weeks after it."""
        day = moment.astimezone(UTC).date() if moment.tzinfo else moment.date()
        if self.start and self.end:
            return _after(day, self.start, self.end)
        if self.month is None:
            return float(day.year == self.year)
        years = (self.year,) if self.year else (day.year, day.year - 1)
        return max(self._fit_year(day, year) for year in years)

    def _fit_year(self, day: date, year: int) -> float:
        month = self.month or 1
        try:
            first = date(year, month, self.day or 1)
        except ValueError:  # 30 February
            return 0.0
        if self.day:
            return _after(day, first, first)
        following = date(year + month // 12, month % 12 + 1, 1) if year < date.max.year else date.max
        return _after(day, first, following - timedelta(days=1))


def _after(day: date, start: date, end: date) -> float:
    if start <= day <= end:
        return 1.0
    late = (day - end).days
    return max(0.0, 1 - late / _GRACE_DAYS) / 2 if late > 0 else 0.0


def time_fit(hints: tuple[TimeHint, ...], moment: datetime) -> float:
    """The best fit of `moment` to any of `hints`, in [0, 1]; 0 without hints."""
    return max((hint.fit(moment) for hint in hints), default=0.0)


def time_hints(text: str, now: datetime | None = None) -> tuple[TimeHint, ...]:
    """The times that `text` names: ISO dates, months with or without day and year, years, "two weeks ago"."""
    found = [_iso(m) for m in _ISO.finditer(text)]
    rest = _ISO.sub(" ", text)
    months = [_named(m) for m in _month_pattern().finditer(rest) if _is_month(m)]
    found += months
    if not found:
        found += [TimeHint(year=int(y)) for y in dict.fromkeys(_YEAR.findall(rest))]
    if now is not None:
        found += [_relative(m, now.date()) for m in _RELATIVE.finditer(rest)]
    return tuple(dict.fromkeys(found))


def _iso(match: re.Match[str]) -> TimeHint:
    year, month, day = match.groups()
    if not 1 <= int(month) <= 12:
        return TimeHint(year=int(year))
    return TimeHint(year=int(year), month=int(month), day=int(day) if day and 1 <= int(day) <= 31 else None)


@cache
def _month_numbers() -> dict[str, int]:
    return {
        name: number
        for line in load_sections("recall_words")["months"]
        for number, name in enumerate(line.split(), start=1)
    }


@cache
def _month_pattern() -> re.Pattern[str]:
    names = "|".join(sorted(map(re.escape, _month_numbers()), key=len, reverse=True))
    return re.compile(
        rf"\b(?:(?P<before>\d{{1,2}})(?:st|nd|rd|th)?\.?\s+(?:of\s+|de\s+)?)?(?P<month>{names})\b\.?"
        r"(?:\s+(?P<after>\d{1,2})(?:st|nd|rd|th)?\b(?!:))?(?:,?\s+(?:of\s+|de\s+)?(?P<year>(?:19|20)\d\d)\b)?",
        re.IGNORECASE,
    )


_AMBIGUOUS = frozenset({"may", "march", "mar", "mars", "mai", "jan", "dec", "sep", "maio", "marzo", "abril", "april"})
_PREPOSITIONS = re.compile(
    r"\b(?:in|of|since|during|by|on|until|before|after|early|late|mid|last|this|en|im|de|em|à)\s+$"
)


def _is_month(match: re.Match[str]) -> bool:
    """Whether an ambiguous word ("may", "march", a name) is a month here: by its date or a preposition."""
    if match["month"].lower() not in _AMBIGUOUS or match["before"] or match["after"] or match["year"]:
        return True
    return bool(_PREPOSITIONS.search(match.string[: match.start()].lower()))


def _named(match: re.Match[str]) -> TimeHint:
    day = int(match["before"] or match["after"] or 0)
    return TimeHint(
        year=int(match["year"]) if match["year"] else None,
        month=_month_numbers()[match["month"].lower()],
        day=day if 1 <= day <= 31 else None,
    )


def _relative(match: re.Match[str], today: date) -> TimeHint:
    named, _, span, count, unit = match.groups()
    if named:
        day = today - timedelta(days=int(named.lower() == "yesterday"))
        return TimeHint(start=day, end=day)
    if span:
        return TimeHint(start=today - timedelta(days=2 * _UNIT_DAYS[span.lower()]), end=today)
    width = _UNIT_DAYS[unit.lower()]
    back = min(_SMALL.get(count.lower()) or int(count), 3000) * width
    centre = today - timedelta(days=min(back, today.toordinal() - 1))
    slack = timedelta(days=min(width // 2, centre.toordinal() - 1))
    return TimeHint(start=centre - slack, end=centre + slack)
