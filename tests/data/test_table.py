"""Random access to tab-separated tables."""

import base64
import mmap
import os
import pickle
import zlib
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ofa.data.schema import TABLES
from ofa.data.shards import scan
from ofa.data.sources.glue import FORMATS
from ofa.data.table import RowError, Table, TableWriter
from ofa.errors import OFAError

PAIR = ("uniq_id", "text")


def pair_table(path, content: bytes) -> Table:
    path.write_bytes(content)
    return Table(path, PAIR)


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
@pytest.mark.parametrize("last", [True, False], ids=["terminated", "unterminated"])
def test_rows(tmp_path, ending, last):
    lines = ["1\tä b".encode(), b"2\t", "3\t狗".encode()]
    table = pair_table(tmp_path / "t.tsv", ending.join(lines) + (ending if last else b""))
    assert [tuple(row.values()) for row in table] == [("1", "ä b"), ("2", ""), ("3", "狗")]
    assert len(table) == 3 and table[-1]["text"] == "狗"
    assert table.line(0) == lines[0]
    with pytest.raises(IndexError):
        table[3]


def test_an_empty_table_has_no_rows(tmp_path):
    table = pair_table(tmp_path / "t.tsv", b"")
    assert len(table) == 0 and list(table) == []


def test_the_image_column_is_a_view_of_the_file_not_a_copy(tmp_path):
    path = tmp_path / "t.tsv"
    path.write_bytes(b"7\t/9j/4AAQ\t1 2\n")
    row = Table(path, TABLES["image"])[0]
    assert isinstance(row["image"], memoryview) and isinstance(row["image"].obj, mmap.mmap)
    assert bytes(row["image"]) == b"/9j/4AAQ" and row["codes"] == "1 2"


@pytest.mark.parametrize(
    "line, reason",
    [
        (b"9", "1 column instead of 2"),
        (b"9\tx\ty", "3 columns instead of 2"),
        (b"9\t\xff", "column text is not UTF-8"),
    ],
)
def test_a_bad_row_is_named_and_the_others_still_read(tmp_path, line, reason):
    table = pair_table(tmp_path / "t.tsv", b"0\ta\n" + line + b"\n2\tc\n")
    with pytest.raises(RowError, match=reason) as caught:
        table[1]
    assert (caught.value.table, caught.value.row, caught.value.uniq_id) == (str(tmp_path / "t.tsv"), 1, "9")
    assert "row 1 (uniq-id 9)" in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    assert table[2]["text"] == "c"


def test_shards_read_as_one_table(tmp_path):
    for name, content in [("a", b"0\tx\n1\ty\n"), ("b", b""), ("c", b"2\tz")]:
        (tmp_path / name).write_bytes(content)
    table = Table([tmp_path / name for name in "abc"], PAIR)
    assert [table[i]["uniq_id"] for i in range(-3, 3)] == ["0", "1", "2"] * 2
    assert table.locate(2) == (tmp_path / "c", 0)
    (tmp_path / "c").write_bytes(b"bad")
    with pytest.raises(RowError, match="c, row 0"):
        Table([tmp_path / name for name in "abc"], PAIR)[2]


def test_the_index_is_reused_and_follows_changes_of_the_table(tmp_path):
    path, index = tmp_path / "t.tsv", tmp_path / "t.tsv.idx"
    pair_table(path, b"0\ta\n1\tb\n")
    made = index.stat().st_mtime_ns
    assert len(Table(path, PAIR)) == 2 and index.stat().st_mtime_ns == made
    path.write_bytes(b"0\ta\n1\tb\n2\tc\n")
    assert len(Table(path, PAIR)) == 3
    status = path.stat()
    path.write_bytes(b"0\ta\n1\tbcdef\n")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert len(Table(path, PAIR)) == 2


@pytest.mark.parametrize("damage", [b"", b"short", bytes(100)])
def test_a_damaged_index_is_made_anew(tmp_path, damage):
    path = tmp_path / "t.tsv"
    pair_table(path, b"0\ta\n1\tb\n")
    (tmp_path / "t.tsv.idx").write_bytes(damage)
    assert [row["text"] for row in Table(path, PAIR)] == ["a", "b"]


def test_without_a_writable_index_the_table_works(tmp_path):
    (tmp_path / "t.tsv.idx").mkdir()
    table = pair_table(tmp_path / "t.tsv", b"0\ta\n1\tb\n")
    assert table[1]["text"] == "b"


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(OFAError, match=r"cannot read the table .*none\.tsv: No such file"):
        Table(tmp_path / "none.tsv", PAIR)


def read_texts(table: Table, rows: list[int]) -> list[str]:
    return [table[row]["text"] for row in rows]


def test_worker_processes_read_the_same_rows(tmp_path):
    table = pair_table(tmp_path / "t.tsv", b"".join(b"%d\tvalue %d\n" % (i, i) for i in range(1000)))
    with ProcessPoolExecutor(2) as pool:
        parts = pool.map(read_texts, [table] * 2, [list(range(0, 1000, 2)), list(range(1, 1000, 2))])
    assert [part[7] for part in parts] == ["value 14", "value 15"]


def read_all(table: Table) -> tuple[int, int]:
    """How much resident memory, and how much of it this process's own, grows by reading every picture (kB)."""

    def memory() -> tuple[int, int]:
        lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
        values = {line.split(":")[0]: int(line.split()[1]) for line in lines[1:]}
        return values["Rss"], values["Anonymous"]

    before = memory()
    sum(zlib.crc32(row["image"]) for row in table)
    return tuple(now - then for now, then in zip(memory(), before, strict=True))


def test_worker_processes_share_the_pages_of_the_table(tmp_path):
    image = base64.b64encode(os.urandom(300_000))
    with TableWriter(tmp_path / "t.tsv", TABLES["image"]) as writer:
        for number in range(60):
            writer.write({"uniq_id": number, "image": image, "codes": ""})
    table = Table(tmp_path / "t.tsv", TABLES["image"])
    with ProcessPoolExecutor(2) as pool:
        for resident, own in pool.map(read_all, [table] * 2):
            assert resident > 0.9 * table.size / 1024 and own < 0.1 * table.size / 1024


@settings(deadline=None)
@given(st.binary(max_size=60).map(lambda data: data.replace(b"\x00", b"\n")), st.integers(1, 9))
def test_row_bounds_equal_splitting_at_newlines(data, chunk):
    offsets = scan(data[start : start + chunk] for start in range(0, len(data), chunk)).tolist()
    lines = data.split(b"\n")
    lines = [line + b"\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
    assert [data[a:b] for a, b in zip(offsets[:-1], offsets[1:], strict=True)] == lines


def test_writer_and_table_agree(tmp_path):
    image = base64.b64encode(os.urandom(500))
    row = dict(uniq_id=3, image_id="x", caption="a „quote“", objects="", image=memoryview(image))
    with TableWriter(tmp_path / "t.tsv", TABLES["caption"]) as writer:
        writer.write(row)
        assert not (tmp_path / "t.tsv").exists()
    read = Table(tmp_path / "t.tsv", TABLES["caption"])[0]
    assert read | {"image": bytes(read["image"])} == row | {"uniq_id": "3", "image": image}


@pytest.mark.parametrize("text", ["a\tb", "a\nb", "a\r", "\ud83d"])
def test_the_writer_refuses_what_the_format_cannot_store(tmp_path, text):
    with pytest.raises(RowError, match="column text (holds a tab or a line break|cannot be written as UTF-8)"):
        with TableWriter(tmp_path / "t.tsv", PAIR) as writer:
            writer.write({"uniq_id": "1", "text": text})
    assert list(tmp_path.iterdir()) == []


def test_the_writer_refuses_other_columns(tmp_path):
    with pytest.raises(RowError, match="columns uniq_id, txt instead of uniq_id, text"):
        with TableWriter(tmp_path / "t.tsv", PAIR) as writer:
            writer.write({"uniq_id": "1", "txt": ""})


@pytest.mark.parametrize("kind", TABLES)
def test_the_originals_tables_read_with_our_columns(golden, tmp_path, kind):
    data = (golden / "dataset/data" / f"{kind}.tsv").read_bytes()
    (tmp_path / "t.tsv").write_bytes(data)
    # Those of GLUE were recorded without the columns of ids.
    columns = [column for column in TABLES[kind] if kind not in FORMATS or not column.endswith("_id")]
    rows = list(Table(tmp_path / "t.tsv", columns))
    assert len(rows) == len(data.splitlines()) > 0
    for row in rows:
        if "image" in row:
            assert base64.urlsafe_b64decode(bytes(row["image"]))[:2] in (b"\xff\xd8", b"\x89P")
        for box in row.get("boxes", row.get("box", "")).split("&&") if kind in ("refcoco", "detection") else []:
            assert len([float(number) for number in box.split(",")[:4]]) == 4
