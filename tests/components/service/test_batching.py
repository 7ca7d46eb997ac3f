"""The queue between requests and computations: grouping, order, size, waiting, errors, cancelling, closing."""

import threading
import time
from concurrent.futures import CancelledError
from contextlib import contextmanager

import pytest

from components.deploy.service.batching import Batcher


@contextmanager
def running(run, max_batch=4, max_wait=0.0):
    batcher = Batcher(run, max_batch, max_wait)
    batcher.start()
    try:
        yield batcher
    finally:
        batcher.close()


class Recorder:
    """Doubles numbers, remembers batches, and stands still until told to go."""

    def __init__(self):
        self.batches, self.gate = [], threading.Event()

    def __call__(self, group, values):
        self.gate.wait(10)
        self.batches.append((group, list(values)))
        return [2 * value for value in values]


def test_values_of_a_group_share_batches_of_limited_size():
    run = Recorder()
    with running(run) as batcher:
        futures = [batcher.submit("ab"[number % 2], number) for number in range(20)]
        run.gate.set()
        assert [future.result(5) for future in futures] == [2 * number for number in range(20)]
    assert sorted(value for _, values in run.batches for value in values) == list(range(20))
    for group, values in run.batches:
        assert len(values) <= 4 and {"ab"[value % 2] for value in values} == {group}
    assert len(run.batches) <= 7, "20 values were waiting: two of the batches may be small, the first and the last"


def test_the_longest_waiting_goes_first():
    run = Recorder()
    with running(run) as batcher:
        first = batcher.submit("x", 0)
        time.sleep(0.05)  # the thread stands in the first batch
        futures = [batcher.submit("old", 1)] + [batcher.submit("new", value) for value in range(2, 6)]
        run.gate.set()
        for future in [first, *futures]:
            future.result(5)
    assert [group for group, _ in run.batches] == ["x", "old", "new"]


def test_a_value_waits_for_company_but_not_longer():
    run = Recorder()
    run.gate.set()
    with running(run, max_batch=3, max_wait=1.0) as batcher:
        began = time.monotonic()
        futures = [batcher.submit("g", value) for value in range(3)]
        [future.result(5) for future in futures]
        assert time.monotonic() - began < 0.9, "a full batch does not wait"
        began = time.monotonic()
        batcher.submit("g", 9).result(5)
        assert time.monotonic() - began > 0.95
    assert run.batches == [("g", [0, 1, 2]), ("g", [9])]


def test_a_full_group_does_not_wait_behind_a_small_one():
    run = Recorder()
    run.gate.set()
    with running(run, max_batch=2, max_wait=1.0) as batcher:
        small = batcher.submit("small", 1)
        full = [batcher.submit("full", value) for value in (2, 3)]
        [future.result(5) for future in full]
        assert not small.done()
        small.result(5)


def test_one_bad_value_fails_alone():
    def run(group, values):
        if 3 in values:
            raise ValueError("three")
        return values

    with running(run, max_wait=0.05) as batcher:
        futures = [batcher.submit("g", value) for value in range(1, 5)]
        assert [futures[n].result(5) for n in (0, 1, 3)] == [1, 2, 4]
        with pytest.raises(ValueError, match="three"):
            futures[2].result(5)
        assert batcher.submit("g", 7).result(5) == 7


def test_a_cancelled_value_is_not_computed():
    run = Recorder()
    run.gate.set()
    with running(run, max_wait=0.3) as batcher:
        futures = [batcher.submit("g", value) for value in (1, 2, 3)]
        assert futures[1].cancel() and len(batcher) == 2
        assert [futures[0].result(5), futures[2].result(5)] == [2, 6]
        with pytest.raises(CancelledError):
            futures[1].result(5)
    assert run.batches == [("g", [1, 3])]


def test_in_a_hurry_nothing_waits():
    run = Recorder()
    run.gate.set()
    with running(run, max_wait=60) as batcher:
        future = batcher.submit("g", 1)
        batcher.hurry()
        assert future.result(5) == 2


def test_closing_computes_what_waits_and_takes_no_more():
    run = Recorder()
    run.gate.set()
    batcher = Batcher(run, max_batch=8, max_wait=60)
    batcher.start()
    futures = [batcher.submit("g", value) for value in range(3)]
    batcher.close()
    assert [future.result(0) for future in futures] == [0, 2, 4]
    with pytest.raises(RuntimeError, match="closed"):
        batcher.submit("g", 1)
