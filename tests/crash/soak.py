"""Several workers on a Chroma server that is killed and restarted every so often, for a long time.

    python -m tests.crash.soak --minutes 30

Every worker works on a namespace of its own; after some hundred operations everything acknowledged is looked for, the
catalog is compared with Chroma, and the namespace is forgotten, so that what is kept goes up and down and does not
grow. The library's memories of answers are filled before. Prints a JSON summary with the memory and the file
descriptors of this process over time; raises AssertionError if something was lost or doubled, or if memory or
descriptors grow with time rather than with the entries kept.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from memory_mgr import MemoryMgrError, StoreUnavailableError, SyncMemoryManager
from memory_mgr.policy.retry import RetryConfig
from tests.server import chroma_server, free_port

from .caches import fill_caches
from .checks import check_consistent, check_summaries
from .flatness import Flatness, Usage
from .home import settings
from .workload import Record, Workload

OPERATIONS = 150
"""In one round of a worker."""
SAMPLES = 3
"""Between two kills of the server."""


class Worker(threading.Thread):
    """Rounds of work on one namespace until told to stop."""

    def __init__(self, url: str, name: str, seed: int, stop: threading.Event) -> None:
        super().__init__(name=name)
        self._memory = SyncMemoryManager(
            # A small cache is full soon, so that what grows after that is a leak.
            settings(url=url, namespace=name, retry=RetryConfig(attempts=3), timeout_seconds=20, embedding_cache=100)
        )
        self._record = Record()
        self._chance = random.Random(seed)
        self._stop_now = stop
        self.acknowledged = self.refused = self.rounds = 0
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Work; what goes wrong is kept for the main thread."""
        try:
            with self._memory as memory:
                while not self._stop_now.is_set():
                    self._round(memory)
        except BaseException as error:
            self.failure = error
            self._stop_now.set()

    @property
    def kept(self) -> int:
        """Entries that are there, about."""
        return len(self._record.there)

    def _round(self, memory: SyncMemoryManager) -> None:
        record = self._record = Record()
        # A server's collections are dropped one by one, so forgetting may get stuck halfway and has to be called again.
        work = Workload(memory, self._chance, record.hear, without=("pass",))
        for _ in range(OPERATIONS):
            if self._stop_now.is_set():
                break
            try:
                work.step()
            except MemoryMgrError as error:
                self.refused += 1
                self._stop_now.wait(0.2 if isinstance(error, StoreUnavailableError) else 0)
        self.acknowledged += record.count
        _patiently(lambda: self._look(memory, record))
        _patiently(memory.forget)
        self.rounds += 1

    @staticmethod
    def _look(memory: SyncMemoryManager, record: Record) -> None:
        memory.add_memory("settles what is open")
        record.check(memory)
        check_consistent(memory)
        check_summaries(memory)


def _patiently(call: Any) -> None:
    """Looking waits for the server as long as it takes."""
    while True:
        try:
            call()
            return
        except StoreUnavailableError:
            time.sleep(0.5)


def _repaired(folder: str) -> int:
    """How many indexes the kill damaged; they are repaired as an operator does it before the server starts again."""
    command = [str(Path(sys.executable).with_name("memory-mgr")), "repair", folder, "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return len(json.loads(done.stdout)["repaired"])


def main() -> None:
    """Soak as long as asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--restart-every", type=float, default=45, help="Seconds between two kills of the server.")
    options = parser.parse_args()
    started, port, restarts, repaired = time.monotonic(), free_port(), 0, 0
    stop, usage = threading.Event(), list[Usage]()
    with tempfile.TemporaryDirectory() as folder:
        workers: list[Worker] = []
        filled: dict[str, int] = {}
        while time.monotonic() - started < 60 * options.minutes and not stop.is_set():
            with chroma_server(Path(folder), port) as url:
                if not workers:
                    workers = [Worker(url, f"soak-{n}", n, stop) for n in range(options.workers)]
                    filled = fill_caches()
                    for worker in workers:
                        worker.start()
                for _ in range(SAMPLES):
                    stop.wait(options.restart_every / SAMPLES)
                    usage.append(Usage.now(time.monotonic() - started, sum(w.kept for w in workers)))
                print(usage[-1], sum(w.acknowledged for w in workers), "acknowledged", file=sys.stderr, flush=True)
            restarts += 1
            repaired += _repaired(folder)
            stop.wait(1)
        with chroma_server(Path(folder), port):
            stop.set()
            for worker in workers:
                worker.join()
    for worker in workers:
        if worker.failure is not None:
            raise worker.failure
    flatness = Flatness.of(usage)
    summary = {
        "minutes": round((time.monotonic() - started) / 60, 1),
        "restarts": restarts,
        "repaired": repaired,
        "acknowledged": sum(w.acknowledged for w in workers),
        "refused_while_down": sum(w.refused for w in workers),
        "rounds_checked": sum(w.rounds for w in workers),
        "lost": 0,
        "doubled": 0,
        "remembered_answers": sum(filled.values()),
        "usage": [asdict(sample) for sample in usage],
        "flatness": asdict(flatness),
    }
    print(json.dumps(summary))
    flatness.check()


if __name__ == "__main__":
    main()
