"""The gate against the registered champion: on the same data, or evaluated anew."""

import json
import shutil

import pytest
from typer.testing import CliRunner

from components.deploy.champion import fetch_champion
from components.deploy.cli import app
from components.deploy.decision import load_decision
from components.deploy.gate import gate
from components.deploy.promote import promote
from components.deploy.registry import Registry
from components.evaluate.evaluate import evaluate
from components.evaluate.record import load, load_predictions

QUICK = {"latency_samples": 1, "resamples": 200, "params": None, "skip": ["METEOR"], "search": {"beam": 1}}


@pytest.fixture
def params(tmp_path):
    """A policy that asks the challenger not to be worse."""
    path = tmp_path / "params.yaml"
    path.write_text("gate: {tasks: {caption: {margin: 0.5, above_baseline: false}, refcoco: {margin: 1.0}}}")
    return str(path)


def test_without_a_champion_there_is_nothing_to_fetch(uri, finished, tmp_path):
    assert fetch_champion(Registry(uri), str(finished(1)), str(tmp_path / "work")) is None
    nowhere = Registry(f"sqlite:///{tmp_path}/none.db")
    assert fetch_champion(nowhere, str(finished(1)), str(tmp_path / "work")) is None
    assert not (tmp_path / "none.db").exists()


def test_the_same_data_need_no_second_evaluation(uri, release, finished, tmp_path, params):
    promote(*release(0), uri)
    found = fetch_champion(Registry(uri), str(finished(1)), str(tmp_path / "work"))
    assert found.version == "1" and not found.lacks
    for task in ("caption", "refcoco"):
        assert load_predictions(f"{found.folder}/{task}") == load_predictions(finished(0) / task)
    decision = gate(str(finished(1)), str(tmp_path / "gate.json"), params, registry=uri)
    assert decision.champion_version == "1" and "non-inferior" in {finding.rule for finding in decision.findings}
    assert load_decision(tmp_path / "gate.json") == decision


def test_on_other_data_the_champion_is_evaluated_again(uri, release, network, write_table, tmp_path, params):
    promote(*release(0), uri)
    table = write_table("refcoco", [{"text": f"square {i}"} for i in range(4)])
    new = tmp_path / "new"
    evaluate("refcoco", network(1), table, str(new / "refcoco"), **QUICK)
    found = fetch_champion(Registry(uri), str(new), str(tmp_path / "work"))
    again = load(f"{found.folder}/refcoco")
    assert again.lineage.table_sha256 == load(new / "refcoco").lineage.table_sha256
    assert again.lineage.checkpoint_sha256 == load(tmp_path / "evaluations-0" / "refcoco").lineage.checkpoint_sha256
    assert again.lineage.search["beam"] == 1, "searched as the champion was"
    direct = evaluate("refcoco", network(0), table, str(tmp_path / "direct"), **QUICK)
    assert again.scores == direct.scores


def test_a_task_that_the_champion_does_not_do(uri, release, network, finished, write_table, tmp_path):
    promote(*release(0), uri)
    new = shutil.copytree(finished(1), tmp_path / "new")
    evaluate("vqa", network(1), write_table("vqa", [{}, {}]), str(new / "vqa"), **QUICK)
    found = fetch_champion(Registry(uri), str(new), str(tmp_path / "work"))
    assert found.lacks == {"vqa"}


def test_the_command_exits_with_the_decision(uri, finished, tmp_path, params):
    out = str(tmp_path / "gate.json")
    options = ["gate", "--evaluations", str(finished(0)), "--out", out, "--registry", uri, "--params"]
    result = CliRunner().invoke(app, [*options, params])
    assert result.exit_code == 0 and "promote: all" in result.stdout
    (tmp_path / "strict.yaml").write_text("gate: {tasks: {caption: {floor: 100}}}")
    result = CliRunner().invoke(app, [*options, str(tmp_path / "strict.yaml")])
    assert result.exit_code == 1 and "FAIL  caption" in result.stdout
    result = CliRunner().invoke(app, [*options, str(tmp_path / "strict.yaml"), "--no-fail"])
    assert result.exit_code == 0 and load_decision(out).decision == "reject"
    result = CliRunner().invoke(app, [*options, str(tmp_path / "none.yaml")])
    assert result.exit_code == 2 and "none.yaml: no such file" in result.stderr


def test_a_champion_at_an_address(uri, release, finished, tmp_path, params):
    """Of a store that MLflow reads: an address of files, and one of the registry's own versions."""
    promote(*release(0), uri)
    folder = tmp_path / "evaluations-0"
    inside = Registry(uri).mlflow.models.get_model_info("models:/ofa/1").flavors["python_function"]["artifacts"]
    versioned = f"models:/ofa/1/{inside['bundle']['path']}/evaluations"
    found = [
        gate(str(finished(1)), str(tmp_path / "gate.json"), params, champion=address, registry=uri)
        for address in (str(folder), folder.as_uri(), versioned)
    ]
    assert found[0] == found[1] == found[2] and found[0].champion
    away = gate(str(finished(1)), str(tmp_path / "gate.json"), params, champion=f"{folder.as_uri()}-away", registry=uri)
    assert away.decision == "undecided" and "evaluations-0-away: cannot be copied" in away.reason


def test_a_gate_that_breaks_has_not_rejected(finished, tmp_path, params):
    """Rows without measures are nothing that a user makes, yet the exit code 1 would be an answer."""
    old = shutil.copytree(finished(0), tmp_path / "old")
    rows = [json.loads(line) for line in (old / "caption" / "predictions.jsonl").read_text().splitlines()]
    lines = [json.dumps({key: value for key, value in row.items() if key != "measures"}) + "\n" for row in rows]
    (old / "caption" / "predictions.jsonl").write_text("".join(lines))
    options = ["gate", "--evaluations", str(finished(1)), "--champion", str(old), "--params", params]
    result = CliRunner().invoke(app, [*options, "--out", str(tmp_path / "gate.json")])
    assert result.exit_code == 2 and "KeyError: 'measures'" in result.stderr
