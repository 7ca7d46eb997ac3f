"""Trivial predictors against brute force and cases that can be counted by hand."""

import json

import numpy as np
import pytest

from components.evaluate.baselines import best_constant_box, picture_key, random_object, read_objects
from components.evaluate.evaluate import evaluate
from components.evaluate.gallery import told
from components.evaluate.record import load_predictions
from ofa.metrics.grounding import iou
from ofa.tasks import get

QUICK = {"latency_samples": 1, "resamples": 200, "params": None, "skip": ["METEOR", "SPICE"]}


@pytest.fixture
def score_baselines(tmp_path, network, write_table):
    """A function from training and test rows of a task to the scores of its trivial predictors."""

    def run(task, train, test, **arguments):
        tables = [write_table(get(task).table, rows) for rows in (train, test)]
        out = str(tmp_path / "out")
        return evaluate(task, network(), tables[1], out, train_table=tables[0], **arguments, **QUICK).baseline

    return run


def test_most_frequent_caption(score_baselines):
    train = [{"caption": text} for text in ("a cat", "a dog&&two dogs", "a dog", "a bird")]
    test = [{"caption": "A dog."}, {"caption": "a dog&&two dogs"}, {"caption": "a tree"}, {"caption": "two dogs"}]
    assert score_baselines("caption", train, test)["most_frequent_caption"]["exact_match"] == 0.5


def test_most_frequent_answer_of_all_and_of_each_question_type(score_baselines):
    train = [
        *[{"question": "Is it red?", "answers": "1.0|!+yes&&0.3|!+no"}] * 3,
        *[{"question": "How many are there?", "answers": "0.9|!+2"}] * 2,
        {"question": "How many are there?", "answers": "0.9|!+3"},
    ]
    test = [
        {"question": "Is it blue?", "answers": "0.6|!+yes"},
        {"question": "How many cats?", "answers": "1.0|!+2"},
        {"question": "Why?", "answers": "1.0|!+because&&0.3|!+yes"},
        {"question": "Is it?", "answers": "1.0|!+no"},
    ]
    found = score_baselines("vqa", train, test)
    assert found["most_frequent_answer"]["accuracy"] == pytest.approx((0.6 + 0 + 0.3 + 0) / 4)
    per_type = found["most_frequent_answer_per_question_type"]["accuracy"]
    assert per_type == pytest.approx((0.6 + 1.0 + 0.3 + 0) / 4), "an unknown type falls back to the answer of all"


def test_the_most_frequent_answer_of_each_sort(score_baselines):
    """All pictures are 80 x 60; training's first rows of a picture are of one sort, as tables have them."""
    caption, qa = {"type": "caption", "dataset": "x"}, {"type": "qa", "dataset": "x"}
    region = {"type": "visual_grounding", "dataset": "x", "answers": "0,0,40,60"}
    train = [caption | {"caption": "A dog"}, qa, region | {"caption": "the cat"}] * 3 + [qa | {"answers": "1|!+no"}] * 2
    test = [
        *(caption | {"caption": text} for text in ("a dog", "a cat")),
        *(qa | {"answers": answer} for answer in ("0.6|!+yes&&1|!+no", "1|!+2")),
        *(region | {"caption": "the cat", "answers": box} for box in ("0,0,40,55", "50,0,80,60")),
    ]
    settings = {"matching_ratio": 0.0, "patch_image_size": 64, "max_image_size": 64, "num_bins": 126}
    found = score_baselines("vision_language", train, test, settings=settings, search={"beam": 1, "max_len_b": 4})
    scores = found["most_frequent_answer_per_sort"]
    expected = {"caption": 0.5, "qa": 0.3, "grounding": 0.5, "region_caption": 1.0}
    assert {kind: scores[f"{kind}/accuracy"] for kind in expected} == pytest.approx(expected)
    assert "loss" not in scores


def test_a_region_is_described_once_and_held_against_all_expressions_that_mean_it(score_baselines, tmp_path):
    region = {"image_id": "1", "box": "5,5,45,45"}
    train = [{"text": text} for text in ("the square", "the cat", "the square")]
    test = [region | {"text": "the red one"}, {"text": "the dog", "image_id": "2"}, region | {"text": "the square"}]
    found = score_baselines("region_caption", train, test, settings={"patch_image_size": 64})
    assert found["most_frequent_expression"]["exact_match"] == 0.5
    rows = load_predictions(tmp_path / "out")
    assert [row["references"] for row in rows] == [["the red one", "the square"], ["the dog"]]
    assert rows[0]["region"] == [5, 5, 45, 45] and rows[0]["measures"].keys() == {"CIDEr", "exact_match"}
    shown = told(rows[0], "CIDEr", prompt=True)
    assert shown["boxes"] == [("region", [5, 5, 45, 45])] and not shown["prompt"], "bins tell a reader nothing"


def test_statistics_come_from_all_sorts_of_a_long_table(score_baselines, monkeypatch):
    monkeypatch.setattr("components.evaluate.baselines.SAMPLE", 30)
    train = [{"question": "Is it red?"}, {"question": "How many?", "answers": "1|!+2"}] * 30
    test = [{"question": "How many?", "answers": "1|!+2"}]
    found = score_baselines("vqa", train, test)["most_frequent_answer_per_question_type"]
    assert found["accuracy"] == 1.0, "every second row is of the same type"


def test_the_constant_box_is_relative_to_each_picture(score_baselines):
    """All pictures are 80 x 60; in training the box is the left half, half of the test boxes are too."""
    train = [{"box": "0,0,40,60"}] * 3 + [{"box": "60,40,80,60"}] * 2
    test = [{"box": "0,0,40,60"}, {"box": "50,10,70,30"}]
    found = score_baselines("refcoco", train, test)
    assert found["constant_box"]["Acc@0.5"] == 0.5
    assert found["constant_box"]["mean_IoU"] == pytest.approx(0.5, abs=1e-6)


def test_the_best_constant_box_is_the_best(monkeypatch):
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 0.5, (200, 2))
    boxes = np.hstack([corners, corners + rng.uniform(0.1, 0.5, (200, 2))])
    hits = [int((iou([box] * 200, boxes) >= 0.5).sum()) for box in boxes]
    found = best_constant_box(boxes)
    assert int((iou([found] * 200, boxes) >= 0.5).sum()) == max(hits)
    monkeypatch.setattr("components.evaluate.baselines.CANDIDATES", 50)
    some = best_constant_box(boxes, seed=1)
    assert (some == best_constant_box(boxes, seed=1)).all()
    assert any(np.allclose(some, box) for box in boxes)


def test_a_random_object_is_the_mean_over_the_objects():
    rows = [
        {"image_id": "1", "references": [[0, 0, 10, 10]]},
        {"image_id": "2", "references": [[0, 0, 10, 10]]},
        {"image_id": "3", "references": [[0, 0, 10, 10]]},
    ]
    objects = {
        "1": np.array([[0, 0, 10, 10], [50, 50, 60, 60], [20, 20, 30, 30], [0, 0, 10, 6.5]]),
        "2": np.array([[0, 0, 10, 10]]),
    }
    found = random_object(rows, objects)
    assert found["Acc@0.5"] == pytest.approx((2 / 4 + 1 + 0) / 3)
    assert found["Acc@0.7"] == pytest.approx((1 / 4 + 1 + 0) / 3)
    assert found["mean_IoU"] == pytest.approx((1.65 / 4 + 1 + 0) / 3, abs=1e-6)


def test_objects_are_read_from_both_formats(tmp_path, write_table):
    instances = {"annotations": [{"image_id": 12, "bbox": [1, 2, 3, 4]}, {"image_id": 12, "bbox": [0, 0, 5, 5]}]}
    (tmp_path / "instances.json").write_text(json.dumps(instances))
    table = write_table("detection", [{"uniq_id": "12", "boxes": "1,2,4,6,18,dog&&0,0,5,5,7,cat"}])
    expected = [[1, 2, 4, 6], [0, 0, 5, 5]]
    assert read_objects(str(tmp_path / "instances.json"))["12"].tolist() == expected
    assert read_objects(table)["12"].tolist() == expected


def test_objects_reach_the_report(tmp_path, score_baselines):
    instances = {"annotations": [{"image_id": i, "bbox": [0, 0, 40, 60]} for i in range(2)]}
    (tmp_path / "instances.json").write_text(json.dumps(instances))
    rows = [{"box": "0,0,40,60"}] * 2
    found = score_baselines("refcoco", rows, rows, objects=str(tmp_path / "instances.json"))
    assert found["random_object"]["Acc@0.5"] == 1.0


@pytest.mark.parametrize(
    ("image_id", "key"),
    [(123, "123"), ("123", "123"), ("COCO_train2014_000000000123.jpg", "123"), ("000", "000"), ("cat", "cat")],
)
def test_pictures_are_known_by_coco_number(image_id, key):
    assert picture_key(image_id) == key
