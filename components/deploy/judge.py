"""The gate's rules: what a challenger's evaluations must show.

This reads evaluations (`components.evaluate.record`) and a policy, and knows neither models nor registry.
"""

import dataclasses
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from components.deploy.decision import PROMOTE, REJECT, UNDECIDED, Decision, Finding
from components.deploy.policy import GatePolicy, TaskRule
from components.evaluate.compare import compare
from components.evaluate.record import Evaluation, find, load
from ofa.errors import OFAError


def judge(
    challenger: str | Sequence[str],
    policy: GatePolicy,
    champion: str | Sequence[str] | None = None,
    champion_version: str | None = None,
    new_tasks: Collection[str] = (),
) -> Decision:
    """Decide whether the challenger may replace the champion.

    Args:
        challenger: folder with an evaluation folder a task, or those folders.
        policy: the rules.
        champion: the same of the champion, on the same data; None when there is no champion yet.
        champion_version: version of the champion in the registry, kept in the decision.
        new_tasks: tasks that the champion does not do, so that there is nothing to compare.

    Returns:
        The decision. Input that cannot be judged is not raised: it makes the decision `undecided`.
    """
    try:
        ours = _load(challenger)
        theirs = _load(champion) if champion else {}
        compared = set(policy.tasks) - set(new_tasks) if champion else set()
        # By name: a policy that came through Kubeflow Pipelines has no order.
        names = sorted(policy.tasks)
        findings = [found for task in names for found in _judge(task, policy, ours, theirs, task in compared)]
    except OFAError as error:
        return undecided(str(error), policy, champion_version)
    decision, reason = _conclude(findings)
    judged = [task for task in names if task in ours]
    return Decision(
        decision=decision,
        reason=reason,
        findings=findings,
        challenger={task: ours[task][1].lineage.checkpoint_sha256 for task in judged},
        champion={task: evaluation.lineage.checkpoint_sha256 for task, (_, evaluation) in theirs.items()},
        champion_version=champion_version,
        data={task: ours[task][1].lineage.table_sha256 for task in judged},
        policy=dataclasses.asdict(policy),
    )


def undecided(reason: str, policy: GatePolicy, champion_version: str | None = None) -> Decision:
    """The decision when something could not be read or reached."""
    return Decision(
        decision=UNDECIDED,
        reason=f"could not decide: {reason}",
        findings=[],
        champion_version=champion_version,
        policy=dataclasses.asdict(policy),
    )


_Loaded = dict[str, tuple[Path, Evaluation]]


def _load(evaluations: str | Sequence[str]) -> _Loaded:
    return {task: (path, load(path)) for task, path in find(evaluations).items()}


def _conclude(findings: list[Finding]) -> tuple[str, str]:
    unknown = [finding for finding in findings if finding.passed is None]
    failed = [finding for finding in findings if finding.passed is False]
    if unknown:
        return UNDECIDED, f"could not decide: {unknown[0].why}."
    if failed:
        names = ", ".join(f"{finding.rule} ({finding.task})" for finding in failed)
        return REJECT, f"{len(failed)} of {len(findings)} rules {'is' if len(failed) == 1 else 'are'} not met: {names}."
    return PROMOTE, f"all {len(findings)} rules are met."


def _judge(task: str, policy: GatePolicy, ours: _Loaded, theirs: _Loaded, compared: bool) -> Iterator[Finding]:
    if task not in ours:
        yield _open("evaluated", task, f"the challenger was not evaluated on {task}")
        return
    folder, evaluation = ours[task]
    rule = policy.tasks[task]
    metric = rule.metric or evaluation.metric
    if metric not in evaluation.scores:
        yield _open("evaluated", task, f"{task} has no score {metric}, only {', '.join(evaluation.scores)}")
        return
    yield from _scores(evaluation, metric, rule)
    yield from _limits(evaluation, policy)
    if compared and task not in theirs:
        yield _open("same data", task, f"the champion was not evaluated on {task}")
    elif compared:
        yield from _against_champion(folder, theirs[task][0], task, metric, rule, policy)


def _scores(evaluation: Evaluation, metric: str, rule: TaskRule) -> Iterator[Finding]:
    score, task = evaluation.scores[metric], evaluation.task
    if rule.floor is not None:
        why = f"{metric} is {score:.4g}, at least {rule.floor:.4g} is asked for"
        yield Finding(rule="floor", task=task, passed=score >= rule.floor, value=score, limit=rule.floor, why=why)
    trivial = {name: scores[metric] for name, scores in evaluation.baseline.items() if metric in scores}
    if rule.above_baseline and trivial:
        name = max(trivial, key=trivial.__getitem__)
        best = trivial[name]
        why = f"{metric} is {score:.4g}, the trivial '{name.replace('_', ' ')}' reaches {best:.4g}"
        yield Finding(rule="baseline", task=task, passed=score > best, value=score, limit=best, why=why)


def _limits(evaluation: Evaluation, policy: GatePolicy) -> Iterator[Finding]:
    bad, size = evaluation.bad_row_rate, evaluation.lineage.checkpoint_bytes / 1e6
    latency = evaluation.speed.latency_ms_p95
    for rule, value, limit, why in (
        ("bad rows", bad, policy.max_bad_row_rate, "{:.2%} of the rows were unreadable, allowed are {:.2%}"),
        ("checkpoint size", size, policy.max_checkpoint_mb, "the checkpoint has {:.1f} MB, allowed are {:g} MB"),
        (
            "latency",
            latency,
            policy.max_latency_ms,
            "95 % of single requests take {:.1f} ms or less, allowed are {:g} ms",
        ),
    ):
        if limit is not None:
            said = why.format(value, limit)
            yield Finding(rule=rule, task=evaluation.task, passed=value <= limit, value=value, limit=limit, why=said)


def _against_champion(
    folder: Path, champion: Path, task: str, metric: str, rule: TaskRule, policy: GatePolicy
) -> Iterator[Finding]:
    confidence = 1 - 2 * policy.significance
    try:
        found = compare(str(champion), str(folder), metric, policy.resamples, policy.seed, confidence, examples=0)
    except OFAError as error:
        yield _open("same data", task, str(error))
        return
    interval = (found.difference.low, found.difference.high)
    measured = (
        f"{metric} {found.a:.4g} -> {found.b:.4g}, a difference of {found.difference.mean:+.4g} "
        f"({confidence:.0%} interval {interval[0]:+.4g} to {interval[1]:+.4g})"
    )
    if rule.margin is not None:
        passed, why = interval[0] >= -rule.margin, f"{measured}, at most {rule.margin:.4g} may be lost"
        yield Finding(
            rule="non-inferior",
            task=task,
            passed=passed,
            value=found.difference.mean,
            limit=-rule.margin,
            interval=interval,
            why=why,
        )
    if task == policy.primary:
        passed, why = interval[0] > 0, f"{measured}, all of the interval must lie above 0"
        yield Finding(
            rule="better", task=task, passed=passed, value=found.difference.mean, limit=0.0, interval=interval, why=why
        )


def _open(rule: str, task: str, why: str) -> Finding:
    return Finding(rule=rule, task=task, passed=None, why=why)
