"""SIGTERM and Ctrl-C: finish the step, write a checkpoint, leave with a code that a cluster retries."""

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from types import FrameType
from typing import TypeVar

T = TypeVar("T")

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

Pause = Callable[[], None]
"""What a validation calls between its batches, equally often on every rank: so long may a request to stop wait."""


def pausing(batches: Iterable[T], pause: Pause) -> Iterator[T]:
    """The batches, with a pause before each."""
    for batch in batches:
        pause()
        yield batch


class Preempted(SystemExit):
    """Training stopped on request after writing a checkpoint; started again, it goes on from there.

    The exit code is 128 + the signal's number: 143 after SIGTERM, 130 after Ctrl-C. Codes above 127 are what
    clusters count as worth a retry.
    """

    def __init__(self, signum: int):
        super().__init__(128 + signum)


class Interrupted(Exception):
    """A rank was asked to stop while all of them were validating."""

    def __init__(self, signum: int):
        super().__init__(signum)
        self.signum = signum


class StopRequest:
    """Remembers that the process was asked to stop, from entering the block to leaving it.

    The second Ctrl-C interrupts at once. Outside the main thread, where Python allows no handlers, signals act as
    they always do.
    """

    def __init__(self):
        self.signum = 0
        self._previous: dict[int, object] = {}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            for signum in STOP_SIGNALS:
                self._previous[signum] = signal.signal(signum, self._remember)
        return self

    def __exit__(self, *_) -> None:
        for signum, handler in self._previous.items():
            signal.signal(signum, handler)

    def _remember(self, signum: int, frame: FrameType | None) -> None:
        if self.signum == signal.SIGINT == signum:
            raise KeyboardInterrupt
        self.signum = signum
