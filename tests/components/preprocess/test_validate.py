"""Validation passes good data, and names each defect: the expectation, how many rows, which ones."""

import json
import pickle

import pytest

from components.preprocess.validate import DOCS, REPORT, validate
from ofa.errors import OFAError


def check(folder, out, **settings):
    """Report of data that must not pass, and the message."""
    with pytest.raises(OFAError) as caught:
        validate(str(out), raw=folder, image_rate=1.0, **settings)
    return json.loads((out / REPORT).read_text()), str(caught.value)


def test_the_built_in_data_pass_every_suite(raw, tmp_path):
    report = validate(str(tmp_path / "out"), raw=str(raw))
    assert report == json.loads((tmp_path / "out" / REPORT).read_text())
    assert report["success"] and report["failures"] == []
    assert report["pictures"]["all"] == 21
    captions = json.loads((raw / "annotations/captions_train.json").read_text())["annotations"]
    assert report["rows"]["caption_train"] == len(captions)
    kinds = {"picture", "caption", "refcoco", "vqa", "vision_language", "detection", "text"}
    assert set(report["expectations"]) == kinds
    assert (tmp_path / "out" / DOCS / "index.html").is_file()


def test_every_defect_is_found_with_its_rows(spoiled, edit, sign, tmp_path):
    pictures = spoiled / "images" / "train"
    content = (pictures / "000000000001.jpg").read_bytes()
    (pictures / "000000000001.jpg").write_bytes(content[: len(content) // 2])
    (pictures / "000000000002.jpg").unlink()
    (pictures / "000000000003.jpg").write_bytes(b"GIF89a" + bytes(200))

    def spoil_captions(file):
        file["annotations"][20]["caption"] = " "
        file["annotations"][21]["caption"] = "a " * 81
        file["annotations"][23]["id"] = file["annotations"][22]["id"]

    def spoil_boxes(file):
        for annotation in file["annotations"]:
            if annotation["image_id"] == 5:
                annotation["bbox"][2] = 0
            if annotation["image_id"] == 6:
                annotation["bbox"][0] = 5000

    def spoil_answers(file):
        for answer in file["annotations"][3]["answers"]:
            answer["answer"] = ""

    edit(spoiled / "annotations/captions_train.json", spoil_captions)
    edit(spoiled / "refcoco/instances.json", spoil_boxes)
    edit(spoiled / "vqa/annotations_train.json", spoil_answers)
    questions = json.loads((spoiled / "vqa/questions_train.json").read_text())["questions"]
    captions = json.loads((spoiled / "annotations/captions_train.json").read_text())["annotations"]
    report, message = check(sign(spoiled), tmp_path / "out")

    found = {(failure["table"], failure["column"]): failure for failure in report["failures"] if failure["column"]}
    assert found["picture", "error"]["rows"] == 3
    assert found["picture", "format"]["rows"] == 1
    assert found["caption", "fewest_words"]["examples"] == [f"caption_train/{captions[20]['id']}"]
    assert found["caption", "most_words"]["examples"] == [f"caption_train/{captions[21]['id']}"]
    assert found["caption", "key"]["rows"] == 2
    assert found["refcoco", "smallest_side"]["rows"] >= 1
    assert found["refcoco", "outside"]["rows"] >= 1
    unanswered = [failure for failure in report["failures"] if "needs an answer" in failure["because"]]
    assert unanswered[0]["examples"] == [f"vqa_train/{questions[3]['question_id']}"]
    assert "picture: expect_column_values_to_be_null(column=error) does not hold: 3 rows" in message
    assert "images/train/000000000001.jpg" in message
    assert "max_bad_rows is 0" in message
    assert str(tmp_path / "out" / DOCS / "index.html") in message


def test_a_picture_in_training_and_in_a_test_is_found(spoiled, sign, tmp_path):
    path = spoiled / "refcoco" / "refs(ofa).p"
    refs = pickle.loads(path.read_bytes())
    moved = next(ref for ref in refs if ref["image_id"] == 7)
    moved["split"] = "val"
    path.write_bytes(pickle.dumps(refs, protocol=2))
    report, _ = check(sign(spoiled), tmp_path / "out", kinds=["refcoco"])
    (failure,) = report["failures"]
    assert failure["because"] == "a picture of the training split must not be in a split that measures"
    ids = [f"refcoco_val/{moved['ref_id']}_{number + 1}" for number in range(len(moved["sentences"]))]
    assert failure["examples"] == ids


def test_the_same_file_under_another_path_is_the_same_picture(spoiled, edit, sign, tmp_path):
    def leak(file):
        file["images"][0]["file_name"] = "../train/000000000001.jpg"

    edit(spoiled / "annotations/captions_val.json", leak)
    report, _ = check(sign(spoiled), tmp_path / "out", kinds=["caption"])
    assert report["failures"][0]["examples"] == ["caption_val/13"]


def test_a_truncated_picture_is_found_only_among_those_that_are_decoded(spoiled, sign, tmp_path):
    for path in (spoiled / "images").rglob("*.jpg"):
        content = path.read_bytes()
        path.write_bytes(content[: len(content) - 300])
    sign(spoiled)
    report = validate(str(tmp_path / "none"), raw=str(spoiled), image_rate=0.0)
    assert report["pictures"] == {"all": 21, "decoded": 0}
    report, _ = check(str(spoiled), tmp_path / "all")
    assert report["failures"][0]["rows"] == report["pictures"]["decoded"] == 21


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"image_rate": 2.0}, "image_rate is 2.0"),
        ({"max_bad_rows": -1}, "max_bad_rows is -1"),
        ({"kinds": ["captoin"]}, "unknown kind of table 'captoin', did you mean 'caption'"),
        ({"suites": "/no/suites"}, "no such folder of suites"),
        ({"previous": "/no/report.json"}, "cannot read the report of the last version"),
    ],
)
def test_a_wrong_setting_is_named(raw, tmp_path, settings, message):
    with pytest.raises(OFAError, match=message):
        validate(str(tmp_path / "out"), raw=str(raw), **settings)
    assert list(tmp_path.iterdir()) == []


def test_raw_data_that_are_not_there_are_named(tmp_path):
    with pytest.raises(OFAError, match="no such folder; make the raw data with `ofa data fetch"):
        validate(str(tmp_path / "out"), raw=str(tmp_path / "raw"))
