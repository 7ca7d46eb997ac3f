"""Rows that cannot be read are reported with their place and leave the others alone."""

import json

import pytest

from components.evaluate.evaluate import evaluate
from components.evaluate.record import load_predictions
from ofa.errors import OFAError

QUICK = {"latency_samples": 1, "resamples": 200, "params": None}


@pytest.fixture
def table(write_table):
    """Good, broken picture, good, an id that was there, no box, too few columns."""
    path = write_table(
        "refcoco",
        [
            {"uniq_id": "a"},
            {"uniq_id": "b", "image": "AAAA"},
            {"uniq_id": "c"},
            {"uniq_id": "a"},
            {"uniq_id": "e", "box": ""},
        ],
    )
    with open(path, "a") as file:
        file.write("f\tnot enough\n")
    return path


def test_they_are_left_out_and_listed(tmp_path, network, table):
    out = tmp_path / "out"
    found = evaluate("refcoco", network(), table, str(out), max_bad_rows=4, batch_size=2, **QUICK)
    assert [row["uniq_id"] for row in load_predictions(out)] == ["a", "c"]
    assert (found.rows, found.bad_rows) == (2, 4)
    assert found.bad_row_rate == pytest.approx(4 / 6)
    rejected = [json.loads(line) for line in (out / "rejected.jsonl").read_text().splitlines()]
    assert [row["row"] for row in rejected] == [1, 3, 4, 5]
    reasons = " ".join(row["error"] for row in rejected)
    for part in ("row 1 (uniq-id b)", "the id stands in row 0 already", "the row has no box", "2 columns instead of 5"):
        assert part in reasons


def test_one_too_many_stops_the_run_with_its_name(tmp_path, network, table):
    with pytest.raises(OFAError, match=r"more than max_bad_rows = 3.*row"):
        evaluate("refcoco", network(), table, str(tmp_path / "out"), max_bad_rows=3, **QUICK)
    assert not (tmp_path / "out" / "evaluation.json").exists()


def test_after_the_limit_was_raised_the_run_goes_on(tmp_path, network, table):
    out = str(tmp_path / "out")
    with pytest.raises(OFAError):
        evaluate("refcoco", network(), table, out, max_bad_rows=3, batch_size=1, **QUICK)
    found = evaluate("refcoco", network(), table, out, max_bad_rows=4, batch_size=1, **QUICK)
    assert (found.rows, found.bad_rows) == (2, 4)


def test_bad_rows_in_front_do_not_stop_the_clock(tmp_path, network, write_table):
    table = write_table("refcoco", [{"image": "AAAA"}] * 3 + [{}])
    found = evaluate("refcoco", network(), table, str(tmp_path / "out"), max_bad_rows=3, **QUICK)
    assert found.speed.latency_ms_p95 >= found.speed.latency_ms_p50 > 0


def test_a_table_without_a_good_row(tmp_path, network, write_table):
    table = write_table("refcoco", [{"image": "AAAA"}])
    with pytest.raises(OFAError, match="no row could be evaluated"):
        evaluate("refcoco", network(), table, str(tmp_path / "out"), max_bad_rows=1, **QUICK)
