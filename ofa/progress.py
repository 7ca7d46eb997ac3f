"""One progress display for every long step: label, count, rate and time left."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")

LOG_SECONDS = 30.0
"""Seconds between two lines of a display that is not a terminal; what is done sooner writes none."""


def track(
    items: Iterable[T], total: int | None = None, label: str = "", unit: str = "it", initial: int = 0
) -> Iterator[T]:
    """Iterate over `items` while showing count, rate and time left on standard error.

    In a terminal a bar is redrawn in place. Elsewhere (a log file, a pipe, continuous integration) a line of plain
    text comes every `LOG_SECONDS`. `initial` is the number of items that an earlier, interrupted run has already done.
    """
    if total is None and hasattr(items, "__len__"):
        total = len(items)
    with bar(total=total, label=label, unit=unit, initial=initial) as progress:
        for item in items:
            yield item
            progress.update()


def bar(total: int | None, label: str, unit: str = "it", initial: int = 0) -> tqdm:
    """A progress bar to update by hand (`update`, `set_postfix_str`, `close`); also a context manager.

    The unit "B" is shown as kB, MB ...
    """
    common = {"total": total, "desc": label, "initial": initial, "smoothing": 0.1, "unit_scale": unit == "B"}
    if sys.stderr.isatty():
        return tqdm(**common, unit=unit, dynamic_ncols=True)
    known = "{percentage:.0f}% " if total else ""
    return tqdm(
        **common,
        unit=f" {unit}",
        file=_Log(),
        mininterval=LOG_SECONDS,
        maxinterval=LOG_SECONDS,
        delay=LOG_SECONDS,
        bar_format="{desc}: " + known + "{n_fmt}/{total_fmt}{unit} [{elapsed}<{remaining}, {rate_fmt}{postfix}]",
    )


class _Log:
    """A stream for tqdm that writes each state as a line of its own, where tqdm would overwrite the one before."""

    def write(self, text: str) -> None:
        if text := text.strip():
            sys.stderr.write(f"{text}\n")

    def flush(self) -> None:
        sys.stderr.flush()
