"""Every row of a table once and in order, for evaluation and prediction."""

import random
from collections.abc import Callable, Iterator

from ofa.data.batch import Batch, collate
from ofa.data.loading import BadRows, prefetch
from ofa.data.mixing import Source
from ofa.data.table import RowError


class Ordered:
    """Batches of consecutive rows. Bad rows are reported, left out and counted.

    Args:
        source: table and task; its `train` flag is used as it stands, so pass `train=False` for evaluation.
        batch_size: rows of a batch on this rank; the last batch may be smaller.
        rank, world: rank r reads batches r, r + world, ...
        seed: of the random generator that a task is given for row i.
        limit: rows to read from the table's start; None reads all.
        workers, max_bad_rows, report, pin: as for `ofa.data.mixing.Stream`.
    """

    def __init__(
        self,
        source: Source,
        batch_size: int,
        rank: int = 0,
        world: int = 1,
        seed: int = 0,
        limit: int | None = None,
        workers: int = 0,
        max_bad_rows: int = 0,
        report: Callable[[RowError], None] | None = None,
        pin: bool = False,
    ):
        self.source, self.batch_size, self.seed, self.workers, self.pin = source, batch_size, seed, workers, pin
        self.n_rows = len(source.table) if limit is None else min(limit, len(source.table))
        self.numbers = range(rank, -(-self.n_rows // batch_size), world)
        self.bad_rows = BadRows(max_bad_rows, report)

    def __len__(self) -> int:
        return len(self.numbers)

    def batch(self, number: int) -> Batch | list[RowError]:
        """A batch, or the errors of its rows when none of them can be used."""
        samples, rejected = [], []
        indices = range(number * self.batch_size, min((number + 1) * self.batch_size, self.n_rows))
        self.source.ahead(indices)
        for index in indices:
            try:
                samples += self.source.read(index, random.Random(f"{self.seed}/{index}"))
            except RowError as error:
                rejected.append(error)
        if not samples:
            return rejected
        batch = collate(samples)
        batch.rejected = rejected
        return batch

    def __iter__(self) -> Iterator[Batch]:
        for batch in prefetch(self.batch, self.numbers, self.workers, pin=self.pin):
            self.bad_rows.add(batch.rejected if isinstance(batch, Batch) else batch)
            if isinstance(batch, Batch):
                yield batch
