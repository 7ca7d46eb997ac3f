"""The gate's rules: what passes, what does not, and what cannot be decided."""

import json

import pytest

from components.deploy.decision import load_decision
from components.deploy.judge import judge
from components.deploy.policy import load_policy, policy_from
from ofa.errors import OFAError

WEAK = [1.0] * 120 + [0.0] * 80
STRONG = [1.0] * 110 + [0.0] * 10 + [1.0] * 70 + [0.0] * 10


def policy(**changes):
    rule = {key: changes.pop(key) for key in ("floor", "margin", "metric", "above_baseline") if key in changes}
    return policy_from({"tasks": {"refcoco": rule}, **changes}, "params.yaml: gate")


def rules(decision):
    return {finding.rule: finding.passed for finding in decision.findings}


@pytest.fixture
def models(tmp_path, write_evaluation):
    """A function that writes the evaluation of a model and returns the model's folder."""

    def write(name, values, **changes):
        write_evaluation(tmp_path / name / "refcoco", values, checkpoint=name, **changes)
        return str(tmp_path / name)

    return write


@pytest.mark.parametrize(
    ("rule", "changes", "facts", "passed"),
    [
        ("floor", {"floor": 0.6}, {}, True),
        ("floor", {"floor": 0.61}, {}, False),
        ("baseline", {}, {"baseline": 0.59}, True),
        ("baseline", {}, {"baseline": 0.6}, False),
        ("bad rows", {}, {"bad_rows": 1}, False),
        ("bad rows", {"max_bad_row_rate": 0.01}, {"bad_rows": 2}, True),
        ("bad rows", {"max_bad_row_rate": 0.01}, {"bad_rows": 3}, False),
        ("checkpoint size", {"max_checkpoint_mb": 10}, {"megabytes": 10.0}, True),
        ("checkpoint size", {"max_checkpoint_mb": 10}, {"megabytes": 10.1}, False),
        ("latency", {"max_latency_ms": 20}, {"latency": 20.0}, True),
        ("latency", {"max_latency_ms": 20}, {"latency": 21.0}, False),
    ],
)
def test_rules_of_one_model(models, rule, changes, facts, passed):
    decision = judge(models("new", WEAK, **facts), policy(**changes))
    assert rules(decision)[rule] is passed
    assert decision.exit_code == (0 if passed else 1)
    assert decision.decision == ("promote" if passed else "reject")


def test_the_order_of_a_policy_changes_nothing(models):
    """Kubeflow Pipelines keeps none."""
    new = models("new", WEAK)
    one, other = (judge(new, policy_from({"tasks": dict.fromkeys(names, {})}, "gate")) for names in ("vc", "cv"))
    assert one == other and [finding.task for finding in one.findings] == ["c", "v"]


@pytest.mark.parametrize(
    ("new", "old", "changes", "expected"),
    [
        (STRONG, WEAK, {"primary": "refcoco"}, {"better": True}),
        (WEAK, STRONG, {"primary": "refcoco"}, {"better": False}),
        (WEAK, WEAK, {"primary": "refcoco"}, {"better": False}),
        (WEAK, WEAK, {"margin": 0.0}, {"non-inferior": True}),
        (WEAK, STRONG, {"margin": 0.1}, {"non-inferior": False}),
        (WEAK, STRONG, {"margin": 0.5}, {"non-inferior": True}),
        (STRONG, WEAK, {"margin": 0.1, "primary": "refcoco"}, {"non-inferior": True, "better": True}),
    ],
)
def test_rules_against_the_champion(models, new, old, changes, expected):
    decision = judge(models("new", new), policy(**changes), models("old", old), champion_version="4")
    found = rules(decision)
    assert {name: found[name] for name in expected} == expected
    assert ("better" in found) == ("primary" in changes) and ("non-inferior" in found) == ("margin" in changes)
    assert decision.champion == {"refcoco": "old"} and decision.champion_version == "4"
    assert decision.exit_code == (0 if all(expected.values()) else 1)


def test_a_gain_within_chance_is_not_better(models):
    new = [1.0] * 121 + [0.0] * 79
    assert rules(judge(models("new", new), policy(primary="refcoco"), models("old", WEAK)))["better"] is False


def test_without_a_champion_only_the_model_itself_counts(models):
    decision = judge(models("new", WEAK), policy(primary="refcoco", margin=0.0, floor=0.5))
    assert set(rules(decision)) == {"floor", "baseline", "bad rows"}
    assert decision.exit_code == 0


def test_different_data_are_refused(models):
    decision = judge(models("new", STRONG), policy(primary="refcoco"), models("old", WEAK, data="e" * 64))
    assert decision.exit_code == 2 and "different data" in decision.reason
    decision = judge(models("new", STRONG), policy(), models("old", WEAK, data="e" * 64))
    assert decision.exit_code == 2, "even where the policy compares nothing"


def test_what_was_not_evaluated_cannot_be_decided(tmp_path, models):
    both = policy_from({"tasks": {"refcoco": {}, "vqa": {}}}, "gate")
    decision = judge(models("new", STRONG), both)
    assert decision.exit_code == 2 and "not evaluated on vqa" in decision.reason
    assert judge(str(tmp_path / "nothing"), policy()).exit_code == 2
    decision = judge(models("new", STRONG), policy(metric="CIDEr"))
    assert decision.exit_code == 2 and "no score CIDEr" in decision.reason


def test_a_task_that_is_new_is_not_compared(tmp_path, models, write_evaluation):
    new, old = models("new", STRONG), models("old", WEAK)
    write_evaluation(tmp_path / "new" / "vqa", WEAK, task="vqa", metric="accuracy")
    both = policy_from({"tasks": {"refcoco": {"margin": 0.0}, "vqa": {"margin": 0.0}}}, "gate")
    assert judge(new, both, old).exit_code == 2
    decision = judge(new, both, old, new_tasks={"vqa"})
    assert decision.exit_code == 0
    assert [f.task for f in decision.findings if f.rule == "non-inferior"] == ["refcoco"]


def test_a_broken_evaluation_cannot_be_decided(tmp_path, models):
    folder = models("new", STRONG)
    (tmp_path / "new" / "refcoco" / "evaluation.json").write_text("{")
    decision = judge(folder, policy())
    assert decision.exit_code == 2 and "evaluation.json" in decision.reason


def test_the_decision_is_a_document(tmp_path, models):
    decision = judge(models("new", STRONG), policy(primary="refcoco", floor=0.99), models("old", WEAK), "7")
    decision.save(tmp_path / "gate.json")
    assert load_decision(tmp_path / "gate.json") == decision
    assert json.loads((tmp_path / "gate.json").read_text())["policy"]["tasks"]["refcoco"]["floor"] == 0.99
    page = (tmp_path / "gate.md").read_text()
    assert "## Gate: reject" in page and "champion version 7" in page
    assert "| **fail** | refcoco | floor | Acc@0.5 is 0.9, at least 0.99 is asked for |" in page


def test_large_numbers_are_written_out(models):
    decision = judge(
        models("new", STRONG, megabytes=12345.6, latency=23456.7), policy(max_checkpoint_mb=20000, max_latency_ms=60000)
    )
    assert [finding.why for finding in decision.findings][-2:] == [
        "the checkpoint has 12345.6 MB, allowed are 20000 MB",
        "95 % of single requests take 23456.7 ms or less, allowed are 60000 ms",
    ]


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("gate: {tasks: {caption: {flor: 1}}}", r"gate.tasks.caption: unknown key 'flor', did you mean 'floor'"),
        ("gate: {tasks: {caption: {}}, significanse: 1}", "unknown key 'significanse', did you mean 'significance'"),
        ("gate: {tasks: {caption: {margin: -1}}}", "margin must be 0 or more"),
        ("gate: {tasks: {caption: {}}, primary: captions}", "did you mean 'caption'"),
        ("gate: {tasks: {caption: {}}, significance: 0.9}", "between 0 and 0.5"),
        ("gate: {tasks: {}}", "at least one task"),
        ("gate: {}", "rules by task name"),
        ("gates: {}", "unknown section 'gates', did you mean 'gate'"),
    ],
)
def test_a_wrong_policy_is_named(tmp_path, section, message):
    (tmp_path / "params.yaml").write_text(section)
    with pytest.raises(OFAError, match=message):
        load_policy(tmp_path / "params.yaml")
