"""COCO's files and Karpathy's become rows of the caption and the detection table."""

import json
from pathlib import Path

import pytest

from ofa.data.schema import TABLES
from ofa.data.sources import coco
from ofa.errors import OFAError

IMAGES = [
    {"id": 9, "file_name": "COCO_train2014_000000000009.jpg", "width": 640, "height": 480, "license": 3},
    {"id": 25, "file_name": "COCO_train2014_000000000025.jpg", "width": 640, "height": 426, "license": 1},
    {"id": 30, "file_name": "COCO_train2014_000000000030.jpg", "width": 640, "height": 428, "license": 1},
]
CAPTIONS = {
    "info": {"description": "COCO 2014 Dataset"},
    "images": IMAGES,
    "annotations": [
        {"image_id": 25, "id": 48, "caption": "A Giraffe eating leaves\toff a tree.\n"},
        {"image_id": 9, "id": 661, "caption": "A bento box && lunch. "},
        {"image_id": 25, "id": 51, "caption": "Two  giraffes."},
    ],
}
INSTANCES = {
    "images": IMAGES,
    "annotations": [
        {"id": 1, "image_id": 25, "category_id": 25, "bbox": [385.53, 60.03, 214.97, 297.16], "iscrowd": 0, "area": 1},
        {"id": 2, "image_id": 25, "category_id": 1, "bbox": [0.0, 0.5, 10.0, 20.0], "iscrowd": 1, "area": 1},
        {"id": 3, "image_id": 9, "category_id": 25, "bbox": [1, 2, 0.0, 20.0], "iscrowd": 0, "area": 0},
        {"id": 4, "image_id": 25, "category_id": 64, "bbox": [53.01, 356.49, 132.03, 55.19], "iscrowd": 0, "area": 1},
    ],
    "categories": [
        {"id": 1, "name": "person", "supercategory": "person"},
        {"id": 25, "name": "giraffe", "supercategory": "animal"},
        {"id": 64, "name": "potted plant", "supercategory": "furniture"},
    ],
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / IMAGES[0]["file_name"]).write_bytes(b"picture")
    (tmp_path / "captions.json").write_text(json.dumps(CAPTIONS))
    (tmp_path / "instances.json").write_text(json.dumps(INSTANCES))
    return tmp_path


def test_a_row_a_caption_for_training(folder):
    rows = list(coco.caption_rows(folder / "captions.json", folder / "images", "train"))
    assert [(row["uniq_id"], row["image_id"], row["caption"]) for row in rows] == [
        ("661", "9", "a bento box & lunch."),
        ("48", "25", "a giraffe eating leaves off a tree."),
        ("51", "25", "two giraffes."),
    ]
    assert all(set(row) == {*TABLES["caption"], "image_path"} - {"image"} for row in rows)
    assert rows[0]["image_path"] == str(folder / "images" / IMAGES[0]["file_name"])


def test_a_row_a_picture_for_evaluation(folder):
    rows = list(coco.caption_rows(folder / "captions.json", folder / "images", "val"))
    assert [(row["uniq_id"], row["caption"]) for row in rows] == [
        ("9", "a bento box & lunch."),
        ("25", "a giraffe eating leaves off a tree.&&two giraffes."),
    ]


def test_karpathy_splits(folder):
    content = {
        "dataset": "coco",
        "images": [
            {
                "filepath": "val2014",
                "filename": f"COCO_val2014_{number:012d}.jpg",
                "split": split,
                "cocoid": number,
                "imgid": position,
                "sentids": [10 * number, 10 * number + 1],
                "sentences": [
                    {"raw": f"Picture {number}.", "tokens": ["picture"], "imgid": position, "sentid": 10 * number},
                    {"raw": "Another", "tokens": ["another"], "imgid": position, "sentid": 10 * number + 1},
                ],
            }
            for position, (number, split) in enumerate([(7, "train"), (8, "restval"), (9, "val"), (10, "test")])
        ],
    }
    path = folder / "dataset_coco.json"
    path.write_text(json.dumps(content))
    train = list(coco.caption_rows(path, folder / "images", "train"))
    assert [row["uniq_id"] for row in train] == ["70", "71", "80", "81"]
    assert Path(train[0]["image_path"]) == folder / "images" / "val2014" / "COCO_val2014_000000000007.jpg"
    (test,) = coco.caption_rows(path, folder / "images", "test")
    assert (test["uniq_id"], test["caption"]) == ("10", "picture 10.&&another")
    with pytest.raises(OFAError, match="no split 'testA'; it has restval, test, train, val"):
        list(coco.caption_rows(path, folder / "images", "testA"))


def test_detection_rows_leave_out_crowds_and_empty_boxes(folder):
    rows = list(coco.detection_rows(folder / "instances.json", folder / "images"))
    assert [(row["uniq_id"], row["boxes"]) for row in rows] == [
        ("25", "385.53,60.03,600.5,357.19,25,giraffe&&53.01,356.49,185.04,411.68,64,potted plant")
    ]
    assert set(rows[0]) == {*TABLES["detection"], "image_path"} - {"image"}
    assert coco.object_names(folder / "instances.json") == {
        "25": ["giraffe", "person", "potted plant"],
        "9": ["giraffe"],
    }


def test_bad_input_is_named(folder, tmp_path):
    images = folder / "images"

    def caption_error(path, pictures=images):
        with pytest.raises(OFAError) as caught:
            list(coco.caption_rows(path, pictures, "train"))
        return str(caught.value)

    assert "absent.json" in caption_error(folder / "absent.json")
    (folder / "broken.json").write_text('{"images": [')
    assert "broken.json is not a JSON file" in caption_error(folder / "broken.json")
    (folder / "list.json").write_text("[]")
    assert "list.json holds no JSON object" in caption_error(folder / "list.json")
    (folder / "other.json").write_text('{"image": []}')
    assert "has no 'images', did you mean 'image'?" in caption_error(folder / "other.json")
    (folder / "short.json").write_text(json.dumps({"images": IMAGES, "annotations": [{"id": 1, "image_id": 9}]}))
    assert "short.json: annotations[0] has no 'caption'" in caption_error(folder / "short.json")
    assert "nowhere does not exist" in caption_error(folder / "captions.json", folder / "nowhere")
    (folder / "empty").mkdir()
    assert "empty is empty" in caption_error(folder / "captions.json", folder / "empty")
    wrong = INSTANCES | {"categories": INSTANCES["categories"][:1]}
    (folder / "instances.json").write_text(json.dumps(wrong))
    with pytest.raises(OFAError, match=r"annotations\[0\] is of category 25"):
        list(coco.detection_rows(folder / "instances.json", images))
