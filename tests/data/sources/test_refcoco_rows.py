"""RefCOCO's pickle and instances become rows of the refcoco table."""

import json
import pickle

import pytest

from ofa.data.schema import TABLES
from ofa.data.sources import refcoco
from ofa.errors import OFAError


def ref(number, split, annotation, *texts):
    sentences = [
        {"tokens": text.split(), "raw": text, "sent": text.lower(), "sent_id": 10 * number + position}
        for position, text in enumerate(texts)
    ]
    return {
        "ref_id": number, "ann_id": annotation, "image_id": 581857, "split": split, "category_id": 1,
        "file_name": "COCO_train2014_000000581857_16.jpg", "sent_ids": [s["sent_id"] for s in sentences],
        "sentences": sentences,
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "train2014").mkdir()
    (tmp_path / "train2014" / "COCO_train2014_000000581857.jpg").write_bytes(b"picture")
    refs = [ref(0, "train", 1719310, "Navy blue  shirt", "woman back"), ref(1, "testA", 1719310, "the lady")]
    (tmp_path / "refs(unc).p").write_bytes(pickle.dumps(refs, protocol=0))
    instances = {
        "images": [{"id": 581857, "file_name": "COCO_train2014_000000581857.jpg", "width": 640, "height": 427}],
        "annotations": [{"id": 1719310, "image_id": 581857, "bbox": [0.0, 45.95, 238.92, 408.64], "category_id": 1}],
    }
    (tmp_path / "instances.json").write_text(json.dumps(instances))
    return tmp_path


def rows(folder, split, refs="refs(unc).p"):
    return list(refcoco.rows(folder / refs, folder / "instances.json", folder / "train2014", split))


def test_a_row_an_expression(folder):
    made = rows(folder, "train")
    assert [(row["uniq_id"], row["text"], row["box"]) for row in made] == [
        ("0_1", "Navy blue shirt", "0,45.95,238.92,454.59"),
        ("0_2", "woman back", "0,45.95,238.92,454.59"),
    ]
    assert set(made[0]) == {*TABLES["refcoco"], "image_path"} - {"image"}
    assert made[0]["image_path"].endswith("train2014/COCO_train2014_000000581857.jpg")
    assert [row["text"] for row in rows(folder, "testA")] == ["the lady"]


def test_bad_input_is_named(folder):
    with pytest.raises(OFAError, match="no split 'testB'; it has testA, train"):
        rows(folder, "testB")
    with pytest.raises(OFAError, match=r"refs\(google\).p"):
        rows(folder, "train", "refs(google).p")
    (folder / "dict.p").write_bytes(pickle.dumps({"refs": []}))
    with pytest.raises(OFAError, match="dict.p holds a dict, not a list of refs"):
        rows(folder, "train", "dict.p")
    (folder / "other.p").write_bytes(pickle.dumps([ref(4, "train", 7, "dog")]))
    with pytest.raises(OFAError, match="ref 0 is of annotation 7 in image 581857, not in .*instances.json"):
        rows(folder, "train", "other.p")
    (folder / "short.p").write_bytes(pickle.dumps([{"split": "train", "ref_id": 1}]))
    with pytest.raises(OFAError, match="ref 0 has no 'ann_id'"):
        rows(folder, "train", "short.p")
