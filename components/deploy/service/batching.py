"""Dynamic batching: single values from many threads become batches in one."""

import threading
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

_LOOK = 0.1
"""Seconds between looks at the clock while values wait, after which `hurry` is noticed."""

Value = TypeVar("Value")
Result = TypeVar("Result")


@dataclass(eq=False)
class _Waiting(Generic[Value, Result]):
    group: Hashable
    value: Value
    future: Future[Result] = field(default_factory=Future)
    arrived: float = field(default_factory=time.monotonic)


class Batcher(Generic[Value, Result]):
    """Runs batches in a thread of its own, one at a time, the longest-waiting value first.

    Args:
        run: computes the results of a batch, in its order. All values of a batch are of one group.
        max_batch: values in a batch at most.
        max_wait: seconds that a value waits for others while the thread has nothing else to do.
        prepare: called once in the thread before the first batch.
    """

    def __init__(
        self,
        run: Callable[[Hashable, Sequence[Value]], Sequence[Result]],
        max_batch: int,
        max_wait: float,
        prepare: Callable[[], None] | None = None,
    ):
        self._run, self._prepare = run, prepare
        self.max_batch, self.max_wait = max_batch, max_wait
        self._waiting: list[_Waiting[Value, Result]] = []
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="batches", daemon=True)

    def start(self) -> None:
        """Begin to compute."""
        self._thread.start()

    def submit(self, group: Hashable, value: Value) -> Future[Result]:
        """Put a value in the queue. Cancel the future to take it out again; once it is computed, that does nothing.

        Raises:
            RuntimeError: the batcher is closed.
        """
        waiting = _Waiting(group, value)
        with self._changed:
            if self._closed:
                raise RuntimeError("the batcher is closed")
            self._waiting.append(waiting)
            self._changed.notify()
        waiting.future.add_done_callback(lambda future: self._forget(waiting) if future.cancelled() else None)
        return waiting.future

    def hurry(self) -> None:
        """From now on nothing waits for company. Takes no lock: a signal handler may call it."""
        self.max_wait = 0.0

    def close(self) -> None:
        """Take nothing more, compute what is waiting, and end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def __len__(self) -> int:
        """Values that wait."""
        return len(self._waiting)

    def _work(self) -> None:
        if self._prepare is not None:
            self._prepare()
        while batch := self._next():
            self._compute(batch)

    def _next(self) -> list[_Waiting[Value, Result]]:
        """Wait for a batch that is full or has waited long enough; empty when closed and nothing is left."""
        with self._changed:
            while True:
                pause = None
                if self._waiting:
                    pause = self._waiting[0].arrived + self.max_wait - time.monotonic()
                    batch = self._ready(overdue=pause <= 0 or self._closed)
                    if batch:
                        self._waiting = [waiting for waiting in self._waiting if waiting not in batch]
                        return batch
                elif self._closed:
                    return []
                self._changed.wait(None if pause is None else min(pause, _LOOK))

    def _ready(self, overdue: bool) -> list[_Waiting[Value, Result]]:
        """The oldest value's group if it is overdue, else the first group that fills a batch, else nothing."""
        groups: dict[Hashable, list[_Waiting[Value, Result]]] = {}
        for waiting in self._waiting:
            groups.setdefault(waiting.group, []).append(waiting)
        for members in groups.values():
            if overdue or len(members) >= self.max_batch:
                return members[: self.max_batch]
        return []

    def _forget(self, cancelled: _Waiting[Value, Result]) -> None:
        with self._changed:
            if cancelled in self._waiting:
                self._waiting.remove(cancelled)
                self._changed.notify()

    def _compute(self, batch: Sequence[_Waiting[Value, Result]]) -> None:
        batch = [waiting for waiting in batch if waiting.future.set_running_or_notify_cancel()]
        if batch:
            self._answer(batch)

    def _answer(self, batch: Sequence[_Waiting[Value, Result]]) -> None:
        try:
            results = self._run(batch[0].group, [waiting.value for waiting in batch])
        except Exception as error:  # whatever it is, it belongs to the callers; this thread must live on
            if len(batch) == 1:
                batch[0].future.set_exception(error)
                return
            for waiting in batch:  # one bad value must not fail the others
                self._answer([waiting])
            return
        for waiting, result in zip(batch, results, strict=True):
            waiting.future.set_result(result)
