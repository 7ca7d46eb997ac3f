"""Labels whose shares differ from those of the last version of the data stop the pipeline."""

import json

import numpy as np
import pytest

from components.preprocess.validate import DOCS, REPORT, validate
from ofa.errors import OFAError


@pytest.fixture(scope="module")
def last(raw, tmp_path_factory):
    folder = tmp_path_factory.mktemp("last") / "validated"
    validate(str(folder), raw=str(raw), kinds=["vqa", "detection"])
    return folder / REPORT


def test_the_same_data_have_not_drifted(raw, last, tmp_path):
    report = validate(str(tmp_path / "out"), raw=str(raw), kinds=["vqa", "detection"], previous=str(last))
    before = json.loads(last.read_text())
    assert report["expectations"]["vqa"] == before["expectations"]["vqa"] + 1
    assert report["shares"] == before["shares"]
    assert sum(report["shares"]["vqa"]["answer_type"].values()) == pytest.approx(1)


def test_other_shares_stop(raw, last, tmp_path):
    content = json.loads(last.read_text())
    content["shares"]["vqa"]["answer_type"] = {"other": 0.96, "yes/no": 0.02, "number": 0.02}
    (tmp_path / "last.json").write_text(json.dumps(content))
    with pytest.raises(OFAError, match="vqa: expect_column_kl_divergence.*should be those of the last version"):
        validate(str(tmp_path / "out"), raw=str(raw), kinds=["vqa"], previous=str(tmp_path / "last.json"))


def sentences(folder, positive, rows=200):
    """A table of sentiments of which this many are positive."""
    folder.mkdir()
    lines = (f"sentence number {number}\t{int(number < positive)}\n" for number in range(rows))
    (folder / "sst2_train.tsv").write_text("".join(lines))
    return [str(folder / "sst2_train.tsv")]


def test_a_version_with_another_balance_of_labels_stops_and_says_so(tmp_path):
    last, out = tmp_path / "last" / REPORT, tmp_path / "out"
    validate(str(last.parent), tables=sentences(tmp_path / "before", 112))
    with pytest.raises(OFAError, match="sst2: expect_column_kl_divergence.*the shares of the labels should be"):
        validate(str(out), tables=sentences(tmp_path / "after", 40), previous=str(last))
    (failure,) = json.loads((out / REPORT).read_text())["failures"]
    shares = np.array([40 / 200, 160 / 200]), np.array([112 / 200, 88 / 200])
    assert failure["observed"] == pytest.approx((shares[0] * np.log(shares[0] / shares[1])).sum())
    assert "the shares of the labels should be" in (out / DOCS / "index.html").read_text()


def test_a_file_that_is_no_report_is_named(raw, tmp_path):
    (tmp_path / "last.json").write_text("[]")
    with pytest.raises(OFAError, match="last.json: not a report of this step"):
        validate(str(tmp_path / "out"), raw=str(raw), previous=str(tmp_path / "last.json"))
