"""A few bad rows are put aside, noted with their reasons and left out of the tables; more of them stop the pipeline."""

import json

import pytest

from components.preprocess.quarantine import read_rejected
from components.preprocess.tables import tables
from components.preprocess.validate import REPORT, validate
from ofa.data import TABLES, Table
from ofa.errors import OFAError


@pytest.fixture
def bad(spoiled, edit, sign):
    """Raw data with an empty caption in training and a picture of the validation split that is cut off."""

    def empty(file):
        file["annotations"][8]["caption"] = ""

    edit(spoiled / "annotations/captions_train.json", empty)
    picture = spoiled / "images/val/000000000014.jpg"
    picture.write_bytes(picture.read_bytes()[:700])
    return sign(spoiled)


def test_bad_rows_are_noted_and_left_out_of_the_tables(bad, spoiled, tmp_path):
    report = validate(str(tmp_path / "checked"), raw=bad, max_bad_rows=100, image_rate=1.0)
    captions = json.loads((spoiled / "annotations/captions_train.json").read_text())["annotations"]
    empty = str(captions[8]["id"])
    rejected = read_rejected(tmp_path / "checked")
    assert report["success"]
    assert report["rejected"]["rows"] == sum(map(len, rejected.values()))
    assert rejected["caption_train"] == {empty: "fewest_words is 0: an empty caption says nothing"}
    assert list(rejected["caption_val"]) == ["14"]
    assert "damaged picture" in rejected["caption_val"]["14"]
    assert {"refcoco_val", "vqa_val", "detection_val", "vision_language_val"} < set(rejected)

    statistics = tables(str(tmp_path / "tables"), bad, str(tmp_path / "checked"), kinds=["caption"], processes=1)
    built = {row["uniq_id"] for row in Table(tmp_path / "tables/caption_train.tsv", TABLES["caption"])}
    assert built == {str(caption["id"]) for caption in captions} - {empty}
    assert {row["uniq_id"] for row in Table(tmp_path / "tables/caption_val.tsv", TABLES["caption"])} == {
        "13",
        "15",
        "16",
    }
    assert statistics["tables"]["caption_train"]["left_out"] == {rejected["caption_train"][empty]: 1}


def test_one_bad_row_more_than_allowed_stops(bad, tmp_path):
    settings = {"raw": bad, "image_rate": 1.0, "kinds": ["caption"]}
    assert validate(str(tmp_path / "enough"), max_bad_rows=2, **settings)["success"]
    with pytest.raises(OFAError, match="2 bad rows, max_bad_rows is 1"):
        validate(str(tmp_path / "less"), max_bad_rows=1, **settings)
    assert not json.loads((tmp_path / "less" / REPORT).read_text())["success"]


def test_data_that_do_not_pass_without_their_bad_rows_stop(spoiled, edit, sign, tmp_path):
    def empty(file):
        for annotation in file["annotations"]:
            annotation["caption"] = ""

    for split in ("train", "val", "test", "test_pairs"):
        edit(spoiled / f"annotations/captions_{split}.json", empty)
    with pytest.raises(OFAError, match="found 0; there must be pictures to learn from"):
        validate(str(tmp_path / "out"), raw=sign(spoiled), kinds=["caption"], max_bad_rows=1000)


def test_the_folder_of_an_earlier_validation_is_needed_if_it_is_named(raw, tmp_path):
    with pytest.raises(OFAError, match="validate the raw data first"):
        tables(str(tmp_path / "tables"), str(raw), str(tmp_path / "nothing"), processes=1)
