"""Reading a table once and in order."""

import pytest
import torch

from ofa.data.batch import Sample
from ofa.data.mixing import Source
from ofa.data.ordered import Ordered
from ofa.data.table import Table, TableWriter
from ofa.errors import OFAError


class Number:
    name = "number"

    def sample(self, row, train, rng):
        if not row["text"].isdecimal():
            raise OFAError("not a number")
        ids = torch.tensor([0, int(row["text"]), 2])
        return Sample(id=row["uniq_id"], source=ids, previous=ids, target=ids)


@pytest.fixture
def source(tmp_path):
    with TableWriter(tmp_path / "t.tsv", ("uniq_id", "text")) as writer:
        for i in range(11):
            writer.write({"uniq_id": f"r{i}", "text": "x" if i in (4, 5, 9) else i})
    return Source(table=Table(tmp_path / "t.tsv", ("uniq_id", "text")), task=Number(), train=False)


@pytest.mark.parametrize("workers", [0, 2])
def test_every_good_row_once_in_order(source, workers):
    reader = Ordered(source, batch_size=2, workers=workers, max_bad_rows=3)
    names = [name for batch in reader for name in batch.ids]
    assert names == [f"r{i}" for i in range(11) if i not in (4, 5, 9)]
    assert sorted(error.row for error in reader.bad_rows.seen.values()) == [4, 5, 9]


def test_ranks_share_out_the_rows(source):
    parts = [[n for b in Ordered(source, 2, rank=r, world=3, max_bad_rows=3) for n in b.ids] for r in range(3)]
    assert sorted(name for part in parts for name in part) == sorted(f"r{i}" for i in range(11) if i not in (4, 5, 9))


def test_a_limit_reads_the_start(source):
    assert [n for b in Ordered(source, 3, limit=4) for n in b.ids] == ["r0", "r1", "r2", "r3"]


def test_bad_rows_beyond_the_limit_are_an_error(source):
    with pytest.raises(OFAError, match="not a number"):
        list(Ordered(source, batch_size=2))
