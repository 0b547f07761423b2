"""Calls bounded in time, and answers that are read before they are believed."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Iterator

import pytest

from memory_mgr import ExtensionError
from memory_mgr.defaults.asking import Bounded, Model


@pytest.fixture
def over() -> Iterator[threading.Event]:
    """Set when the test is over: what hangs ends then."""
    event = threading.Event()
    yield event
    event.set()


def test_a_call_returns_raises_and_sees_the_callers_context() -> None:
    """As if it had been made directly."""
    seen: contextvars.ContextVar[str] = contextvars.ContextVar("seen", default="")
    seen.set("here")
    bounded = Bounded("it", 5)
    assert bounded.call(seen.get) == "here"
    with pytest.raises(ZeroDivisionError):
        bounded.call(lambda: 1 // 0)


def test_what_hangs_is_given_up_and_not_asked_again_for_a_while(over: threading.Event) -> None:
    """The second call fails at once; when the first has ended, calls go through again."""
    bounded = Bounded("it", 0.1)
    with pytest.raises(ExtensionError, match=r"within 0\.1 seconds"):
        bounded.call(lambda: over.wait(60))
    started = time.monotonic()
    with pytest.raises(ExtensionError, match="still hangs"):
        bounded.call(lambda: 1)
    assert time.monotonic() - started < 0.1
    over.set()
    for _ in range(100):
        try:
            assert bounded.call(lambda: 1) == 1
            break
        except ExtensionError:
            time.sleep(0.01)
    else:
        pytest.fail("it was never asked again")


class _Answers:
    """A model that gives these answers in turn; errors are raised."""

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)
        self.asked = 0

    def complete(self, prompt: str, *, max_tokens: int) -> str:
        self.asked += 1
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[return-value]


def _number(answer: str) -> int:
    return int(answer)


def test_an_answer_that_is_no_use_is_asked_for_again() -> None:
    """Errors, empty answers and what cannot be read count the same."""
    llm = _Answers(RuntimeError("busy"), "", None, "many", " 7 ")
    assert Model(llm, timeout_seconds=5, attempts=5).ask("?", _number, max_tokens=5) == 7
    assert llm.asked == 5


def test_after_the_last_attempt_the_reason_is_told() -> None:
    """The error names what was wrong last."""
    with pytest.raises(ExtensionError, match=r"asked 2 times.*'many'"):
        Model(_Answers("", "many"), timeout_seconds=5, attempts=2).ask("?", _number, max_tokens=5)


def test_a_timeout_is_not_tried_again(over: threading.Event) -> None:
    """It would only wait again."""
    asked: list[str] = []

    class Hanging:
        def complete(self, prompt: str, *, max_tokens: int) -> str:
            asked.append(prompt)
            over.wait(60)
            return ""

    with pytest.raises(ExtensionError, match="did not answer"):
        Model(Hanging(), timeout_seconds=0.1, attempts=5).ask("?", _number, max_tokens=5)
    assert len(asked) == 1
