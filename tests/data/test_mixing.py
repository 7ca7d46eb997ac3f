"""Streams: shares, shuffling, ranks, workers, resuming and bad rows."""

import random
from collections import Counter
from itertools import islice

import pytest
import torch

from ofa.data.batch import Sample
from ofa.data.mixing import Source, Stream, shares
from ofa.data.table import Table, TableWriter
from ofa.errors import OFAError


class Echo:
    """A task whose target tells the row and a random draw."""

    def __init__(self, name="echo"):
        self.name = name

    def sample(self, row, train, rng: random.Random):
        if row["text"] == "bad":
            raise OFAError("the text is bad")
        ids = torch.tensor([0, rng.randrange(10**6), 2])
        return Sample(id=f"{self.name}:{row['uniq_id']}", source=ids, previous=ids, target=ids)


def table(path, rows, bad=()):
    with TableWriter(path, ("uniq_id", "text")) as writer:
        for i in range(rows):
            writer.write({"uniq_id": i, "text": "bad" if i in bad else "x"})
    return Table(path, ("uniq_id", "text"))


@pytest.fixture
def sources(tmp_path):
    return [
        Source(table=table(tmp_path / "a.tsv", 10), task=Echo("a"), weight=3),
        Source(table=table(tmp_path / "b.tsv", 7), task=Echo("b"), weight=1),
    ]


def content(batch):
    return list(zip(batch.ids, batch.target.tolist(), strict=True))


def take(stream, n):
    return [content(batch) for batch in islice(stream, n)]


@pytest.mark.parametrize(
    ("weights", "total", "expected"),
    [((1, 1), 4, [2, 2]), ((3, 1), 8, [6, 2]), ((8, 2, 1, 1), 12, [8, 2, 1, 1]), ((100, 1), 4, [3, 1])],
)
def test_shares(weights, total, expected):
    assert shares(weights, total) == expected


def test_shares_always_fill_the_batch():
    rng = random.Random(0)
    for _ in range(200):
        weights = [rng.random() + 1e-3 for _ in range(rng.randint(1, 6))]
        total = rng.randint(len(weights), 40)
        counts = shares(weights, total)
        assert sum(counts) == total and min(counts) >= 1


def test_every_batch_has_the_same_shares(sources):
    for batch in islice(Stream(sources, batch_size=8), 10):
        assert Counter(name[0] for name in batch.ids) == {"a": 6, "b": 2}


def test_every_row_is_read_once_an_epoch_in_a_new_order(tmp_path):
    stream = Stream([Source(table=table(tmp_path / "a.tsv", 10), task=Echo())], batch_size=4)
    names = [name for batch in take(stream, 10) for name, _ in batch]
    epochs = [names[i : i + 10] for i in range(0, 40, 10)]
    assert all(sorted(epoch) == sorted(epochs[0]) for epoch in epochs) and len(set(epochs[0])) == 10
    assert len({tuple(epoch) for epoch in epochs}) == 4


def test_random_draws_differ_between_epochs_and_seeds_but_not_between_runs(sources):
    first, again, other = [take(Stream(sources, batch_size=8, seed=seed), 5) for seed in (0, 0, 1)]
    assert first == again != other
    rows: dict[str, list] = {}
    for batch in first:
        for name, target in batch:
            rows.setdefault(name, []).append(target[1])
    assert all(len(set(values)) == len(values) for values in rows.values())


def test_ranks_share_out_the_same_batch(sources):
    whole = take(Stream(sources, batch_size=8), 6)
    parts = [take(Stream(sources, batch_size=8, rank=rank, world=4), 6) for rank in range(4)]
    for step, batch in enumerate(whole):
        assert sorted(map(str, batch)) == sorted(str(item) for part in parts for item in part[step])
        assert all(len(part[step]) == 2 for part in parts)


@pytest.fixture
def blocks(tmp_path):
    """Twenty-three rows in blocks of four, five of which make a batch of ten rows with two others."""
    return [
        Source(table=table(tmp_path / "a.tsv", 23), task=Echo("a"), weight=8, block=4),
        Source(table=table(tmp_path / "b.tsv", 7), task=Echo("b"), weight=2),
    ]


def test_blocks_are_shuffled_and_rows_in_them_are_not(blocks):
    stream = Stream(blocks[:1], batch_size=23)
    for step in range(3):
        indexes = [index for _, _, index in stream.rows(step)]
        assert sorted(indexes) == list(range(23)), "every row once an epoch"
        starts = indexes[:20:4]
        assert starts != sorted(starts) and all(start % 4 == 0 for start in starts)
        assert indexes == [start + i for start in starts for i in range(4)] + [20, 21, 22]


def test_ranks_share_out_whole_blocks(blocks):
    for step in range(9):
        parts = [Stream(blocks, batch_size=10, rank=rank, world=3).rows(step) for rank in range(3)]
        whole = Stream(blocks, batch_size=10).rows(step)
        key = [(source.key, epoch, index) for source, epoch, index in whole]
        shared = [(source.key, epoch, index) for part in parts for source, epoch, index in part]
        assert sorted(shared) == sorted(key) and len(key) == 10
        owners = {}
        for rank, part in enumerate(parts):
            for source, epoch, index in part:
                assert owners.setdefault((source.key, epoch, index // source.block), rank) == rank


def test_a_block_must_hold_rows(tmp_path):
    with pytest.raises(OFAError, match="source 'echo': a block must hold at least 1 row, got 0"):
        Stream([Source(table=table(tmp_path / "a.tsv", 3), task=Echo(), block=0)], 2)


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_do_not_change_batches(sources, workers):
    assert take(Stream(sources, batch_size=8, workers=workers), 7) == take(Stream(sources, batch_size=8), 7)


def test_resuming_at_any_step_is_exact(sources):
    whole = take(Stream(sources, batch_size=8), 9)
    resumed = Stream(sources, batch_size=8)
    resumed.step = 4
    assert take(resumed, 5) == whole[4:]
    assert resumed.step == 9


def test_iterating_again_goes_on(sources):
    stream = Stream(sources, batch_size=8)
    assert take(stream, 2) + take(stream, 2) == take(Stream(sources, batch_size=8), 4)


def test_groups_take_turns(tmp_path):
    a, b = table(tmp_path / "a.tsv", 5), table(tmp_path / "b.tsv", 5)
    stream = Stream([Source(table=a, task=Echo("a"), weight=3), Source(table=b, task=Echo("b"), group=1)], batch_size=4)
    assert [Counter(name[0] for name, _ in batch) for batch in take(stream, 4)] == [{"a": 3}, {"b": 1}] * 2


def test_epochs_count_the_first_source(sources):
    stream = Stream(sources, batch_size=8)
    assert stream.steps(1) == 2 and stream.steps(3) == 5
    stream.step = 5
    assert stream.epoch() == 3.0


def test_a_bad_row_is_replaced_reported_and_counted_once(tmp_path):
    rows = table(tmp_path / "a.tsv", 10, bad=(3, 6))
    reported = []
    stream = Stream([Source(table=rows, task=Echo())], batch_size=5, max_bad_rows=2, report=reported.append)
    batches = take(stream, 20)
    assert all(len(batch) == 5 for batch in batches)
    assert sorted((error.row, error.uniq_id, error.reason) for error in reported) == [
        (3, "3", "the text is bad"),
        (6, "6", "the text is bad"),
    ]
    again = Stream([Source(table=rows, task=Echo())], batch_size=5, max_bad_rows=2, workers=2)
    assert take(again, 20) == batches


def test_too_many_bad_rows_stop_the_run(tmp_path):
    rows = table(tmp_path / "a.tsv", 10, bad=(3, 6))
    stream = Stream([Source(table=rows, task=Echo())], batch_size=5, max_bad_rows=1)
    with pytest.raises(OFAError, match=r"2 bad rows, more than max_bad_rows = 1.*a\.tsv, row [36]"):
        take(stream, 20)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_table_of_bad_rows_ends_with_one_line(tmp_path, workers):
    rows = table(tmp_path / "a.tsv", 3, bad=range(3))
    with pytest.raises(OFAError, match="are bad") as caught:
        take(Stream([Source(table=rows, task=Echo())], batch_size=2, max_bad_rows=100, workers=workers), 1)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"batch_size": 1}, "set batch_size >= 2"), ({"batch_size": 8, "world": 9}, "do not reach 9 ranks")],
)
def test_batches_that_are_too_small(sources, change, message):
    with pytest.raises(OFAError, match=message):
        Stream(sources, **change)


def test_names_and_tables_are_checked(tmp_path, sources):
    with pytest.raises(OFAError, match="two sources are called 'a'"):
        Stream([sources[0], sources[0]], batch_size=4)
    with pytest.raises(OFAError, match="'a' has no rows"):
        Stream([Source(table=table(tmp_path / "none.tsv", 0), task=Echo("a"))], batch_size=4)
