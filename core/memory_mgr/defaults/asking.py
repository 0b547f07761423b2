"""Calls that leave this library: bounded in time, tried again, their answers read before they are believed."""

from __future__ import annotations

import contextvars
import logging
import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import TypeVar

from memory_mgr.errors import ExtensionError
from memory_mgr.protocols import LLM, Summarizer
from memory_mgr.types import Message

log = logging.getLogger(__name__)
T = TypeVar("T")
_REST = 10
"""Times the time limit for which nothing is asked while a call that was given up still hangs."""


class Bounded:
    """Calls that are given up after a time. Thread-safe.

    A call that was given up cannot be stopped and runs on in a thread of its own; until it ends nothing else is
    asked for a while, so that whatever hangs costs its time limit once and not with every memory that is stored.

    Args:
        name: What is called, for messages.
        seconds: Time limit of one call; > 0.
    """

    def __init__(self, name: str, seconds: float) -> None:
        self._name = name
        self._seconds = seconds
        self._lock = threading.Lock()
        self._hanging = 0
        self._rest_until = 0.0

    def call(self, function: Callable[[], T]) -> T:
        """What `function` returns, or raises.

        Raises:
            ExtensionError: It took too long, or an earlier call still hangs.
        """
        with self._lock:
            if self._hanging and time.monotonic() < self._rest_until:
                raise ExtensionError(f"{self._name} still hangs from an earlier call; it is not asked meanwhile")
        answers: SimpleQueue[tuple[bool, T | BaseException]] = SimpleQueue()
        given_up = threading.Event()
        context = contextvars.copy_context()
        runner = threading.Thread(
            target=self._run,
            args=(lambda: context.run(function), answers, given_up),
            daemon=True,
            name="memory-mgr-ask",
        )
        runner.start()
        try:
            succeeded, answer = answers.get(timeout=self._seconds)
        except Empty:
            with self._lock:
                if answers.empty():
                    given_up.set()
                    self._hanging += 1
                    self._rest_until = time.monotonic() + _REST * self._seconds
                    raise ExtensionError(
                        f"{self._name} did not answer within {self._seconds:g} seconds; raise model.timeout_seconds "
                        "if it needs longer"
                    ) from None
            succeeded, answer = answers.get()
        if succeeded:
            return answer  # type: ignore[return-value]
        raise answer  # type: ignore[misc]

    def _run(
        self,
        function: Callable[[], T],
        answers: SimpleQueue[tuple[bool, T | BaseException]],
        given_up: threading.Event,
    ) -> None:
        try:
            result: tuple[bool, T | BaseException] = (True, function())
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that asked
            result = (False, error)
        with self._lock:
            answers.put(result)
            if given_up.is_set():
                self._hanging -= 1


class BoundedSummarizer:
    """A summarizer that is given up after a time.

    Args:
        summarizer: Any.
        seconds: Time limit of one summary; > 0.
    """

    def __init__(self, summarizer: Summarizer, seconds: float) -> None:
        self._summarizer = summarizer
        self._bounded = Bounded("the summarizer", seconds)

    def summarize(self, messages: Sequence[Message], *, max_tokens: int, previous: str = "") -> str:
        """As the summarizer's.

        Raises:
            ExtensionError: It took too long, or an earlier call still hangs.
        """
        return self._bounded.call(
            lambda: self._summarizer.summarize(messages, max_tokens=max_tokens, previous=previous)
        )


class Model:
    """A language model whose answers are read before they are believed.

    Args:
        llm: The model.
        timeout_seconds: Time limit of one answer; > 0. One that is exceeded is not tried again.
        attempts: How often it is asked when it fails or its answer is no use; >= 1.
    """

    def __init__(self, llm: LLM, *, timeout_seconds: float, attempts: int) -> None:
        self._llm = llm
        self._bounded = Bounded("the model", timeout_seconds)
        self._attempts = attempts

    def ask(self, prompt: str, read: Callable[[str], T], *, max_tokens: int) -> T:
        """What `read` makes of the answer; it raises `ValueError` for one that is no use.

        Raises:
            ExtensionError: The model failed or hung, or no answer was of use; the last reason is told.
        """
        reason: Exception | None = None
        for _ in range(self._attempts):
            try:
                answer = self._bounded.call(lambda: self._llm.complete(prompt, max_tokens=max_tokens))
                return read(_text(answer))
            except ExtensionError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever a model raises, told below
                reason = error
        raise ExtensionError(f"the model was asked {self._attempts} times and was no use: {reason}") from reason


def _text(answer: object) -> str:
    if not isinstance(answer, str) or not answer.strip():
        raise ValueError(f"it answered {answer!r:.80}, not some text")
    return answer.strip()
