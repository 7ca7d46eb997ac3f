"""A killed evaluation goes on; each row is predicted once whatever happens and however many processes predict."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

import components.evaluate.evaluate as step
from components.evaluate.evaluate import evaluate
from components.evaluate.record import load_predictions

QUICK = {"latency_samples": 1, "resamples": 200, "params": None}
ROWS = 40


@pytest.fixture
def table(write_table):
    return write_table("refcoco", [{} for _ in range(ROWS)])


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")] if path.exists() else []


@pytest.mark.parametrize(("processes", "later"), [(1, 2), (2, 1)])
def test_a_killed_run_keeps_what_it_had(tmp_path, network, table, root, processes, later):
    out = tmp_path / "out"
    code = (
        "from components.evaluate.evaluate import evaluate\n"
        f"evaluate('refcoco', {network()!r}, {table!r}, {str(out)!r}, batch_size=1, params=None, processes={processes})"
    )
    options = {"cwd": root, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([sys.executable, "-c", code], **options)
    while len(lines(out / "predictions.jsonl")) < 3:
        assert process.poll() is None, "it ended too early to be killed"
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=100)  # the output ends when the processes that it started have ended too
    before = lines(out / "predictions.jsonl")
    assert 3 <= len(before) < ROWS
    with open(out / "predictions.jsonl", "a") as file:
        file.write('{"uniq_id": "39", "row": 39, "predic')  # as a kill in the middle of a write leaves it

    evaluate("refcoco", network(), table, str(out), batch_size=1, processes=later, **QUICK)
    after = load_predictions(out)
    assert [row["uniq_id"] for row in after] == [str(i) for i in range(ROWS)]
    kept = {row["uniq_id"]: row["seconds"] for row in after}
    assert all(kept[row["uniq_id"]] == row["seconds"] for row in before), "predicted once only"


def test_any_number_of_processes_predicts_each_row_once(tmp_path, network, table):
    one = evaluate("refcoco", network(), table, str(tmp_path / "one"), batch_size=8, **QUICK)
    two = evaluate("refcoco", network(), table, str(tmp_path / "two"), batch_size=8, processes=2, **QUICK)
    rows = load_predictions(tmp_path / "two")
    assert [row["uniq_id"] for row in rows] == [str(i) for i in range(ROWS)]
    assert two.scores == one.scores
    assert [p.name for p in (tmp_path / "two").glob("predictions*")] == ["predictions.jsonl"]


def test_nothing_is_predicted_again(tmp_path, network, table, monkeypatch):
    out = str(tmp_path / "out")
    first = evaluate("refcoco", network(), table, out, **QUICK)
    rows = load_predictions(out)
    assert evaluate("refcoco", network(), table, out, **QUICK).scores == first.scores
    assert load_predictions(out) == rows


@pytest.mark.parametrize("change", ["checkpoint", "table", "search", "settings", "code"])
def test_other_input_starts_anew(tmp_path, network, write_table, table, monkeypatch, change):
    out = str(tmp_path / "out")
    evaluate("refcoco", network(), table, out, limit=4, **QUICK)
    before = load_predictions(out)
    arguments = {"checkpoint": network(), "table": table} | {
        "checkpoint": {"checkpoint": network(1)},
        "table": {"table": write_table("refcoco", [{"text": "a circle"} for _ in range(ROWS)])},
        "search": {"search": {"beam": 2}},
        "settings": {"settings": {"max_src_length": 1}},
        "code": {},
    }[change]
    if change == "code":
        monkeypatch.setattr(step, "code_hash", lambda *modules, without: "other")
    evaluate("refcoco", out=out, limit=4, **arguments, **QUICK)
    after = load_predictions(out)
    assert [row["uniq_id"] for row in after] == [row["uniq_id"] for row in before]
    assert all(new["seconds"] != old["seconds"] for new, old in zip(after, before, strict=True))
