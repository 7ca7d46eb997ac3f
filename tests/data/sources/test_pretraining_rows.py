"""Pretraining tables and their negatives come from the rows of other sources."""

import json

import pytest

from ofa.data.scenes import SceneConfig, write_scenes
from ofa.data.schema import TABLES
from ofa.data.sources import coco, pretraining, refcoco, vqa
from ofa.errors import OFAError
from ofa.tasks.negatives import Negatives


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pretraining") / "raw"
    write_scenes(folder, SceneConfig(train=40, val=2, test=2, test_pairs=2), processes=1)
    return folder


def caption_rows(raw):
    return list(coco.caption_rows(raw / "annotations" / "captions_train.json", raw / "images" / "train", "train"))


def question_rows(raw):
    folder = raw / "vqa"
    return list(vqa.rows(folder / "questions_train.json", folder / "annotations_train.json", raw / "images" / "train"))


def test_rows_of_three_types(raw):
    objects = coco.object_names(raw / "annotations" / "instances_train.json")
    expressions = refcoco.rows(
        raw / "refcoco" / "refs(ofa).p", raw / "refcoco" / "instances.json", raw / "images", "train"
    )
    made = [
        *pretraining.vision_language_rows(caption_rows(raw), "caption", "scenes", objects),
        *pretraining.vision_language_rows(question_rows(raw), "vqa", "scenes"),
        *pretraining.vision_language_rows(expressions, "refcoco", "scenes"),
    ]
    assert len({row["uniq_id"] for row in made}) == len(made)
    assert {row["dataset"] for row in made} == {"scenes"}
    for row in made:
        assert set(row) == {*TABLES["vision_language"], "image_path"} - {"image"}
        match row["type"]:
            case "caption":
                assert row["caption"] and not row["question"] and not row["answers"]
                assert all(name in row["caption"] for name in row["objects"].split("&&"))
            case "qa":
                assert row["question"].endswith("?") and "|!+" in row["answers"] and not row["caption"]
            case "visual_grounding":
                assert row["caption"] and not row["question"] and len(row["answers"].split(",")) == 4
    assert {row["type"] for row in made} == {"caption", "qa", "visual_grounding"}


def test_objects_are_those_that_the_caption_mentions():
    row = {"uniq_id": "1", "image_id": "5", "caption": "two dogs and a car", "objects": "", "image_path": "x.jpg"}
    (made,) = pretraining.vision_language_rows([row], "caption", "coco", {"5": ["dog", "cat", "car"]})
    assert (made["objects"], made["uniq_id"]) == ("dog&&car", "coco_caption_1")


def test_texts(raw):
    instances = raw / "annotations" / "instances_train.json"
    texts = list(pretraining.text_rows(caption_rows(raw), question_rows(raw), instances))
    assert all(set(row) == set(TABLES["text"]) for row in texts)
    assert len({row["uniq_id"] for row in texts}) == len(texts)
    content = [row["text"] for row in texts]
    assert "a cat is an animal." in content and "an apple is a fruit." in content
    assert any(text.startswith("how many ") and text.split()[-1].strip(".").isdigit() for text in content)
    assert sum(text in {row["caption"] for row in caption_rows(raw)} for text in content) == 200


def test_negatives(raw, tmp_path):
    captions = [row["caption"] for row in caption_rows(raw)]
    pretraining.write_negatives(tmp_path, captions, ["cat", "dog", "cat"], raw / "vqa" / "annotations_train.json")
    assert (tmp_path / "object.txt").read_text() == "cat\ndog\n"
    lines = (tmp_path / "all_captions.txt").read_text().splitlines()
    assert lines == list(dict.fromkeys(captions))
    answers = json.loads((tmp_path / "type2ans.json").read_text())
    assert set(answers["yes/no"]) == {"yes", "no"} and "2" in answers["how many"]
    assert "middle" in answers["where"] and "cat" in answers["other"]
    every = [answer for found in answers.values() for answer in found]
    assert len(every) == len(set(every))


def test_every_type_has_answers_to_choose_from(tmp_path):
    def types(*records):
        keys = ("question_type", "answer_type", "multiple_choice_answer")
        content = {"annotations": [dict(zip(keys, record, strict=True)) for record in records]}
        (tmp_path / "annotations.json").write_text(json.dumps(content))
        pretraining.write_negatives(tmp_path, ["a"], ["cat", "dog"], tmp_path / "annotations.json")
        Negatives.load(tmp_path)
        return json.loads((tmp_path / "type2ans.json").read_text())

    red, blue = ("what color is the", "other", "red"), ("what color", "other", "blue")
    two, sofa = ("how many", "number", "2"), ("where is the", "other", "sofa")
    assert types(red, blue, blue) == {"color": ["blue", "red"], "other": ["blue", "red"]}
    assert types(red, blue, two, sofa) == {"color": ["blue", "red"], "other": ["2", "sofa"]}
    with pytest.raises(OFAError, match="fewer than two different answers"):
        types(red, red)


def test_without_questions_there_are_yes_and_no(tmp_path):
    pretraining.write_negatives(tmp_path, ["a"], ["cat", "dog"])
    assert Negatives.load(tmp_path).type2ans == {"other": ["yes", "no"]}


@pytest.mark.parametrize(("captions", "objects"), [([], ["cat", "dog"]), (["a cat"], ["cat", "cat"])])
def test_too_little_for_negatives_is_said(tmp_path, captions, objects):
    with pytest.raises(OFAError, match=f"there are {len(captions)} captions and {len(set(objects))} kinds"):
        pretraining.write_negatives(tmp_path, captions, objects)
    assert not list(tmp_path.iterdir())
