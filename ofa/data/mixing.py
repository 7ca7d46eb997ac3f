"""Which rows make up which batch: shuffled, mixed from several tables, the same for any number of workers.

A batch is a pure function of (sources, batch size, seed, step, rank, world size). So a run resumes at any step by
starting there, and every rank and worker finds its own rows without talking to the others. Rows are truly shuffled
anew each epoch, and every rank takes the same number of steps; the original read files in order and gave a rank whose
slice was short an empty batch.
"""

import itertools
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from ofa.data.batch import Batch, Sample, collate
from ofa.data.loading import BadRows, prefetch
from ofa.data.remote import Unreachable
from ofa.data.shuffle import Shuffle
from ofa.data.table import RowError
from ofa.errors import OFAError

Row = tuple[int, int, int]
"""Epoch, block and index of a row."""

MAX_REPLACEMENTS = 100
"""Rows tried in place of a bad one before the table is given up."""


class Sampler(Protocol):
    """The part of a task that reading needs; `ofa.tasks.base.Task` is one."""

    name: str

    def sample(self, row: Any, train: bool, rng: random.Random) -> Sample | list[Sample]: ...


@dataclass(frozen=True, kw_only=True)
class Source:
    """A table and the task that makes samples of its rows."""

    table: Sequence
    """`ofa.data.Table`, or any sequence of rows."""
    task: Sampler
    weight: float = 1.0
    """Share of this source in a batch, relative to the weights of the other sources."""
    group: int = 0
    """Sources of one group share batches: a batch holds pictures of one size only. Groups take turns step by step."""
    name: str = ""
    """Tells sources apart; empty: the task's name. Part of the key of the shuffled order."""
    block: int = 1
    """Rows that stand next to each other in the table and are read together. Tables keep the rows of a picture
    together, so a batch of blocks holds fewer pictures, each of which is encoded once."""
    train: bool = True
    """Passed on to the task: targets and augmentation of training, or those of evaluation."""
    lengths: Sequence[int] | None = None
    """Length of each row's texts (`ofa.data.lengths`), where a stream puts rows of similar length together."""

    @property
    def key(self) -> str:
        return self.name or self.task.name

    def row(self, position: int, seed: int) -> Row:
        """Epoch, block and index of the row at a position of the endless shuffled order.

        Blocks are shuffled, rows within a block are not; the rows left over at the table's end come last.
        """
        epoch, position = divmod(position, len(self.table))
        block, offset = divmod(position, self.block)
        whole = len(self.table) // self.block
        if block < whole:
            block = _order(whole, f"{seed}/{epoch}/{self.key}")[block]
        return epoch, block, block * self.block + offset

    def ahead(self, indices: Iterable[int]) -> None:
        """These rows are read next."""
        if hasattr(self.table, "ahead"):
            self.table.ahead(indices)

    def read(self, index: int, rng: random.Random) -> list[Sample]:
        """The samples of one row.

        Raises:
            RowError: the row or its picture cannot be used.
            Unreachable: the table lies elsewhere and cannot be read.
        """
        row = {}
        try:
            row = self.table[index]
            samples = self.task.sample(row, self.train, rng)
        except (RowError, Unreachable):
            raise
        except OFAError as error:
            path, number = self.table.locate(index) if hasattr(self.table, "locate") else (self.key, index)
            raise RowError(path, number, str(row.get("uniq_id", "")), str(error)) from error
        return samples if isinstance(samples, list) else [samples]


def shares(weights: Sequence[float], total: int) -> list[int]:
    """Split `total` rows in proportion to `weights`, at least one each (largest remainders first).

    Raises:
        OFAError: a weight is not positive, or there are more weights than rows.
    """
    if any(w <= 0 for w in weights):
        raise OFAError(f"source weights must be positive, got {list(weights)}: leave out a source that is not wanted")
    if total < len(weights):
        raise OFAError(f"a batch of {total} rows cannot hold {len(weights)} sources: set batch_size >= {len(weights)}")
    exact = [w * total / sum(weights) for w in weights]
    counts = [max(1, int(e)) for e in exact]
    while sum(counts) < total:
        counts[max(range(len(counts)), key=lambda i: exact[i] - counts[i])] += 1
    while sum(counts) > total:
        counts[max((i for i in range(len(counts)) if counts[i] > 1), key=lambda i: counts[i] - exact[i])] -= 1
    return counts


class Stream:
    """Endless training batches mixed from sources with fixed shares.

    Iterating starts at `step` and advances it; `step` may be set before that, which resumes a run exactly. When the
    sources have G groups, step s belongs to group s % G and `batch_size` counts the rows of G steps together: set the
    accumulation of gradients to a multiple of G, and every update sees all sources.

    Every source runs through its own shuffled epochs, whatever the lengths of the others. A row that several samples
    come from (pretraining) counts once.

    Args:
        sources: tables with their tasks and weights.
        batch_size: rows of a step over all ranks together.
        seed: of order and augmentation.
        rank, world: this process and the number of processes.
        workers: processes that prepare batches; they do not change the result.
        max_bad_rows: bad rows are replaced by another row of the same table, reported and counted; one more than this
            stops the run. With several processes who takes the batches counts those of all in `bad_rows`.
        report: see `BadRows`.
        pin: see `prefetch`.
        pool: steps whose rows are sorted by length and dealt out again, so that a batch holds rows of similar length;
            which step gets the short ones is drawn anew for each pool. All sources need `lengths` then. 0: rows are
            only shuffled.

    Raises:
        OFAError: an empty table, two sources of one name, a batch too small for the sources or ranks.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        batch_size: int,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
        workers: int = 0,
        max_bad_rows: int = 0,
        report: Callable[[RowError], None] | None = None,
        pin: bool = False,
        pool: int = 0,
    ):
        self.sources, self.batch_size, self.seed = list(sources), batch_size, seed
        self.rank, self.world, self.workers, self.pin, self.pool = rank, world, workers, pin, pool
        self._pools: dict[str, tuple[int, list[list[Row]]]] = {}
        self.bad_rows = BadRows(max_bad_rows, report)
        self.step = 0
        names = [source.key for source in self.sources]
        for source in self.sources:
            if not len(source.table):
                raise OFAError(f"the table of source {source.key!r} has no rows")
            if pool and source.lengths is None:
                raise OFAError(f"source {source.key!r}: the lengths of its rows are not known, so none can be alike")
            if source.block < 1:
                raise OFAError(f"source {source.key!r}: a block must hold at least 1 row, got {source.block}")
            if names.count(source.key) > 1:
                raise OFAError(f"two sources are called {source.key!r}: give them different names")
        self.counts = shares([source.weight for source in self.sources], batch_size)
        self.groups = sorted({source.group for source in self.sources})
        for group in self.groups:
            blocks = sum(
                -(-count // source.block)
                for source, count in zip(self.sources, self.counts, strict=True)
                if source.group == group
            )
            if blocks < world:
                raise OFAError(
                    f"{blocks} rows, or blocks of rows, of group {group} in a batch of {batch_size} do not reach "
                    f"{world} ranks"
                )

    def epoch(self, step: int | None = None) -> float:
        """How often the first source has been read when `step` (default: the current one) begins."""
        step = self.step if step is None else step
        return step // len(self.groups) * self.counts[0] / len(self.sources[0].table)

    def steps(self, epochs: float) -> int:
        """Number of steps after which the first source has been read `epochs` times."""
        rows = round(epochs * len(self.sources[0].table))
        return -(-rows // self.counts[0]) * len(self.groups)

    def rows(self, step: int) -> list[tuple[Source, int, int]]:
        """(source, epoch, index) of every row of a step on this rank. Ranks share out whole blocks."""
        turn, group = divmod(step, len(self.groups))
        blocks: dict[tuple[str, int, int], list[tuple[Source, int, int]]] = {}
        for source, count in zip(self.sources, self.counts, strict=True):
            if source.group != self.groups[group]:
                continue
            for epoch, block, index in self._turn(source, count, turn):
                blocks.setdefault((source.key, epoch, block), []).append((source, epoch, index))
        mine = itertools.islice(blocks.values(), self.rank, None, self.world)
        return list(itertools.chain.from_iterable(mine))

    def _turn(self, source: Source, count: int, turn: int) -> list[Row]:
        """The rows of a source in its batch number `turn`."""
        if not self.pool:
            return [source.row(position, self.seed) for position in range(turn * count, (turn + 1) * count)]
        number, place = divmod(turn, self.pool)
        known = self._pools.get(source.key)
        if known is None or known[0] != number:
            known = self._pools[source.key] = number, self._deal(source, count, number)
        return known[1][place]

    def _deal(self, source: Source, count: int, number: int) -> list[list[Row]]:
        """The batches of a pool. Blocks stay together; all sources draw the same order of short and long."""
        positions = range(number * self.pool * count, (number + 1) * self.pool * count)
        rows = [source.row(position, self.seed) for position in positions]
        blocks = [list(block) for _, block in itertools.groupby(rows, key=lambda row: row[:2])]
        blocks.sort(key=lambda block: max(source.lengths[index] for _, _, index in block))
        rows = list(itertools.chain.from_iterable(blocks))
        batches = [rows[start : start + count] for start in range(0, len(rows), count)]
        random.Random(f"{self.seed}/pool/{number}").shuffle(batches)
        return batches

    def batch(self, step: int) -> Batch:
        """The batch of a step; `rejected` lists the bad rows that were replaced."""
        samples, rejected = [], []
        rows = self.rows(step)
        for source in self.sources:
            source.ahead([index for owner, _, index in rows if owner is source])
        for source, epoch, index in rows:
            samples += self._samples(source, epoch, index, rejected)
        batch = collate(samples)
        batch.rejected = rejected
        return batch

    def __iter__(self) -> Iterator[Batch]:
        for batch in prefetch(self.batch, itertools.count(self.step), self.workers, pin=self.pin):
            if self.world == 1:
                self.bad_rows.add(batch.rejected)
            self.step += 1
            yield batch

    def _samples(self, source: Source, epoch: int, index: int, rejected: list[RowError]) -> list[Sample]:
        key = f"{self.seed}/{epoch}/{source.key}/{index}"
        replacements = random.Random(key + "/replacement")
        for _ in range(MAX_REPLACEMENTS):
            try:
                return source.read(index, random.Random(key))
            except RowError as error:
                rejected.append(error)
                index = replacements.randrange(len(source.table))
        raise OFAError(f"{MAX_REPLACEMENTS} rows in a row of source {source.key!r} are bad; the last: {rejected[-1]}")


@lru_cache(maxsize=64)
def _order(n: int, key: str) -> Shuffle:
    return Shuffle(n, key)
