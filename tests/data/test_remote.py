"""Tables in an S3 store are those of the disk, row by row; what goes wrong on the way is mended or explained."""

import base64
import logging
import random
from itertools import islice

import pytest
import s3fs
import torch

from ofa.data import TABLES, Table, remote
from ofa.data.batch import Sample
from ofa.data.mixing import Source, Stream
from ofa.data.remote import Unreachable, files_like, local_file, local_folder

COLUMNS = TABLES["caption"]


class Echo:
    """A task that shows the whole row."""

    name = "echo"

    def sample(self, row, train, rng):
        content = [*row["caption"].encode(), *bytes(row["image"]), rng.randrange(100)]
        ids = torch.tensor(content)
        return Sample(id=row["uniq_id"], source=ids, previous=ids[:1], target=ids[:1])


def lines(first: int, count: int, ending: bytes = b"\n", size: int = 600) -> bytes:
    rng = random.Random(first)
    rows = []
    for number in range(first, first + count):
        image = base64.b64encode(rng.randbytes(rng.randrange(size)))
        rows.append(b"\t".join([b"%d" % number, b"%d" % (number // 2), f"a 狗 {number}".encode(), b"", image]))
    return ending.join(rows) + ending


@pytest.fixture
def both(tmp_path, bucket):
    """The same shards on the disk and in the store."""
    shards = {"a.tsv": lines(0, 90), "b.tsv": b"", "c.tsv": lines(90, 60, b"\r\n")[:-2]}
    for name, content in shards.items():
        (tmp_path / name).write_bytes(content)
    addresses = [bucket.put(name, content) for name, content in shards.items()]
    return [tmp_path / name for name in shards], addresses


def whole(row) -> dict:
    return {name: bytes(value) if name == "image" else value for name, value in row.items()}


def test_rows_are_those_of_the_local_table(both):
    local, distant = (Table(paths, COLUMNS) for paths in both)
    order = random.Random(1).sample(range(150), 40)
    assert len(distant) == 150 and distant.size == local.size
    assert [whole(row) for row in distant] == [whole(row) for row in local]
    distant.ahead(order[:20])
    for number in order:
        assert whole(distant[number]) == whole(local[number]) and distant.line(number) == local.line(number)
    assert distant.locate(149) == (both[1][2], 59)


@pytest.mark.parametrize("workers", [0, 2])
def test_training_batches_are_those_of_the_local_table(both, workers):
    local, distant = (
        Stream([Source(table=Table(paths, COLUMNS), task=Echo())], 16, seed=3, workers=workers) for paths in both
    )
    for here, there in zip(islice(local, 12), islice(distant, 12), strict=True):
        assert here.ids == there.ids and torch.equal(here.source, there.source)


def test_only_the_rows_of_a_batch_travel(bucket):
    address = bucket.put("t.tsv", lines(0, 400, size=20_000))
    table = Table(address, COLUMNS)
    assert bucket.door.received > table.size, "the index reads all of it once"
    before = bucket.door.received
    stream = Stream([Source(table=Table(address, COLUMNS), task=Echo())], 4)
    batch = stream.batch(7)
    wanted = sum(len(table.line(int(name))) for name in batch.ids)
    travelled = bucket.door.received - before
    assert wanted < travelled < 2 * wanted + 20_000 < table.size / 10


def test_rows_in_order_come_in_large_blocks(bucket, monkeypatch):
    table = Table(bucket.put("t.tsv", lines(0, 300)), COLUMNS)
    asked = []
    read = table.shards[0]._file.read
    monkeypatch.setattr(table.shards[0]._file, "read", lambda ranges: asked.append(ranges) or read(ranges))
    assert [int(table[number]["uniq_id"]) for number in range(300)] == list(range(300))
    assert len(asked) == 2


def test_a_changed_file_is_indexed_anew(bucket):
    bucket.put("t.tsv", lines(0, 5))
    assert len(Table(f"{bucket.url}/t.tsv", COLUMNS)) == 5
    bucket.put("t.tsv", lines(0, 7))
    assert len(Table(f"{bucket.url}/t.tsv", COLUMNS)) == 7


def test_a_file_that_is_replaced_under_a_run_is_noticed(bucket):
    table = Table(bucket.put("t.tsv", lines(0, 50)), COLUMNS)
    bucket.put("t.tsv", lines(50, 60))
    stream = Stream([Source(table=table, task=Echo())], 8, max_bad_rows=1000)
    with pytest.raises(Unreachable, match="t.tsv: was replaced while it was read; start again"):
        stream.batch(0)


def test_a_cut_connection_is_taken_up_again(both, bucket, monkeypatch, caplog):
    monkeypatch.setattr(remote, "WAITS", (0.01,) * 4)
    local, distant = (Table(paths, COLUMNS) for paths in both)
    bucket.door.cuts = 3
    with caplog.at_level(logging.WARNING):
        distant.ahead(range(0, 150, 3))
        rows = [whole(distant[number]) for number in range(0, 150, 3)]
    assert rows == [whole(local[number]) for number in range(0, 150, 3)]
    assert bucket.door.cuts == 0


def test_a_store_that_went_away_stops_the_run_and_is_no_bad_row(both, bucket, monkeypatch):
    monkeypatch.setattr(remote, "WAITS", (0.01,))
    # The layers below ride out minutes by themselves.
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    s3fs.S3FileSystem.clear_instance_cache()
    stream = Stream([Source(table=Table(both[1], COLUMNS), task=Echo())], 8, max_bad_rows=1000)
    stream.batch(0)
    bucket.door.cuts, bucket.door.after = 10**6, 0
    with pytest.raises(Unreachable, match="cannot be read: .*; check the address and the network"):
        stream.batch(1)


def test_what_is_not_there_is_named(bucket):
    bucket.put("t.tsv", b"1\tx\n")
    for address in (f"{bucket.url}/none.tsv", "s3://no-such-bucket/t.tsv"):
        with pytest.raises(Unreachable, match=f"{address}: no such folder, file, bucket or address; check the name"):
            Table(address, COLUMNS)
    with pytest.raises(Unreachable, match="Protocol not known: s4"):
        Table("s4://b/t.tsv", COLUMNS)


def test_wrong_and_missing_credentials_are_explained(bucket, monkeypatch, tmp_path):
    address = bucket.put("t.tsv", b"1\tx\n")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(Unreachable, match="access denied.*set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        Table(address, COLUMNS)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(Unreachable, match="no credentials for this store; set AWS_ACCESS_KEY_ID"):
        Table(address, COLUMNS)


def test_files_of_a_folder(bucket, tmp_path):
    for name in ("b-1.tsv", "b-0.tsv", "c.txt", "deeper/b-2.tsv"):
        bucket.put(f"folder/{name}", name.encode())
    folder = f"{bucket.url}/folder"
    assert files_like(folder, "b-*.tsv") == [f"{folder}/b-0.tsv", f"{folder}/b-1.tsv"]
    assert files_like(f"{bucket.url}/none", "*") == [] and files_like(tmp_path / "none", "*") == []
    copy = local_folder(folder)
    assert sorted(path.name for path in copy.iterdir() if not path.name.startswith(".")) == [
        "b-0.tsv", "b-1.tsv", "c.txt",
    ]  # fmt: skip
    assert (copy / "c.txt").read_text() == "c.txt" and local_file(f"{folder}/c.txt").read_text() == "c.txt"
    bucket.put("folder/c.txt", b"changed")
    assert (local_folder(folder) / "c.txt").read_text() == "changed"
    assert local_file(f"{folder}/c.txt").read_text() == "changed"
