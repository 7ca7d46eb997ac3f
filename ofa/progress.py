"""One progress display for every long step: label, bar, rate and time left."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def track(
    items: Iterable[T], total: int | None = None, label: str = "", unit: str = "it", initial: int = 0
) -> Iterator[T]:
    """Iterate over `items` while showing count, rate and time left on standard error.

    In a terminal the line is redrawn in place; in a log file it is refreshed every ten seconds, so that logs stay
    short. `initial` is the number of items that an earlier, interrupted run has already done.
    """
    if total is None and hasattr(items, "__len__"):
        total = len(items)
    with bar(total=total, label=label, unit=unit, initial=initial) as progress:
        for item in items:
            yield item
            progress.update()


def bar(total: int | None, label: str, unit: str = "it", initial: int = 0) -> tqdm:
    """A progress bar to update by hand (`update`, `set_postfix_str`, `close`); also a context manager."""
    interval = 0.1 if sys.stderr.isatty() else 10.0
    return tqdm(
        total=total,
        desc=label,
        unit=unit,
        initial=initial,
        dynamic_ncols=True,
        mininterval=interval,
        maxinterval=interval,
        smoothing=0.1,
    )
