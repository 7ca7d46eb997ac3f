"""A process a core for work that is cut into parts, and plain errors when one of them dies."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

from ofa.errors import OFAError

T = TypeVar("T")
R = TypeVar("R")

Map = Callable[[Callable[[T], R], Iterable[T]], Iterator[R]]


@contextmanager
def workers(processes: int = 0) -> Iterator[Map]:
    """A function like `map` that works in `processes` processes at once (0: one a core; 1: in this one).

    The processes end with this one, even when it is killed.

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
        yield pool.map
    except BrokenProcessPool as error:
        raise OFAError(
            "a worker process was killed, perhaps for lack of memory; run the same command again: what is done is kept"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
