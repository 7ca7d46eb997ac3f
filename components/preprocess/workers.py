"""A process a core for work that is cut into parts, and plain errors when one of them dies."""

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from ofa.errors import OFAError

T = TypeVar("T")
R = TypeVar("R")

Map = Callable[[Callable[[T], R], Iterable[T]], Iterator[R]]


@contextmanager
def workers(processes: int = 0) -> Iterator[Map]:
    """A function like `map` that works in `processes` processes at once (0: one a core; 1: in this one).

    It takes few items ahead of what it gives. The processes end with this one, even when it is killed.

    Raises:
        OFAError: a process was killed, for example because memory ran out.
    """
    count = processes or len(os.sched_getaffinity(0))
    if count == 1:
        yield map
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(count, context, initializer=_end_with_parent)
    try:
        yield partial(_map, pool, count + 1)
    except BrokenProcessPool as error:
        raise OFAError(
            "a worker process was killed, perhaps for lack of memory; run the same command again: what is done is kept"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _map(pool: ProcessPoolExecutor, ahead: int, work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """As `pool.map`, which would take all items at once."""
    started: deque[Future[R]] = deque()
    for item in items:
        started.append(pool.submit(work, item))
        if len(started) > ahead:
            yield started.popleft().result()
    while started:
        yield started.popleft().result()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
