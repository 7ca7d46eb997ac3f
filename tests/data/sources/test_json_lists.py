"""Lists in JSON files are read an entry at a time, wherever the file is cut while it is read."""

import json
import tracemalloc

import pytest

from ofa.data.sources import json_lists
from ofa.data.sources.json_lists import read_list
from ofa.errors import OFAError

CONTENT = {
    "info": {"name": 'a ["list"] of \\ things', "number": -1.25e3},
    "license": 12.5,
    "images": [{"id": 1, "boxes": [[1.5, 2], []]}, {"id": 2, "boxes": []}],
    "annotations": [{"answer": '中文 \u00e9 " ]'}, [], "text", 12.75, 1e-3, -7, None, True, {"a": {"b": [{}]}}],
    "empty": [],
}


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 64, 1 << 20])
@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("ascii", [True, False])
def test_the_entries_are_those_that_json_reads(tmp_path, monkeypatch, chunk, indent, ascii):
    monkeypatch.setattr(json_lists, "_CHUNK", chunk)
    path = tmp_path / "file.json"
    path.write_text(json.dumps(CONTENT, indent=indent, ensure_ascii=ascii), encoding="utf-8")
    for key in ("images", "annotations", "empty"):
        assert list(read_list(path, key)) == CONTENT[key]


def test_no_more_is_in_memory_than_the_entries_take(tmp_path):
    path = tmp_path / "file.json"
    path.write_text(json.dumps({"annotations": [{"text": "x" * 1000}] * 10_000}))
    tracemalloc.start()
    try:
        assert all(entry == {"text": "x" * 1000} for entry in read_list(path, "annotations"))
        assert tracemalloc.get_traced_memory()[1] < 3 * json_lists._CHUNK < path.stat().st_size
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "holds no JSON object with 'annotations'"),
        ("[1]", "holds no JSON object with 'annotations'"),
        ("nonsense", "holds no JSON object with 'annotations'"),
        ('{"anotations": []}', "has no 'annotations', did you mean 'anotations'.; it has anotations"),
        ('{"annotations": 3}', ": 'annotations' is not a list"),
        ('{"annotations": [1, 2', "is not a JSON file .*premature EOF.*fetch it again"),
        ('{"annotations": [{"a": 1}, {"b', "is not a JSON file .*premature EOF.*fetch it again"),
        ('{"annotations": [1 2]}', "is not a JSON file .*after array element, I expect ',' or '\\]'"),
        ('{"images": [1, 2}', "is not a JSON file"),
    ],
)
def test_another_file_is_named_with_the_reason(tmp_path, text, reason):
    path = tmp_path / "file.json"
    path.write_text(text)
    with pytest.raises(OFAError, match=f"file.json ?{reason}"):
        list(read_list(path, "annotations"))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(OFAError, match="cannot read .*absent.json: No such file"):
        list(read_list(tmp_path / "absent.json", "annotations"))
