"""Tables that exist already, ours or the original's, pass through the same suites as raw data."""

import json
import re

import pytest

from components.preprocess.records import COLUMNS
from components.preprocess.tables import tables
from components.preprocess.validate import REPORT, validate
from ofa.data import TABLES
from ofa.data.sources.glue import FORMATS
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
    assert re.search(r"caption_val\t1\t14\t14 \(\w{8}\): bad base64", reasons)
    assert "caption_val\t2\t15\tcolumn caption is not UTF-8" in reasons


def test_the_originals_tables_of_every_kind_pass(golden, tmp_path):
    folder = golden / "dataset" / "data"
    for kind in COLUMNS:
        lines = (folder / f"{kind}.tsv").read_bytes().splitlines()
        if kind in FORMATS:  # the recorded tables lack the columns that GLUE's tasks do not read
            spare = len(TABLES[kind]) - lines[0].count(b"\t") - 1
            lines = [b"".join(b"%d\t" % (number + i) for i in range(spare)) + line for number, line in enumerate(lines)]
        (tmp_path / f"{kind}_train.tsv").write_bytes(b"\n".join(lines) + b"\n")
    paths = [str(tmp_path / f"{kind}_train.tsv") for kind in COLUMNS]
    report = validate(str(tmp_path / "out"), tables=paths, image_rate=1.0)
    assert report["failures"] == []
    lines = {kind: len((folder / f"{kind}.tsv").read_bytes().splitlines()) for kind in COLUMNS}
    assert report["rows"] == {f"{kind}_train": count for kind, count in lines.items()}


def test_codes_that_do_not_exist_are_found(tmp_path):
    codes = " ".join(map(str, range(8000, 8192))) + " 8192" * 64
    (tmp_path / "image_gen_train.tsv").write_text(f"1\t{codes}\ta dog\n2\t1 2 x\ta dog\n3\t{'7 ' * 64}\t\n")
    with pytest.raises(OFAError):
        validate(str(tmp_path / "out"), tables=[str(tmp_path / "image_gen_train.tsv")])
    report = json.loads((tmp_path / "out" / REPORT).read_text())
    found = {failure["column"]: failure["examples"] for failure in report["failures"]}
    assert found == {
        "error": ["image_gen_train/2"],
        "highest_code": ["image_gen_train/1"],
        "words": ["image_gen_train/3"],
    }


def test_a_table_whose_name_says_no_kind_is_refused(built, tmp_path):
    path = tmp_path / "pictures.tsv"
    path.write_bytes((built / "caption_val.tsv").read_bytes())
    with pytest.raises(OFAError, match="a table's name must be KIND_SPLIT.tsv"):
        validate(str(tmp_path / "out"), tables=[str(path)])
