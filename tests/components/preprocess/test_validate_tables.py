"""Tables that exist already, ours or the original's, pass through the same suites as raw data."""

import json

import pytest

from components.preprocess.tables import tables
from components.preprocess.validate import REPORT, validate
from ofa.errors import OFAError


@pytest.fixture(scope="module")
def built(raw, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables") / "tables"
    tables(str(folder), str(raw), processes=1)
    return folder


def test_tables_that_were_built_pass(built, tmp_path):
    paths = [str(path) for path in built.glob("*_*.tsv")]
    report = validate(str(tmp_path / "out"), tables=paths, image_rate=1.0)
    statistics = json.loads((built / "statistics.json").read_text())["tables"]
    assert report["rows"] == {name: table["statistics"]["rows"] for name, table in statistics.items()}


def test_broken_rows_of_a_table_are_found(built, tmp_path):
    lines = (built / "caption_val.tsv").read_bytes().splitlines()
    fields = [line.split(b"\t") for line in lines]
    fields[0] = fields[0][:4]
    fields[1][4] = fields[1][4][:50] + b"*" + fields[1][4][51:]
    fields[2][2] = b"\xff\xfe"
    path = tmp_path / "caption_val.tsv"
    path.write_bytes(b"\n".join(b"\t".join(row) for row in fields) + b"\n")
    with pytest.raises(OFAError):
        validate(str(tmp_path / "out"), tables=[str(path)], image_rate=1.0)
    report = json.loads((tmp_path / "out" / REPORT).read_text())
    found = {(failure["table"], failure["column"]): failure["rows"] for failure in report["failures"]}
    assert found["caption", "error"] == 2
    assert found["picture", "error"] == 1
    reasons = (tmp_path / "out" / "rejected.tsv").read_text()
    assert "caption_val\t0\t13\t4 columns instead of 5" in reasons
    assert "caption_val\t1\t14\t14: bad base64" in reasons
    assert "caption_val\t2\t15\tcolumn caption is not UTF-8" in reasons


def test_the_originals_tables_are_read(golden, tmp_path):
    folder = golden / "dataset" / "data"
    for kind in ("vqa", "refcoco", "detection", "text"):
        (tmp_path / f"{kind}_val.tsv").write_bytes((folder / f"{kind}.tsv").read_bytes())
    paths = [str(tmp_path / f"{kind}_val.tsv") for kind in ("vqa", "refcoco", "detection", "text")]
    report = validate(str(tmp_path / "out"), tables=paths, image_rate=1.0, max_bad_rows=100)
    assert report["rows"]["vqa_val"] == len((folder / "vqa.tsv").read_bytes().splitlines())
    assert set(report["rows"]) == {"vqa_val", "refcoco_val", "detection_val", "text_val"}


def test_a_table_whose_name_says_no_kind_is_refused(built, tmp_path):
    path = tmp_path / "pictures.tsv"
    path.write_bytes((built / "caption_val.tsv").read_bytes())
    with pytest.raises(OFAError, match="a table's name must be KIND_SPLIT.tsv"):
        validate(str(tmp_path / "out"), tables=[str(path)])
