"""What the load test calls a problem, and how it shows its numbers."""

from collections import Counter

import pytest

from tests.load.bench import Outcome, problems, table

MB = 2**20


def overload(**changes):
    """The outcome of a load that a good service withstood."""
    good = {"statuses": Counter({200: 90, 429: 80}), "latencies": [0.5] * 90, "queue": 8, "memory": [500 * MB] * 30}
    return Outcome(seconds=30.0, **good | changes)


def test_a_good_run_has_none():
    assert problems([overload()], 8, 0) == []
    assert overload().throughput == 3 and overload().percentile(0.99) == 500


@pytest.mark.parametrize(
    ("changes", "uncounted", "said"),
    [
        ({"mixed_up": 1}, 0, "1 answers belong to another picture"),
        ({"statuses": Counter({200: 5, 429: 1, 0: 2})}, 0, "requests that were neither answered nor refused"),
        ({"statuses": Counter({200: 5, 429: 1, 504: 2})}, 0, "{504: 2}"),
        ({"statuses": Counter({200: 5})}, 0, "nothing was refused at twice the capacity"),
        ({"queue": 9}, 0, "9 items in the service, more than 8"),
        ({"memory": [500 * MB + n * 10 * MB for n in range(30)]}, 0, "memory grew from"),
        ({}, 3, "3 refusals are not in the metrics"),
    ],
)
def test_what_is_one(changes, uncounted, said):
    [problem] = problems([overload(**changes)], 8, uncounted)
    assert said in problem


def test_answers_of_earlier_runs_count_too():
    assert problems([overload(mixed_up=2), overload()], 8, 0) == ["2 answers belong to another picture"]


def test_the_table_is_that_of_the_documentation(root):
    numbers = {"network": "nano", "side": 128, "one by one": 10.04, "in batches": 30, "asked for": 60, "answered": 31.5}
    numbers |= {"p50 ms": 1000, "p95 ms": 1234.5, "p99 ms": 2000, "statuses": {200: 90, 429: 80, 0: 1}, "mixed up": 2}
    numbers |= {"largest queue": 8, "queue": 8, "memory MB": [700, 701], "load average before": 0.25}
    lines = table([numbers, numbers | {"network": "base"}]).splitlines()
    documented = (root / "docs" / "serving.md").read_text()
    assert lines[:2] == ["| | `nano`, 128 pixels | `base`, 128 pixels |", "| --- | --- | --- |"]
    assert all(f"\n{line[: line.index('|', 2) + 1]}" in documented for line in lines)
    values = [line.split("|")[2].strip() for line in lines[2:]]
    assert values == ["0.2", "10, 30", "60, 31.5", "1, 1.23, 2", "90, 80, 1", "2", "8 of 8", "700, 701"]
