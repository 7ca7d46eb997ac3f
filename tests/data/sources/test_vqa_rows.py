"""VQA v2's questions and annotations become rows of the vqa table, and a list of answers."""

import json

import pytest

from ofa.data.schema import TABLES
from ofa.data.sources import vqa
from ofa.errors import OFAError


def annotation(question_id, *answers):
    given = [answer for answer, count in answers for _ in range(count)]
    return {
        "question_type": "is this", "multiple_choice_answer": answers[0][0], "image_id": 262148,
        "answer_type": "yes/no", "question_id": question_id,
        "answers": [{"answer": a, "answer_confidence": "yes", "answer_id": n + 1} for n, a in enumerate(given)],
    }  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "val2014").mkdir()
    (tmp_path / "val2014" / "COCO_val2014_000000262148.jpg").write_bytes(b"picture")
    questions = [
        {"image_id": 262148, "question": "Where is he\tlooking?", "question_id": 262148000},
        {"image_id": 262148, "question": "Is this real?", "question_id": 262148001},
        {"image_id": 393225, "question": "What?", "question_id": 393225000},
    ]
    annotations = [
        annotation(262148000, ("down", 5), ("at table", 2), ("The Skateboard.", 1), ("table", 2)),
        annotation(262148001, ("yes", 10)),
        annotation(393225000, ("down", 3), ("up", 7)),
    ]
    (tmp_path / "questions.json").write_text(json.dumps({"questions": questions, "data_subtype": "val2014"}))
    (tmp_path / "annotations.json").write_text(json.dumps({"annotations": annotations}))
    return tmp_path


def rows(folder, **settings):
    settings = {"annotations": folder / "annotations.json"} | settings
    return list(vqa.rows(folder / "questions.json", images_folder=folder / "val2014", **settings))


def test_confidence_is_a_third_of_the_votes_up_to_one(folder):
    made = rows(folder)
    assert [(row["uniq_id"], row["question"], row["answers"]) for row in made] == [
        ("262148000", "Where is he looking?", "1.0|!+down&&0.6|!+at table&&0.6|!+table&&0.3|!+skateboard"),
        ("262148001", "Is this real?", "1.0|!+yes"),
        ("393225000", "What?", "1.0|!+up&&0.9|!+down"),
    ]
    assert set(made[0]) == {*TABLES["vqa"], "image_path"} - {"image"}


def test_pictures_are_found_by_number(folder):
    made = rows(folder)
    assert made[0]["image_path"].endswith("val2014/COCO_val2014_000000262148.jpg")
    assert made[2]["image_path"].endswith("val2014/000000393225.jpg")  # not there: whoever opens it reports the row


def test_only_answers_of_a_list(folder):
    made = rows(folder, answers=["down", "table"])
    assert [row["answers"] for row in made] == ["1.0|!+down&&0.6|!+table", "0.9|!+down"]


def test_a_split_without_public_answers(folder):
    assert [row["answers"] for row in rows(folder, annotations=None)] == ["", "", ""]


def test_the_most_frequent_answers_are_the_list(folder):
    path = folder / "annotations.json"
    assert vqa.build_answers(path) == ["down", "yes"]
    assert vqa.build_answers([path, path], top_n=1) == ["down"]


def test_types_are_kept_without_the_answers(folder, tmp_path):
    path, kept = folder / "annotations.json", tmp_path / "kept.json"
    wanted = dict.fromkeys(("262148000", "262148001", "393225000"), ("is this", "yes/no"))
    assert vqa.write_question_types(path, kept)
    assert vqa.question_types(kept) == vqa.question_types(path) == wanted
    first = json.loads(kept.read_text())["annotations"][0]
    assert first == {"question_id": 262148000, "question_type": "is this", "answer_type": "yes/no"}


def test_annotations_may_say_no_types_but_not_some(folder, tmp_path):
    path = folder / "untyped.json"
    bare = [{"question_id": 1}, {"question_id": 2}]
    path.write_text(json.dumps({"annotations": bare}))
    assert vqa.question_types(path) == {}
    assert not vqa.write_question_types(path, tmp_path / "kept.json") and not (tmp_path / "kept.json").exists()
    path.write_text(json.dumps({"annotations": [annotation(1, ("yes", 10)), *bare]}))
    with pytest.raises(OFAError, match=r"untyped.json: annotations\[1\] has no 'question_type'"):
        vqa.write_question_types(path, tmp_path / "kept.json")


def test_bad_input_is_named(folder):
    (folder / "fewer.json").write_text(json.dumps({"annotations": [annotation(262148000, ("down", 10))]}))
    with pytest.raises(OFAError, match=r"questions\[1\], id 262148001, has no annotation in .*fewer.json"):
        rows(folder, annotations=folder / "fewer.json")
    (folder / "keys.json").write_text(json.dumps({"annotations": [{"question_id": 1}]}))
    with pytest.raises(OFAError, match=r"keys.json: annotations\[0\] has no 'answers'"):
        rows(folder, annotations=folder / "keys.json")
    with pytest.raises(OFAError, match=r"keys.json: annotations\[0\] has no 'multiple_choice_answer'"):
        vqa.build_answers(folder / "keys.json")
