"""How long the texts of a table's rows are, so that batches may be put together of rows alike."""

import numpy as np

from ofa.data.shards import Shard
from ofa.data.table import Table
from ofa.errors import OFAError

NO_TEXT = ("image", "codes", "answers")
"""Columns that are not counted, beside ids: pictures; codes, of which every row has as many; answers, of which a sample
has one."""

_TAB = 9


def text_lengths(table: Table) -> np.ndarray:
    """(rows,) bytes of the texts of each row; 0 for a row that has not all columns.

    Reads all files once, at the speed of the disk or network.

    Raises:
        OFAError: the rows are not those of a table.
    """
    if not isinstance(table, Table):
        raise OFAError("pool: only rows of a table have a length, not pictures with all their captions; leave it out")
    left_out = [number for number, name in enumerate(table.columns) if name in NO_TEXT or name.endswith("_id")]
    return np.concatenate([_lengths(shard, len(table.columns), left_out) for shard in table.shards])


def _lengths(shard: Shard, columns: int, left_out: list[int]) -> np.ndarray:
    tabs, position = [np.zeros(0, np.int64)], 0
    for block in shard.blocks():
        tabs.append(np.flatnonzero(np.frombuffer(block, np.uint8) == _TAB) + position)
        position += len(block)
    tab = np.concatenate(tabs)
    starts, ends = shard.offsets[:-1], shard.offsets[1:]
    first = np.searchsorted(tab, starts)
    whole = np.flatnonzero(np.searchsorted(tab, ends) - first == columns - 1)
    first, length = first[whole], (ends - starts)[whole]
    for column in left_out:
        start = starts[whole] if column == 0 else tab[first + column - 1] + 1
        end = ends[whole] if column == columns - 1 else tab[first + column]
        length = length - (end - start)
    lengths = np.zeros(len(starts), np.int32)
    lengths[whole] = length
    return lengths
