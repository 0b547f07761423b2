"""How often and after which waits a call to a server is made again."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from pydantic import Field

from memory_mgr.policy.settings import Settings


class RetryConfig(Settings):
    """What is done when the server does not answer, or says that it cannot at the moment.

    A call takes at most `attempts` times the timeout of one answer, plus the waits.
    """

    attempts: int = Field(default=4, ge=1, le=20, description="Times a call is made; 1 = never again.")
    wait_seconds: float = Field(
        default=0.2, ge=0, description="Before the second attempt; doubled before each further one."
    )
    longest_wait_seconds: float = Field(default=5, ge=0, description="Between two attempts.")

    def waits(self, chance: Callable[[], float] = random.random) -> Iterator[float]:
        """Seconds to wait before each further attempt.

        Half of each is random, so that clients that lost their server together do not come back together ("equal
        jitter": https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).

        Args:
            chance: Numbers in [0, 1).
        """
        for attempt in range(self.attempts - 1):
            wait = min(self.longest_wait_seconds, self.wait_seconds * 2**attempt)
            yield wait / 2 + chance() * wait / 2
