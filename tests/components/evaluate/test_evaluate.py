"""Evaluation of a checkpoint on a table: what is written, and that it is right."""

import hashlib
import json
from pathlib import Path

import pytest

from components.evaluate.evaluate import evaluate
from components.evaluate.measures import measure_for
from components.evaluate.record import load, load_predictions
from ofa import tasks
from ofa.errors import OFAError
from ofa.metrics import caption
from ofa.metrics.grounding import accuracy, iou

QUICK = {"latency_samples": 1, "resamples": 200, "params": None}


@pytest.fixture
def boxes(write_table):
    """A refcoco table with two expressions a picture."""
    rows = [{"image_id": str(i // 2), "box": f"{i},{i},{i + 30},{i + 25}"} for i in range(10)]
    return write_table("refcoco", rows)


def test_every_row_is_predicted_once_and_scored(tmp_path, network, boxes):
    found = evaluate("refcoco", network(), boxes, str(tmp_path / "out"), batch_size=4, **QUICK)
    rows = load_predictions(tmp_path / "out")
    assert [row["uniq_id"] for row in rows] == [str(i) for i in range(10)]
    truth = [[i, i, i + 30, i + 25] for i in range(10)]
    assert [row["references"] for row in rows] == [[box] for box in truth]
    predicted = [row["prediction"] for row in rows]
    assert found.scores["Acc@0.5"] == accuracy(predicted, truth)
    assert [row["measures"]["IoU"] for row in rows] == pytest.approx(iou(predicted, truth).tolist())
    assert rows[0]["prompt"] == 'which region does the text " the square " describe?'
    assert all(row["score"] < 0 and row["seconds"] > 0 for row in rows)
    assert sum(part.rows for part in found.slices["box size"].values()) == found.rows == 10
    assert sum(found.histograms["IoU"]) == 10
    assert found.interval[0] <= found.score <= found.interval[1]
    assert load(tmp_path / "out") == found


def test_boxes_are_told_apart_by_size_and_length_of_the_expression():
    """Of a picture of 100 x 100 pixels."""
    measure = measure_for(tasks.create("refcoco"))
    classes = {}
    for side, text in ((10, "dog"), (22, "the left dog"), (23, "a very large brown dog with a hat"), (99, "the " * 11)):
        classes |= {side: measure.slices({"references": [[0, 0, side, side]], "size": [100, 100], "text": text})}
    assert [row["box size"].partition(" ")[0] for row in classes.values()] == ["0-5", "0-5", "5-20", "20-100"]
    assert [row["words in the expression"] for row in classes.values()] == ["1-2", "3-5", "6-10", "11+"]
    assert measure.slices({"references": [[0, 0, 9, 9]], "size": [9, 9], "text": "左边的狗"}) == {
        "box size": "20-100 % of the picture",
        "words in the expression": "3-5",
    }


def test_lineage_is_that_of_the_files(tmp_path, network, boxes):
    (tmp_path / "params.yaml").write_text("a: 1\n")
    arguments = QUICK | {"params": str(tmp_path / "params.yaml")}
    found = evaluate("refcoco", network(), boxes, str(tmp_path / "out"), **arguments).lineage
    assert found.table_sha256 == hashlib.sha256(Path(boxes).read_bytes()).hexdigest()
    files = [Path(network()) / name for name in ("config.json", "model.safetensors")]
    lines = "".join(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files)
    assert found.checkpoint_sha256 == hashlib.sha256(lines.encode()).hexdigest()
    assert found.checkpoint_bytes == sum(file.stat().st_size for file in files)
    assert found.settings["patch_image_size"] == 64, "as the checkpoint was trained"
    assert found.search["beam"] == 5 and found.params_sha256 and found.versions["torch"]


def test_numbers_for_dvc_have_the_fields_names(tmp_path, network, boxes):
    metrics = tmp_path / "metrics" / "refcoco.json"
    found = evaluate(
        "refcoco", network(), boxes, str(tmp_path / "out"), train_table=boxes, metrics=str(metrics), **QUICK
    )
    numbers = json.loads(metrics.read_text())
    assert numbers["Acc@0.5"] == found.score
    assert {"Acc@0.5", "Acc@0.9", "mean_IoU"} <= set(numbers["baseline"]["constant_box"])
    assert numbers["interval"] == {"low": found.interval[0], "high": found.interval[1]}


def test_captions_are_scored_by_picture(tmp_path, network, write_table):
    """Two rows of one picture are one prediction against all references; equal references both count."""
    rows = [
        {"image_id": "7", "caption": "A red square."},
        {"image_id": "9", "caption": "a circle&&the blue circle"},
        {"image_id": "7", "caption": "A red square."},
    ]
    out = tmp_path / "out"
    found = evaluate("caption", network(), write_table("caption", rows), str(out), skip=["METEOR"], **QUICK)
    lines = load_predictions(out)
    references = {"7": ["A red square.", "A red square."], "9": ["a circle", "the blue circle"]}
    assert {line["uniq_id"]: line["references"] for line in lines} == references
    predictions = {line["uniq_id"]: line["prediction"] for line in lines}
    expected = caption.score(predictions, references, ("CIDEr", "Bleu_4", "ROUGE_L")).overall
    assert {name: found.scores[name] for name in expected} == expected
    assert "SPICE" in found.skipped and "METEOR" not in found.scores
    official = json.loads((out / "results.json").read_text())
    assert official == [{"image_id": int(image), "caption": text} for image, text in predictions.items()]


def test_answers_are_scored_by_confidence_and_type(tmp_path, network, write_table):
    rows = [
        {"question": "How many squares?", "answers": "0.6|!+2&&1.0|!+1"},
        {"question": "Is it red?", "answers": "1.0|!+yes"},
        {"question": "What color is it?", "answers": "1.0|!+red&&0.3|!+blue"},
    ]
    search = {"beam": 1}
    found = evaluate("vqa", network(), write_table("vqa", rows), str(tmp_path / "out"), search=search, **QUICK)
    lines = load_predictions(tmp_path / "out")
    values = [row["references"].get(row["prediction"], 0.0) for row in lines]
    by_type = dict(zip(("number", "yes/no", "other"), values, strict=True))
    assert found.scores == pytest.approx({"accuracy": sum(values) / 3} | by_type)
    assert set(found.slices["answer type"]) == {"number", "yes/no", "other"}
    assert set(found.slices["question type"]) == {"how many", "is it", "what color is"}
    assert found.lineage.search["beam"] == 1


def test_shards_are_one_table(tmp_path, network, write_table):
    rows = [{"uniq_id": str(i), "image_id": str(i)} for i in range(4)]
    whole = write_table("refcoco", rows)
    shards = [write_table("refcoco", rows[:1]), write_table("refcoco", rows[1:])]
    one = evaluate("refcoco", network(), whole, str(tmp_path / "one"), **QUICK)
    two = evaluate("refcoco", network(), shards, str(tmp_path / "two"), **QUICK)
    assert two.lineage.table_sha256 == one.lineage.table_sha256
    assert two.scores == one.scores


def test_a_folder_of_something_else_is_left_alone(tmp_path, network, boxes):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    with pytest.raises(OFAError, match="is no evaluation"):
        evaluate("refcoco", network(), boxes, str(tmp_path / "thesis"), **QUICK)
    assert (tmp_path / "thesis" / "chapter.txt").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "captions"}, "no task 'captions', did you mean 'caption'"),
        ({"checkpoint": "nowhere"}, "no checkpoint at nowhere"),
        ({"table": "nowhere.tsv"}, "cannot read the table nowhere.tsv"),
        ({"settings": {"patch_size": 64}}, "unknown key 'patch_size', did you mean 'patch_image_size'"),
        ({"search": {"beams": 3}}, "unknown key 'beams', did you mean 'beam'"),
    ],
)
def test_wrong_arguments_are_named(tmp_path, network, boxes, changes, message):
    arguments = {"task": "refcoco", "checkpoint": network(), "table": boxes, "out": str(tmp_path / "out")}
    with pytest.raises(OFAError, match=message):
        evaluate(**arguments | changes, **QUICK)
