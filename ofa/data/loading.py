"""Batches made ahead in worker processes, and the account of bad rows."""

import logging
from collections.abc import Callable, Iterable, Iterator

from torch.utils.data import DataLoader, Dataset, Sampler

from ofa.data.batch import Batch
from ofa.data.table import RowError
from ofa.errors import OFAError

logger = logging.getLogger(__name__)


class BadRows:
    """Counts distinct bad rows, reports each once, and stops the run when there are too many.

    Args:
        limit: number of bad rows after which the run stops; 0 stops at the first.
        report: called with each new bad row, for example to write it to a table of rejected rows; by default it is
            logged as a warning.
    """

    def __init__(self, limit: int = 0, report: Callable[[RowError], None] | None = None):
        self.limit = limit
        self.report = report or (lambda error: logger.warning("bad row: %s", error))
        self.seen: dict[tuple[str, int], RowError] = {}

    def add(self, errors: Iterable[RowError], report: bool = True) -> None:
        """Count rows, and report them unless another process does. Raises OFAError when more than `limit` are bad."""
        for error in errors:
            if (error.table, error.row) in self.seen:
                continue
            self.seen[error.table, error.row] = error
            if report:
                self.report(error)
            if len(self.seen) > self.limit:
                raise OFAError(
                    f"{len(self.seen)} bad rows, more than max_bad_rows = {self.limit}; the last one: {error}. "
                    "Repair the table or raise max_bad_rows"
                )


class _Steps(Dataset):
    def __init__(self, make: Callable[[int], Batch]):
        self.make = make

    def __getitem__(self, step: int) -> Batch | OFAError:
        try:
            return self.make(step)
        except OFAError as error:
            # Raised in a worker, it would reach the user wrapped in the worker's traceback.
            return error


class _Order(Sampler):
    def __init__(self, steps: Iterable[int]):
        self.steps = steps

    def __iter__(self) -> Iterator[int]:
        return iter(self.steps)


def _same(batch: Batch) -> Batch:
    return batch


def prefetch(
    make: Callable[[int], Batch], steps: Iterable[int], workers: int, ahead: int = 2, pin: bool = False
) -> Iterator[Batch]:
    """Yield make(step) for every step, in order.

    A worker makes whole batches, so the result does not depend on how many there are.

    Args:
        make: a function of the step alone; it is copied to the workers.
        steps: step numbers, possibly endless.
        workers: processes; 0 makes the batches here, when they are asked for.
        ahead: batches that each worker prepares in advance.
        pin: hand out batches in page-locked memory, for copies to a GPU that do not wait.
    """
    loader = DataLoader(
        _Steps(make),
        batch_size=None,
        sampler=_Order(steps),
        num_workers=workers,
        collate_fn=_same,
        prefetch_factor=ahead if workers else None,
        pin_memory=pin,
    )
    for batch in loader:
        if isinstance(batch, OFAError):
            raise batch
        yield batch
