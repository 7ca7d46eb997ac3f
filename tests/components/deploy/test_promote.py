"""Promotion in a real registry: versions, aliases, races, rollback."""

import json
import subprocess
import sys

import pytest

from components.deploy.judge import judge
from components.deploy.policy import policy_from
from components.deploy.promote import ChampionMoved, promote, rollback
from components.deploy.registry import Registry
from ofa.errors import OFAError


def numbers(uri):
    store = Registry(uri)
    found = {name: store.alias(name) for name in ("champion", "previous", "challenger")}
    return {name: version and version.number for name, version in found.items()}


def test_the_life_of_a_model(uri, release, tmp_path):
    """First promotion, a rejected candidate that is better later, a rollback and back."""
    first, decision = release(0)
    done = promote(first, decision, uri, out=str(tmp_path / "promotion.json"))
    assert (done.version, done.promoted, done.previous) == ("1", True, None)
    assert json.loads((tmp_path / "promotion.json").read_text()) == {"version": "1", "promoted": True, "previous": None}
    assert numbers(uri) == {"champion": "1", "previous": None, "challenger": None}
    assert promote(first, decision, uri).version == "1", "a bundle is registered once"

    strict = policy_from({"tasks": {"caption": {"floor": 100.0}, "refcoco": {}}}, "gate")
    rejected = promote(*release(1, "1", strict), uri)
    assert (rejected.version, rejected.promoted) == ("2", False)
    assert numbers(uri) == {"champion": "1", "previous": None, "challenger": "2"}
    assert Registry(uri).alias("challenger").tags["gate"] == "reject"

    better = promote(*release(1, "1"), uri)
    assert (better.version, better.promoted, better.previous) == ("2", True, "1")
    assert numbers(uri) == {"champion": "2", "previous": "1", "challenger": None}

    assert rollback(uri) == ("2", "1")
    assert numbers(uri) == {"champion": "1", "previous": "2", "challenger": None}
    assert rollback(uri) == ("1", "2")


def test_a_champion_that_moved_is_not_overwritten(uri, release):
    promote(*release(0), uri)
    with pytest.raises(ChampionMoved, match="version 1 is the champion now, the gate compared with no version"):
        promote(*release(1), uri)
    assert numbers(uri) == {"champion": "1", "previous": None, "challenger": "2"}


def test_of_two_promotions_at_once_one_wins(uri, release, root):
    """Both gates compared with version 1; real processes."""
    promote(*release(0), uri)
    rivals = [release(seed, "1") for seed in (1, 2)]
    code = "import sys; from components.deploy.cli import app; app(sys.argv[1:])"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, "promote", folder, "--decision", decision, "--registry", uri],
            cwd=root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        for folder, decision in rivals
    ]
    results = [(process.communicate(), process.returncode) for process in processes]
    assert sorted(code for _, code in results) == [0, 2], results
    (_, error), _ = next(result for result in results if result[1] == 2)
    assert "run the gate again" in error
    now = numbers(uri)
    assert now["previous"] == "1" and now["champion"] in ("2", "3")


def test_a_decision_about_another_model_is_refused(uri, release):
    (first, _), (_, decision) = release(0), release(1)
    with pytest.raises(OFAError, match="decides about another caption checkpoint"):
        promote(first, decision, uri)


def test_a_task_without_rules_is_not_promoted(uri, release):
    partial = policy_from({"tasks": {"caption": {}}}, "gate")
    with pytest.raises(OFAError, match="has no rules for refcoco"):
        promote(*release(0, policy=partial), uri)


def test_a_missing_attachment_is_named_before_anything_happens(uri, release, tmp_path):
    with pytest.raises(OFAError, match="report.html: no such file"):
        promote(*release(0), uri, attachments=[str(tmp_path / "report.html")])
    assert numbers(uri)["challenger"] is None


def test_an_undecided_model_is_not_promoted(uri, release, tmp_path):
    folder, decision = release(0)
    judge(str(tmp_path / "nowhere"), policy_from({"tasks": {"caption": {}}}, "gate")).save(decision)
    assert not promote(folder, decision, uri).promoted
    assert numbers(uri)["champion"] is None


def test_nothing_to_roll_back_to(uri, release):
    with pytest.raises(OFAError, match="no previous champion"):
        rollback(uri)
    promote(*release(0), uri)
    with pytest.raises(OFAError, match="no previous champion"):
        rollback(uri)
