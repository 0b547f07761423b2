"""Group commit: everybody gets their own result, and what waits together is written together."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from memory_mgr.engine.coalescing import ENOUGH, Coalescer


def test_each_caller_gets_its_own_result() -> None:
    """Results are handed back by position, whoever led the batch."""
    coalescer: Coalescer[int, int] = Coalescer(lambda items: [i * i for i in items], lambda _: 1, limit=8)
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(coalescer.submit, range(200))) == [i * i for i in range(200)]


def test_what_queues_up_behind_a_batch_becomes_the_next_batch() -> None:
    """While the first batch is held up, the others gather and are processed in one go, within the limit."""
    batches: list[list[int]] = []
    first_begun, go_on = threading.Event(), threading.Event()

    def process(items: list[int]) -> list[int]:
        batches.append(items)
        if len(batches) == 1:
            first_begun.set()
            assert go_on.wait(10)
        return items

    coalescer: Coalescer[int, int] = Coalescer(process, lambda _: 1, limit=4)
    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(coalescer.submit, 0)]
        assert first_begun.wait(10)
        futures += [pool.submit(coalescer.submit, i) for i in range(1, 7)]
        while len(coalescer._queue) < 6:
            threading.Event().wait(0.001)
        go_on.set()
        assert sorted(f.result() for f in futures) == list(range(7))
    assert [len(batch) for batch in batches] == [1, 4, 2]


def test_those_who_announced_an_item_are_waited_for() -> None:
    """A leader does not process alone while another caller's item is being made; it does not wait for ever."""
    batches: list[list[int]] = []

    def process(items: list[int]) -> list[int]:
        batches.append(items)
        return items

    coalescer: Coalescer[int, int] = Coalescer(process, lambda _: 1, limit=8, patience_seconds=60)
    with ThreadPoolExecutor(2) as pool, coalescer.announced():
        leader = pool.submit(coalescer.submit, 1)
        while not coalescer._led:
            threading.Event().wait(0)
        waiting = coalescer.queue(2)
    assert (waiting(), leader.result()) == (2, 1)
    assert batches == [[1, 2]]
    hasty: Coalescer[int, int] = Coalescer(process, lambda _: 1, limit=8, patience_seconds=0.001)
    with hasty.announced():
        assert hasty.submit(3) == 3


def test_what_one_thread_queues_is_processed_together() -> None:
    """Who brings several items waits for all in one go, and each result is there when it is asked for."""
    batches: list[list[int]] = []
    coalescer: Coalescer[int, int] = Coalescer(lambda items: batches.append(items) or items, lambda _: 1, limit=3)
    results = [coalescer.queue(item) for item in range(5)]
    assert [result() for result in results] == list(range(5))
    assert batches == [[0, 1, 2], [3, 4]]


def test_enough_callers_do_not_wait_for_more() -> None:
    """Who has no thread yet cannot come before the others are through, so a full batch goes ahead."""
    batches: list[int] = []
    coalescer: Coalescer[int, int] = Coalescer(
        lambda items: batches.append(len(items)) or items, lambda _: 1, limit=500, patience_seconds=60
    )
    started = time.monotonic()
    with coalescer.announced(), ThreadPoolExecutor(ENOUGH) as pool:
        assert list(pool.map(coalescer.submit, range(ENOUGH))) == list(range(ENOUGH))
    assert batches == [ENOUGH]
    assert time.monotonic() - started < 30, "the leader waited for one who had not come"


def test_callers_whose_items_are_done_leave_before_the_next_batch_is() -> None:
    """They do not stand in line with those who wait, so what they bring next comes with the rest."""
    first_begun, go_on, left = threading.Event(), threading.Event(), threading.Barrier(3)

    def process(items: list[int]) -> list[int]:
        if 0 in items:
            first_begun.set()
            assert go_on.wait(10)
        else:
            left.wait(10)
        return items

    coalescer: Coalescer[int, int] = Coalescer(process, lambda _: 1, limit=8, patience_seconds=60)

    def add(item: int) -> None:
        assert coalescer.submit(item) == item
        left.wait(10)

    with ThreadPoolExecutor(3) as pool:
        with coalescer.announced():
            leader = pool.submit(add, 0)
            while not coalescer._led:
                threading.Event().wait(0)
            second = coalescer.queue(1)
        futures = [leader, pool.submit(lambda: (second(), left.wait(10)))]
        assert first_begun.wait(10)
        futures.append(pool.submit(coalescer.submit, 2))
        while len(coalescer._queue) < 1:
            threading.Event().wait(0)
        go_on.set()
        for future in futures:
            future.result()


def test_an_error_in_place_of_a_result_reaches_only_its_caller() -> None:
    """One caller's bad input does not fail the others of the batch."""
    coalescer: Coalescer[int, int] = Coalescer(
        lambda items: [ValueError(str(i)) if i == 3 else i for i in items], lambda _: 1, limit=100
    )
    with pytest.raises(ValueError, match="3"):
        coalescer.submit(3)
    assert coalescer.submit(4) == 4


def test_a_failing_batch_fails_for_all_and_the_next_one_works() -> None:
    """An exception of the batch is raised to its callers and leaves the coalescer usable."""
    fail = [True]

    def process(items: list[int]) -> list[int]:
        if fail[0]:
            raise OSError("disk full")
        return items

    coalescer: Coalescer[int, int] = Coalescer(process, lambda _: 1, limit=100)
    with pytest.raises(OSError, match="disk full"):
        coalescer.submit(1)
    fail[0] = False
    assert coalescer.submit(2) == 2


def test_an_item_heavier_than_the_limit_is_processed_alone() -> None:
    """The limit bounds what is put together, not what one caller may bring."""
    seen: list[list[int]] = []
    coalescer: Coalescer[int, int] = Coalescer(lambda items: seen.append(items) or items, lambda i: i, limit=10)
    assert coalescer.submit(50) == 50
    assert seen == [[50]]
