"""What a run ends with on the screen."""

import json

import pytest
from typer.testing import CliRunner

from pipelines.cli import app
from pipelines.commands.summary import LOOK, SHOWN


@pytest.fixture
def finished(tmp_path, monkeypatch):
    """A folder as a run leaves it, with one rule that is not met."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "metrics" / "test_pairs").mkdir(parents=True)
    (tmp_path / "reports").mkdir()
    for number, (task, (primary, *_)) in enumerate(SHOWN.items(), 1):
        values = {
            primary: 0.5 + number / 100,
            "interval": {"low": 0.4, "high": 0.6},
            "baseline": {"constant_guess": {primary: 0.1}, "random_guess": {primary: 0.2}},
        }
        (tmp_path / "metrics" / f"{task}.json").write_text(json.dumps(values))
        (tmp_path / "metrics" / "test_pairs" / f"{task}.json").write_text(json.dumps({primary: 0.3}))
    finding = {"task": "vqa", "rule": "floor", "passed": False, "why": "accuracy is 0.53, at least 0.7 is asked for"}
    decision = {"decision": "reject", "reason": "1 of 15 rules is not met.", "findings": [finding]}
    (tmp_path / "reports/gate.json").write_text(json.dumps(decision))
    (tmp_path / "reports/promotion.json").write_text(json.dumps({"version": "3", "promoted": False}))
    return tmp_path


def test_scores_stand_beside_the_best_trivial_ones_with_the_decision_and_where_to_look(finished):
    shown = CliRunner().invoke(app, ["summary"]).output
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in shown.splitlines() if "│" in line]
    assert ["refcoco", "Acc@0.5", "0.520", "0.400 - 0.600", "0.200", "random guess", "0.300"] in lines
    assert [line[0] for line in lines] == list(SHOWN), "one line a task"
    assert "Gate: reject - 1 of 15 rules is not met." in shown
    assert "not met: vqa floor: accuracy is 0.53, at least 0.7 is asked for" in shown
    assert "version 3 is registered as challenger" in shown
    assert all(where in shown for _, where in LOOK), "no line is broken"


def test_tasks_in_chinese_come_after_the_same_in_english(finished):
    for folder in (finished / "metrics", finished / "metrics" / "test_pairs"):
        (folder / "vqa_zh.json").write_text((folder / "vqa.json").read_text())
    shown = CliRunner().invoke(app, ["summary"]).output
    rows = [[cell.strip() for cell in line.split("│")[1:4]] for line in shown.splitlines() if "│" in line]
    assert rows == [
        ["caption", "CIDEr", "0.510"],
        ["refcoco", "Acc@0.5", "0.520"],
        ["vqa", "accuracy", "0.530"],
        ["region_caption", "CIDEr", "0.540"],
        ["vqa_zh", "accuracy", "0.530"],
    ]


def test_before_a_run_it_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = CliRunner().invoke(app, ["summary"])
    assert found.exit_code == 1
    assert "metrics: no metrics; run the pipeline first with `dvc repro`" in found.output
