"""Paired comparison of two evaluations."""

import json

import pytest

from components.evaluate.compare import compare
from ofa.errors import OFAError

A = [1.0] * 60 + [0.0] * 40
BETTER = [1.0] * 55 + [0.0] * 5 + [1.0] * 35 + [0.0] * 5


def test_a_better_model_is_certain(tmp_path, write_evaluation):
    a, b = write_evaluation(tmp_path / "a", A), write_evaluation(tmp_path / "b", BETTER)
    found = compare(a, b)
    assert (found.a, found.b) == (0.6, 0.9)
    assert found.difference.mean == pytest.approx(0.3)
    assert 0 < found.difference.low < 0.3 < found.difference.high
    assert found.difference.p_value < 0.001
    assert (found.wins, found.losses, found.ties) == (35, 5, 60)
    assert found.verdict == "the second is better"


def test_swapping_the_models_mirrors_the_result(tmp_path, write_evaluation):
    a, b = write_evaluation(tmp_path / "a", A), write_evaluation(tmp_path / "b", BETTER)
    there, back = compare(a, b, seed=7), compare(b, a, seed=7)
    assert (back.difference.low, back.difference.high) == pytest.approx((-there.difference.high, -there.difference.low))
    assert (back.wins, back.losses) == (there.losses, there.wins)
    assert back.verdict == "the first is better"


def test_pairing_sees_what_separate_intervals_hide(tmp_path, write_evaluation):
    """Five rows of 200 gained and none lost: certain in pairs, invisible beside each score's own spread."""
    base = [float(i % 2) for i in range(200)]
    better = [1.0 if i in (0, 20, 40, 60, 80) else value for i, value in enumerate(base)]
    found = compare(write_evaluation(tmp_path / "a", base), write_evaluation(tmp_path / "b", better))
    assert found.difference.low > 0
    assert found.difference.high - found.difference.low < 0.05


def test_examples_are_the_largest_changes(tmp_path, write_evaluation):
    a = write_evaluation(tmp_path / "a", [0.0, 0.5, 2.0, 1.0], metric="CIDEr")
    b = write_evaluation(tmp_path / "b", [3.0, 0.6, 0.5, 1.0], metric="CIDEr")
    found = compare(a, b, resamples=100)
    assert [row["uniq_id"] for row in found.best] == ["0", "1"]
    assert [row["uniq_id"] for row in found.worst] == ["2"]
    assert found.best[0]["a"]["value"] == 0.0 and found.best[0]["b"]["value"] == 3.0
    found.save(tmp_path / "comparison.json")
    assert json.loads((tmp_path / "comparison.json").read_text())["difference"]["mean"] == pytest.approx(0.4)


def test_it_says_what_was_compared(tmp_path, write_evaluation):
    a, b = (write_evaluation(tmp_path / name, A, checkpoint=name * 64) for name in "ab")
    record = json.loads((tmp_path / "b" / "evaluation.json").read_text())
    record["lineage"]["search"] = {"beam": 1}
    (tmp_path / "b" / "evaluation.json").write_text(json.dumps(record))
    found = compare(a, b, resamples=100)
    assert (found.first, found.second) == (f"{a}, model (aaaaaaaaaaaa)", f"{b}, model (bbbbbbbbbbbb)")
    assert found.changed == ["beam None → 1"] and compare(a, a, resamples=100).changed == []


def test_different_data_are_refused(tmp_path, write_evaluation):
    a, b = write_evaluation(tmp_path / "a", A), write_evaluation(tmp_path / "b", BETTER, data="e" * 64)
    with pytest.raises(OFAError, match="different data"):
        compare(a, b)


def test_different_tasks_and_rows_are_refused(tmp_path, write_evaluation):
    a = write_evaluation(tmp_path / "a", A)
    with pytest.raises(OFAError, match="evaluates refcoco and .* vqa"):
        compare(a, write_evaluation(tmp_path / "b", A, task="vqa"))
    with pytest.raises(OFAError, match="different rows"):
        compare(a, write_evaluation(tmp_path / "c", A[:-1]))


def test_unknown_metric_names_those_there_are(tmp_path, write_evaluation):
    a, b = write_evaluation(tmp_path / "a", A), write_evaluation(tmp_path / "b", BETTER)
    with pytest.raises(OFAError, match="no 'CIDEr'; they have Acc@0.5"):
        compare(a, b, metric="CIDEr")
