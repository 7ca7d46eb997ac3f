"""`ofa evaluate` on the command line."""

import json
import shutil

import pytest
from typer.testing import CliRunner

from components.evaluate.cli import app
from components.evaluate.record import load


@pytest.fixture
def tables(tmp_path, write_table):
    """A folder of tables, as the pipeline has it."""
    folder = tmp_path / "tables"
    folder.mkdir()
    for split in ("train", "test"):
        shutil.copyfile(
            write_table("refcoco", [{"image_id": str(i)} for i in range(4)]), folder / f"refcoco_{split}.tsv"
        )
    boxes = [{"uniq_id": str(i), "boxes": "5,5,45,45,1,square"} for i in range(4)]
    shutil.copyfile(write_table("detection", boxes), folder / "detection_test.tsv")
    return folder


@pytest.fixture
def params(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("evaluate: {batch_size: 2, latency_samples: 1, resamples: 200, search: {refcoco: {beam: 2}}}")
    return str(path)


def test_a_split_is_evaluated_as_params_say(tmp_path, network, tables, params):
    out, metrics = tmp_path / "out", tmp_path / "metrics.json"
    options = ["--checkpoint", network(), "--tables", str(tables), "--out", str(out), "--metrics", str(metrics)]
    result = CliRunner().invoke(app, ["run", "refcoco", *options, "--params", params])
    assert result.exit_code == 0, result.output
    assert "Acc@0.5" in result.stdout and "best baseline 1.0000" in result.stdout
    found = load(out)
    assert found.lineage.search["beam"] == 2
    assert set(found.baseline) == {"constant_box", "random_object"}
    assert json.loads(metrics.read_text())["baseline"]["random_object"]["Acc@0.5"] == 1.0


def test_options_go_before_params(tmp_path, network, tables, params):
    out = tmp_path / "out"
    options = ["--checkpoint", network(), "--tables", str(tables), "--out", str(out), "--params", params]
    changes = ["--search", "beam=1", "--setting", "max_src_length=5", "--limit", "2"]
    result = CliRunner().invoke(app, ["run", "refcoco", *options, *changes])
    assert result.exit_code == 0, result.output
    found = load(out)
    assert (found.rows, found.lineage.search["beam"], found.lineage.settings["max_src_length"]) == (2, 1, 5)


def test_any_table_can_be_evaluated(tmp_path, network, tables):
    out = tmp_path / "out"
    options = ["--checkpoint", network(), "--table", str(tables / "refcoco_test.tsv"), "--out", str(out)]
    result = CliRunner().invoke(app, ["run", "refcoco", *options, "--search", "beam=1", "--params", ""])
    assert result.exit_code == 0, result.output
    assert load(out).rows == 4


def test_two_evaluations_are_compared_either_way(tmp_path, write_evaluation):
    a, b = write_evaluation(tmp_path / "a", [0.0, 1.0] * 20), write_evaluation(tmp_path / "b", [1.0] * 40)
    page = tmp_path / "page.html"
    result = CliRunner().invoke(app, ["compare", a, b, "--out", str(page)])
    assert result.exit_code == 0, result.output
    assert "0.5000 -> 1.0000" in result.stdout and "the second is better" in result.stdout
    assert page.exists() and json.loads(page.with_suffix(".json").read_text())["wins"] == 20
    other = tmp_path / "other.html"
    assert CliRunner().invoke(app, ["--compare", a, b, "--out", str(other)]).stdout == result.stdout
    assert other.read_text() == page.read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "refcoco", "--params", "none.yaml"], "none.yaml: no such file"),
        (["compare", "x", "y"], "x/evaluation.json: no such file"),
        (["report", "nowhere"], "nowhere: no evaluation below this folder"),
    ],
)
def test_problems_are_one_line(arguments, message):
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1 and message in result.stderr
