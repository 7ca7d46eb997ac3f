"""The batches of a stream as training takes them: no signal stops their workers, and nobody waits for them for ever."""

import multiprocessing
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from ofa.errors import OFAError
from ofa.train.preemption import STOP_SIGNALS

T = TypeVar("T")


class Batches(Generic[T]):
    """Takes batches one by one.

    A request to stop often goes to a whole process group. Worker processes, which the first batch starts, never see
    it: a loader that loses its workers would end the run in mid-step.

    Args:
        stream: what to take from.
        timeout: seconds that a batch may take.
    """

    def __init__(self, stream: Iterable[T], timeout: float):
        self.stream, self.timeout = iter(stream), timeout
        self.workers: list[multiprocessing.process.BaseProcess] | None = None

    def take(self, where: str) -> T:
        """The next batch; `where` says in an error what waits for it.

        Raises:
            OFAError: it does not come in time.
        """
        try:
            with _within(self.timeout):
                return next(self.stream) if self.workers is not None else self._first()
        except _Late:
            for worker in self.workers or ():
                worker.kill()  # it may be deaf to anything less
            raise OFAError(
                f"{where}: no batch within {self.timeout:g} s, the data loader is stalled: look at the disk or network "
                "under the tables and at the free memory, or raise timeout"
            ) from None

    def _first(self) -> T:
        before = multiprocessing.active_children()
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            return next(self.stream)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            self.workers = [child for child in multiprocessing.active_children() if child not in before]


class _Late(Exception):
    """The time is up."""


@contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Interrupt the block with `_Late` when it takes longer; outside the main thread nothing watches it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(*_) -> None:
        raise _Late

    handler = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
