"""Files are found by the names of the built-in data, and by those that COCO, RefCOCO and VQA v2 are published with."""

import json
import pickle

import pytest

from components.preprocess.layout import RawData
from ofa.errors import OFAError


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


@pytest.fixture
def coco(tmp_path):
    """COCO 2014 with VQA v2 and RefCOCO, one picture a split, under their published names."""
    for split, number in (("train2014", 9), ("val2014", 42)):
        name = f"COCO_{split}_{number:012d}.jpg"
        (tmp_path / split).mkdir()
        (tmp_path / split / name).write_bytes(b"jpeg")
        images = [{"id": number, "file_name": name, "width": 640, "height": 480}]
        box = {"id": number, "image_id": number, "category_id": 1, "bbox": [1, 2, 30, 40], "iscrowd": 0}
        caption = {"id": 7 + number, "image_id": number, "caption": "A dog."}
        categories = [{"id": 1, "name": "dog", "supercategory": "animal"}]
        folder = tmp_path / "annotations"
        write(folder / f"captions_{split}.json", {"images": images, "annotations": [caption]})
        write(
            folder / f"instances_{split}.json",
            {"images": images, "annotations": [box], "categories": categories},
        )
        question = {"question_id": number * 1000, "image_id": number, "question": "What is it?"}
        write(tmp_path / "vqa" / f"v2_OpenEnded_mscoco_{split}_questions.json", {"questions": [question]})
        answer = {"question_id": number * 1000, "answers": [{"answer": "dog"}] * 10, "multiple_choice_answer": "dog"}
        answer |= {"question_type": "what is", "answer_type": "other", "image_id": number}
        write(tmp_path / "vqa" / f"v2_mscoco_{split}_annotations.json", {"annotations": [answer]})
    (tmp_path / "test2015").mkdir()
    (tmp_path / "test2015" / "COCO_test2015_000000000001.jpg").write_bytes(b"jpeg")
    question = {"question_id": 1000, "image_id": 1, "question": "What is it?"}
    for split in ("test2015", "test-dev2015"):
        write(tmp_path / "vqa" / f"v2_OpenEnded_mscoco_{split}_questions.json", {"questions": [question]})
    instances = json.loads((tmp_path / "annotations" / "instances_train2014.json").read_text())
    for folder, edition in (("refcoco", "unc"), ("refcoco+", "unc"), ("refcocog", "umd")):
        write(tmp_path / folder / "instances.json", instances)
        ref = {"ref_id": 5, "ann_id": 9, "image_id": 9, "split": "train", "sentences": [{"raw": "the dog"}]}
        refs = [ref, ref | {"ref_id": 6, "split": "testA" if folder != "refcocog" else "test"}]
        with open(tmp_path / folder / f"refs({edition}).p", "wb") as file:
            pickle.dump(refs, file, protocol=2)
    return tmp_path


def test_published_names_give_tables_without_the_year(coco):
    tables = RawData(coco).tables
    measured = {name for name, table in tables.items() if table.kind in ("caption", "refcoco", "vqa")}
    assert measured == {
        *("caption_train", "caption_val", "vqa_train", "vqa_val", "vqa_test", "vqa_test-dev"),
        *("refcoco_train", "refcoco_testA", "refcocoplus_train", "refcocoplus_testA"),
        *("refcocog_train", "refcocog_test"),
    }
    (row,) = tables["vqa_val"].rows()
    assert row["image_path"] == str(coco / "val2014" / "COCO_val2014_000000000042.jpg")
    (row,) = tables["refcocog_train"].rows()
    assert row["image_path"] == str(coco / "train2014" / "COCO_train2014_000000000009.jpg")
    assert row["box"] == "1,2,31,42"


def test_questions_without_public_answers_are_read(coco):
    (row,) = RawData(coco).tables["vqa_test"].rows()
    assert row["answers"] == ""


def test_every_split_with_answers_has_a_table_of_vision_and_language(coco):
    tables = RawData(coco).tables
    made = {table.split: list(table.rows()) for table in tables.values() if table.kind == "vision_language"}
    assert set(made) == {"train", "val", "testA", "test"}, "test-dev has questions alone, without answers"
    assert {row["type"] for row in made["val"]} == {"caption", "qa"}
    assert {row["type"] for row in made["test"]} <= {"visual_grounding"}
    assert {table.split for table in tables.values() if table.kind == "text"} == {"train", "val"}


def test_pictures_that_measure_a_task_are_kept_out_of_pretraining(coco):
    tables = RawData(coco).tables
    # Picture 9 is in the training split of captions and questions, but in testA of refcoco.
    assert list(tables["vision_language_train"].rows()) == []
    assert list(tables["detection_train"].rows()) == []


def test_the_splits_of_karpathy_take_the_place_of_cocos(coco):
    images = [
        {"filename": f"COCO_{folder}_{number:012d}.jpg", "filepath": folder, "cocoid": number, "split": split}
        | {"sentences": [{"sentid": number, "raw": "A dog"}, {"sentid": number + 1, "raw": "One dog"}]}
        for folder, number, split in (("train2014", 9, "train"), ("val2014", 42, "restval"), ("val2014", 42, "test"))
    ]
    write(coco / "dataset_coco.json", {"images": images + [images[-1] | {"split": "val"}]})
    tables = RawData(coco).tables
    assert {name for name in tables if name.startswith("caption")} == {"caption_train", "caption_val", "caption_test"}
    assert len(list(tables["caption_train"].rows())) == 4
    (row,) = tables["caption_test"].rows()
    assert row["caption"] == "a dog&&one dog"
    assert row["image_path"] == str(coco / "val2014" / "COCO_val2014_000000000042.jpg")


def test_a_second_language_has_tables_of_its_own_in_the_same_split(tmp_path):
    from ofa.data.scenes import SceneConfig, write_scenes

    config = SceneConfig(train=4, val=1, test=1, test_pairs=0, languages=("en", "zh"))
    write_scenes(tmp_path / "raw", config, processes=1)
    tables = RawData(tmp_path / "raw").tables
    for kind in ("caption", "refcoco", "vqa", "vision_language", "text"):
        assert tables[f"{kind}_zh_train"].split == tables[f"{kind}_train"].split == "train"
    assert any(
        "\u4e00" <= character <= "\u9fff" for row in tables["caption_zh_train"].rows() for character in row["caption"]
    )


def test_missing_pictures_are_named(coco):
    (coco / "val2014" / "COCO_val2014_000000000042.jpg").unlink()
    (coco / "val2014").rmdir()
    with pytest.raises(OFAError, match="no folder of pictures.*val2014"):
        RawData(coco).count()


def test_rows_are_the_same_when_read_again(raw):
    table = RawData(raw).tables["caption_train"]
    assert list(table.rows()) == list(table.rows())
