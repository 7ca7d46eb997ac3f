"""Labels whose shares differ from those of the last version of the data stop the pipeline."""

import json

import pytest

from components.preprocess.validate import REPORT, validate
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


def test_a_file_that_is_no_report_is_named(raw, tmp_path):
    (tmp_path / "last.json").write_text("[]")
    with pytest.raises(OFAError, match="last.json: not a report of this step"):
        validate(str(tmp_path / "out"), raw=str(raw), previous=str(tmp_path / "last.json"))
