"""Pretraining tables: several samples of a row, each with its loss and its score."""

import json
import random
from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy

from components.evaluate.evaluate import evaluate
from components.evaluate.measures import measure_for
from components.evaluate.pretraining import losses
from ofa.data.batch import PAD, collate
from ofa.data.schema import TABLES
from ofa.data.sources.pretraining import write_negatives
from ofa.data.table import Table
from ofa.model import OFAConfig, OFAModel
from ofa.tasks import create

SETTINGS = {"patch_image_size": 64, "max_image_size": 64, "num_bins": 126, "matching_ratio": 0.0}
ROW = {"type": "visual_grounding", "dataset": "x", "question": "", "caption": "red square", "answers": "5,5,45,45"}


@pytest.fixture
def table(write_table):
    return write_table("vision_language", [ROW] * 3)


def run(table, network, out):
    search = {"beam": 1, "max_len_b": 4}
    settings = SETTINGS | {"augment": False}
    return evaluate("vision_language", network(), table, str(out), settings=settings, search=search, resamples=10)


def lines(out) -> list[dict]:
    return [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]


def test_each_sample_of_a_row_is_predicted_and_counted(table, network, tmp_path):
    found = run(table, network, tmp_path / "out")
    rows = lines(tmp_path / "out")
    assert [(row["uniq_id"], row["kind"]) for row in rows] == [
        (f"{number}{part}", kind) for number in range(3) for part, kind in (("", "grounding"), ("#1", "region_caption"))
    ]
    assert found.rows == 6 and {"grounding/accuracy", "region_caption/CIDEr"} <= found.scores.keys()
    assert found.slices["sort of sample"]["grounding"].rows == 3


def test_a_run_that_was_cut_within_a_row_predicts_the_row_again(table, network, tmp_path):
    whole = run(table, network, tmp_path / "out").scores
    path = tmp_path / "out" / "predictions.jsonl"
    rows = lines(tmp_path / "out")
    further = next(row for row in rows if row["uniq_id"] == "1#1")
    path.write_text("".join(json.dumps(row) + "\n" for row in (rows[0], rows[1], further)))
    assert run(table, network, tmp_path / "out").scores == pytest.approx(whole)
    assert [row["uniq_id"] for row in lines(tmp_path / "out")] == [row["uniq_id"] for row in rows]


def test_what_a_row_draws_depends_on_no_other_row(write_table, network, tmp_path):
    """Wrong captions are drawn; another number of processes, or a run that goes on, draws the same."""
    captions = [f"a {color} square" for color in ("red", "green", "blue")] * 4
    rows = [ROW | {"type": "caption", "caption": text, "objects": "square"} for text in captions]
    table = write_table("vision_language", rows)
    write_negatives(Path(table).parent / "negatives", [f"{n} circles" for n in range(50)], ["square", "circle"])
    settings = SETTINGS | {"augment": False, "matching_ratio": 0.3}
    prompts = []
    for name, processes in (("one", 1), ("two", 2), ("one", 1)):
        out = tmp_path / name
        if out.exists():
            path = out / "predictions.jsonl"
            path.write_text("".join(path.read_text().splitlines(keepends=True)[7:]))
        options = {"settings": settings, "search": {"beam": 1, "max_len_b": 4}, "processes": processes}
        evaluate("vision_language", network(), table, str(out), batch_size=2, resamples=10, **options)
        prompts.append([(row["uniq_id"], row["prompt"]) for row in lines(out)])
    assert prompts[0] == prompts[1] == prompts[2] and len(set(prompts[0])) == 2 * len(rows)
    assert {row["kind"] for row in lines(tmp_path / "two")} == {"caption", "matching"}


@pytest.mark.parametrize("restricted", [False, True])
def test_the_loss_is_the_cross_entropy_of_the_target(table, restricted):
    task = create("vision_language", SETTINGS)
    data = Table(table, TABLES["vision_language"])
    batch = collate([sample for row in data for sample in task.sample(row, False, random.Random(0))])
    ids = tuple(sorted(set(batch.target.flatten().tolist()) | {0, 1, 2, 3})) if restricted else None
    net = OFAModel(OFAConfig.preset("nano", d_model=32, ffn_dim=64, output_ids=ids)).eval()
    with torch.no_grad():
        logits = net(previous_tokens=batch.previous, **batch.inputs())
    kept = batch.target != PAD
    expected = [cross_entropy(logits[i][kept[i]], batch.target[i][kept[i]]).item() for i in range(len(batch))]
    assert losses(net, batch) == pytest.approx(expected, rel=1e-4)
    if restricted:
        fewer = OFAModel(OFAConfig.preset("nano", d_model=32, ffn_dim=64, output_ids=(0, 1, 2, 3))).eval()
        assert losses(fewer, batch) == [None] * len(batch)


def test_answers_of_each_sort_are_judged_by_their_own_rule():
    rows = [
        {"kind": "grounding", "prediction": [0, 0, 10, 10], "references": [[0, 0, 10, 19]]},
        {"kind": "grounding", "prediction": [0, 0, 10, 10], "references": [[0, 0, 10, 21]]},
        {"kind": "qa", "prediction": "red", "references": {"red": 0.6, "blue": 1.0}},
        {"kind": "matching", "prediction": "yes", "references": "no"},
        {"kind": "caption", "prediction": "a red square", "references": "a red square"},
        {"kind": "caption", "prediction": "a dog", "references": "two blue cats run"},
    ]
    rows = [row | {"uniq_id": str(i), "score": 0.0, "loss": float(i)} for i, row in enumerate(rows)]
    found = measure_for(create("vision_language", {"matching_ratio": 0.0})).measure(rows)
    assert [row["accuracy"] for row in found.rows] == [1.0, 0.0, 0.6, 0.0, 1.0, 0.0]
    assert found.scores["accuracy"] == pytest.approx(2.6 / 6) and found.scores["loss"] == 2.5
    assert found.scores["grounding/accuracy"] == 0.5 and found.scores["caption/accuracy"] == 0.5
    assert found.scores["caption/CIDEr"] > 0


def test_objects_are_matched_by_label_and_overlap():
    cat, dog = {"label": "cat", "box": [0, 0, 10, 10]}, {"label": "dog", "box": [20, 20, 30, 30]}
    rows = [
        {"prediction": [cat], "references": [cat, dog]},
        {"prediction": [dog | {"label": "cow"}], "references": [dog]},
    ]
    found = measure_for(create("detection")).measure([row | {"loss": None} for row in rows])
    assert [row["mean_F1@0.5"] for row in found.rows] == [pytest.approx(2 / 3), 0.0]
    assert found.scores == {"mean_F1@0.5": pytest.approx(1 / 3), "F1@0.5": pytest.approx(2 / 5)}
    assert "2 samples" in found.skipped["loss"]
