"""Kills a process at work over and over and looks at what is left.

    python -m tests.crash.kill --kills 300

Prints a JSON summary. Raises AssertionError with the seed if anything acknowledged is not there exactly once, or
catalog and Chroma differ.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from memory_mgr import SyncMemoryManager
from memory_mgr.stores import chroma, chroma_repair

from .checks import check_consistent, check_summaries
from .home import Home
from .workload import Record

ROOT = Path(__file__).parents[2]
SAVE_EVERY = chroma._SYNC_THRESHOLD


class Killing:
    """One folder, killed on again and again.

    Args:
        folder: Of the memory.
        seed: Of everything random.
        longest: Seconds a process works at most before it is killed.
        save_every: Writes after which Chroma saves an index.
        at_saves: Kill while an index is saved, as far as that can be seen from its files.

    Attributes:
        record: What was acknowledged.
        kills: So far.
        reembedded: How often the store was copied.
        repaired: Indexes that Chroma could not read.
    """

    def __init__(
        self, folder: Path, seed: int, longest: float = 1.5, save_every: int = SAVE_EVERY, *, at_saves: bool = False
    ) -> None:
        self._folder = folder
        self._home = Home(folder)
        self._chance = random.Random(seed)
        self._longest = longest
        self._save_every = save_every
        self._at_saves = at_saves
        self.record = Record()
        self.kills = self.reembedded = self.repaired = 0

    def once(self) -> None:
        """Let a process work, kill it, check."""
        for line in self._until_killed():
            self.reembedded += "reembedded" in line
            self.record.hear(line)
        self.kills += 1
        with self._counting_repairs(), SyncMemoryManager(self._home.config()) as memory:
            self.record.check(memory)
            check_consistent(memory)
            if self.kills % 10 == 0:
                check_summaries(memory)

    @contextmanager
    def _counting_repairs(self) -> Iterator[None]:
        handler = logging.Handler()
        handler.emit = self._note_repair  # type: ignore[method-assign]
        chroma_repair.log.addHandler(handler)
        try:
            yield
        finally:
            chroma_repair.log.removeHandler(handler)

    def _note_repair(self, record: logging.LogRecord) -> None:
        self.repaired += 1

    def _until_killed(self) -> list[dict[str, Any]]:
        seed = self._chance.randrange(2**31)
        command = [sys.executable, "-m", "tests.crash.writer", str(self._folder), str(seed), str(self._save_every)]
        environment = os.environ | {"PYTHONPATH": f"{ROOT / 'core'}{os.pathsep}{ROOT}"}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment) as process:
            assert process.stdout is not None
            # Some are killed before they are ready: while they repair what the last one left.
            if self._chance.random() < 0.9:
                assert process.stdout.readline().strip() == "ready", "the process did not start"
                time.sleep(self._chance.uniform(0.01, self._longest))
                if self._at_saves:
                    self._wait_for_save()
            else:
                time.sleep(self._chance.uniform(0.5, 2.5))
            process.kill()
            said = process.stdout.read().split("\n")
        assert process.returncode == -signal.SIGKILL, f"the process died by itself: {process.returncode}, seed {seed}"
        # The last piece was cut short by the kill, or is empty.
        return [json.loads(line) for line in said[:-1] if line.startswith("{")]

    def _wait_for_save(self) -> None:
        """Until elements of an index were written; their labels come next."""
        files = [os.fspath(file) for file in self._folder.glob("store-*/chroma/*/data_level0.bin")]
        before, until = _changed(files), time.monotonic() + self._longest
        while _changed(files) == before and time.monotonic() < until:
            pass


def _changed(files: list[str]) -> list[int]:
    """When each file was changed last; 0 if it is gone."""
    times = []
    for file in files:
        try:
            times.append(os.stat(file).st_mtime_ns)
        except FileNotFoundError:
            times.append(0)
    return times


def main() -> None:
    """Kill as often as asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=20260101)
    parser.add_argument("--per-folder", type=int, default=30, help="Kills before a new folder is taken.")
    parser.add_argument("--save-every", type=int, default=SAVE_EVERY, help="Writes after which Chroma saves an index.")
    parser.add_argument("--at-saves", action="store_true", help="Kill while an index is saved.")
    options = parser.parse_args()
    started, kills, operations, reembedded, repaired = time.monotonic(), 0, 0, 0, 0
    while kills < options.kills:
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / "memory"
            killing = Killing(place, options.seed + kills, save_every=options.save_every, at_saves=options.at_saves)
            for _ in range(min(options.per_folder, options.kills - kills)):
                killing.once()
                kills += 1
                print(f"{kills} kills, {operations + killing.record.count} acknowledged", file=sys.stderr, flush=True)
            operations += killing.record.count
            reembedded += killing.reembedded
            repaired += killing.repaired
    seconds = round(time.monotonic() - started)
    counts = {
        "kills": kills,
        "acknowledged": operations,
        "reembedded": reembedded,
        "repaired": repaired,
        "lost": 0,
        "twice": 0,
    }
    print(json.dumps(counts | {"seconds": seconds}))


if __name__ == "__main__":
    main()
