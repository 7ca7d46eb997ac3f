"""Promotion in a real registry: versions, aliases, rollback."""

import json
from pathlib import Path

import pytest

import components.deploy.promote as module
from components.deploy.decision import load_decision
from components.deploy.judge import judge
from components.deploy.policy import policy_from
from components.deploy.promote import promote, rollback
from components.deploy.registry import Registry
from components.deploy.succession import ChampionMoved
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
    written = json.loads((tmp_path / "promotion.json").read_text())
    assert written["version"] == "1" and written["promoted"] and written["decision"] == "promote"
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


def test_where_the_champion_moved_the_gate_decides_again(uri, release, tmp_path):
    """The gate knew of no champion; now there is one, which the second model is compared with."""
    promote(*release(0), uri)
    strict = policy_from({"tasks": {"caption": {"margin": 9.0}, "refcoco": {}}, "primary": "refcoco"}, "gate")
    done = promote(*release(1, policy=strict), uri, out=str(tmp_path / "promotion.json"))
    assert not done.promoted and done.decision == "reject" and "better (refcoco)" in done.reason
    assert json.loads((tmp_path / "promotion.json").read_text())["decision"] == "reject"
    assert numbers(uri) == {"champion": "1", "previous": None, "challenger": "2"}
    version = Registry(uri).alias("challenger")
    assert version.tags["gate"] == "reject"
    kept = Registry(uri).mlflow.artifacts.download_artifacts(
        run_id=version.run_id, artifact_path="gate-against-1", dst_path=str(tmp_path)
    )
    decision = load_decision(f"{kept}/gate.json")
    assert decision.champion_version == "1" and decision.reason == done.reason
    assert {f.rule for f in decision.findings if f.interval} == {"non-inferior", "better"}


def test_a_promotion_that_broke_off_is_finished(uri, release, monkeypatch):
    """It died when the move was written, and the alias not yet set."""
    promote(*release(0), uri)
    strict = policy_from({"tasks": {"caption": {}, "refcoco": {}}, "primary": "refcoco"}, "gate")
    folder, decision = release(1, "1", strict)  # compared with itself it would not be better
    set_alias = Registry.set_alias

    def dies(store, alias, version):
        if alias == "champion":
            raise KeyboardInterrupt
        set_alias(store, alias, version)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Registry, "set_alias", dies)
        promote(folder, decision, uri)
    assert numbers(uri) == {"champion": "1", "previous": "1", "challenger": "2"}
    done = promote(folder, decision, uri)
    assert done.promoted and done.decision == "promote"
    assert numbers(uri) == {"champion": "2", "previous": "1", "challenger": None}


def test_of_two_that_promote_the_same_the_second_agrees(uri, release, monkeypatch):
    """Compared with itself it would not be better."""
    promote(*release(0), uri)
    strict = policy_from({"tasks": {"caption": {}, "refcoco": {}}, "primary": "refcoco"}, "gate")
    folder, decision = release(1, "1", strict)
    move = module.move_champion

    def late(*arguments):
        monkeypatch.undo()
        move(*arguments)
        move(*arguments)

    monkeypatch.setattr(module, "move_champion", late)
    done = promote(folder, decision, uri)
    assert (done.version, done.promoted, done.previous, done.decision) == ("2", True, "1", "promote")
    assert Registry(uri).alias("champion").tags["gate"] == "promote"
    assert numbers(uri) == {"champion": "2", "previous": "1", "challenger": None}


def test_a_gate_that_cannot_decide_again(uri, release, write_table):
    """Its data are gone, so that the champion, which was evaluated on others, cannot be evaluated on them."""
    promote(*release(0), uri)
    folder, decision = release(1)
    record = Path(folder) / "evaluations" / "refcoco" / "evaluation.json"
    content = json.loads(record.read_text())
    content["lineage"] |= {"table": ["gone.tsv"], "table_sha256": "0" * 64}
    record.write_text(json.dumps(content))
    with pytest.raises(ChampionMoved, match="version 1 is the champion now.* and the gate could not decide"):
        promote(folder, decision, uri)
    assert numbers(uri)["champion"] == "1"


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
