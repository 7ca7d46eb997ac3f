"""A data loader that hangs ends the run with words, and its workers with it."""

import multiprocessing
import signal
import time

import pytest

from ofa.errors import OFAError
from ofa.train.batches import Batches
from ofa.train.loop import train
from tests.train import toy


class Slow(toy.Task):
    """One row takes for ever to read."""

    def sample(self, row, train, rng):
        if row["id"] == 20:
            time.sleep(3600)
        return super().sample(row, train, rng)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_stalled_loader_is_named_and_leaves_nothing_behind(tmp_path, workers):
    config = toy.settings(timeout=3.0)
    with pytest.raises(OFAError, match=r"step \d+: no batch within 3 s, the data loader is stalled"):
        train(toy.network(), toy.stream(config, task=Slow(), workers=workers), config, tmp_path)
    assert multiprocessing.active_children() == []


def test_only_the_wait_for_a_batch_is_timed():
    handler = signal.getsignal(signal.SIGALRM)
    batches = Batches(iter("ab"), timeout=60)
    for expected in "ab":
        assert batches.take("here") == expected
        assert signal.getitimer(signal.ITIMER_REAL) == (0, 0) and signal.getsignal(signal.SIGALRM) == handler
