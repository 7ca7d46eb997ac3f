"""Batches of rows of similar length: which rows they hold, for every step, rank and worker."""

import random
from itertools import islice

import numpy as np
import pytest
import torch

from ofa.data import TABLES, Table
from ofa.data.batch import PAD, Sample
from ofa.data.lengths import text_lengths
from ofa.data.mixing import Source, Stream
from ofa.errors import OFAError

TEXTS = {"caption", "objects", "hypothesis", "label", "text", "question"}


class Words:
    """A task whose source has a token a byte of the row's text."""

    def __init__(self, name="words"):
        self.name = name

    def sample(self, row, train, rng):
        ids = torch.tensor([0, *row["text"].encode(), 2])
        return Sample(id=f"{self.name}:{row['uniq_id']}", source=ids, previous=ids[:1], target=ids[:1])


def source(path, rows: int, seed: int = 0, **others) -> Source:
    rng = random.Random(seed)
    path.write_text("".join(f"{i:04d}\t{'x' * rng.randrange(1, 60)}\n" for i in range(rows)))
    table = Table(path, ("uniq_id", "text"))
    return Source(table=table, task=others.pop("task", Words()), lengths=text_lengths(table), **others)


def padding(batches) -> float:
    """The share of source positions that hold no token."""
    return sum((b.source == PAD).sum().item() for b in batches) / sum(b.source.numel() for b in batches)


@pytest.mark.parametrize("kind", ["caption", "vqa", "snli_ve", "image_gen", "text"])
def test_lengths_are_those_of_the_fields(tmp_path, kind):
    rng, columns = random.Random(kind), TABLES[kind]
    rows = [["é" * rng.randrange(30) for _ in columns] for _ in range(50)]
    rows[7] = rows[7][:-1]
    paths = [tmp_path / "a.tsv", tmp_path / "b.tsv"]
    for path, part in zip(paths, (rows[:20], rows[20:]), strict=True):
        path.write_text("".join("\t".join(row) + "\n" for row in part))
    expected = [len("".join(v for c, v in zip(columns, row, strict=False) if c in TEXTS).encode()) for row in rows]
    lengths = text_lengths(Table(paths, columns))
    assert lengths[7] == 0
    # Tabs and the line's end count too, alike for every row.
    good = np.delete(lengths - np.array(expected), 7)
    assert len(set(good.tolist())) == 1


@pytest.fixture
def sources(tmp_path):
    return [
        source(tmp_path / "a.tsv", 700, 0, task=Words("a"), weight=3),
        source(tmp_path / "b.tsv", 150, 1, task=Words("b"), weight=1),
    ]


def test_a_pool_holds_the_rows_of_its_steps_with_less_padding(sources):
    plain, pooled = Stream(sources, 16, seed=1), Stream(sources, 16, seed=1, pool=20)
    for first in (0, 20, 60):  # the last of them crosses the ends of epochs
        steps = range(first, first + 20)
        rows = [sorted(row[1:] for step in steps for row in s.rows(step)) for s in (plain, pooled)]
        assert rows[0] == rows[1]
        batches = [[s.batch(step) for step in steps] for s in (plain, pooled)]
        assert padding(batches[1]) < padding(batches[0]) / 3
        lengths = [batch.source.shape[1] for batch in batches[1]]
        assert lengths != sorted(lengths) and lengths != sorted(lengths, reverse=True)


def test_both_sources_are_short_or_long_together(sources):
    stream = Stream(sources, 16, pool=20)
    means = []
    for step in range(20):
        of = {name: [s.lengths[i] for s, _, i in stream.rows(step) if s.key == name] for name in "ab"}
        means.append([np.mean(of["a"]), np.mean(of["b"])])
    assert np.corrcoef(np.array(means).T)[0, 1] > 0.9


def test_ranks_share_out_every_step(sources):
    whole = Stream(sources, 16, pool=10)
    ranks = [Stream(sources, 16, rank=rank, world=2, pool=10) for rank in range(2)]
    for step in (0, 3, 9, 10, 25):
        parts = [stream.rows(step) for stream in ranks]
        assert sorted(row[1:] for part in parts for row in part) == sorted(row[1:] for row in whole.rows(step))
        assert len(parts[0]) == len(parts[1]) == 8


@pytest.mark.parametrize("start", [0, 7, 23])
def test_a_stream_goes_on_anywhere_with_any_number_of_workers(sources, start):
    expected = [batch.ids for batch in islice(Stream(sources, 8, seed=2, pool=10), start + 6)][start:]
    stream = Stream(sources, 8, seed=2, pool=10, workers=2)
    stream.step = start
    assert [batch.ids for batch in islice(stream, 6)] == expected


def test_blocks_of_rows_stay_together(tmp_path):
    stream = Stream([source(tmp_path / "a.tsv", 400, block=4)], 8, pool=10)
    for step in range(25):
        indices = [index for _, _, index in stream.rows(step)]
        assert indices[:4] == list(range(indices[0], indices[0] + 4)) and indices[0] % 4 == 0


def test_without_lengths_there_are_no_pools(tmp_path):
    bare = Source(table=source(tmp_path / "a.tsv", 10).table, task=Words())
    with pytest.raises(OFAError, match="source 'words': the lengths of its rows are not known"):
        Stream([bare], 4, pool=2)
    with pytest.raises(OFAError, match="pool: only rows of a table have a length"):
        text_lengths([{"text": "x"}])
