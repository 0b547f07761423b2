"""Adds memories until it is killed; prints the id of each when it is acknowledged. Run by test_kill.py."""

from __future__ import annotations

import sys

from memory_mgr import Message, ShortTermConfig, SyncMemoryManager
from memory_mgr.testing import FakeEmbedder


def main(path: str, start: int) -> None:
    """Mix single adds, batches, and messages that push others out of the window."""
    window = ShortTermConfig(max_messages=6)
    memory = SyncMemoryManager(path=path, embedder=FakeEmbedder(), short_term=window)
    chat = memory.conversation("chat")
    number = start
    print("ready", flush=True)
    while True:
        number += 1
        if number % 3 == 0:
            memory.add_memories([f"batch item {number} part {part} unique{number}x{part}" for part in range(5)])
            said = [f"unique{number}x{part}" for part in range(5)]
        elif number % 3 == 1:
            memory.add_memory(f"single item unique{number}")
            said = [f"unique{number}"]
        else:
            chat.add_message(Message(role="user", content=f"message item unique{number}"))
            said = [f"unique{number}"]
        print(" ".join(said), flush=True)


main(sys.argv[1], int(sys.argv[2]))
