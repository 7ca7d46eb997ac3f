"""The gate step: challenger against champion, with the decision written down."""

from collections.abc import Mapping, Sequence
from tempfile import TemporaryDirectory
from typing import Any

from components.deploy.champion import fetch_champion
from components.deploy.decision import Decision
from components.deploy.judge import judge, undecided
from components.deploy.policy import load_policy, policy_from
from components.deploy.registry import DEFAULT_URI, MODEL, Registry
from ofa.errors import OFAError


def gate(
    evaluations: str | Sequence[str],
    out: str,
    params: str = "params.yaml",
    champion: str = "",
    registry: str = "",
    name: str = MODEL,
    policy: Mapping[str, Any] | None = None,
) -> Decision:
    """Decide whether the evaluated model may replace the champion, and write the decision.

    The champion's evaluations come from a folder or from the model registry. From the registry they are made anew, with
    the champion's own checkpoint, where the evaluation data changed since.

    Args:
        evaluations: folder with an evaluation folder a task, or those folders.
        out: the decision as JSON; the same as Markdown is written beside it.
        params: file with the policy in its section `gate`.
        champion: folder with the champion's evaluations, a folder a task, or its address as MLflow reads it ("s3://...",
            "models:/ofa/3/..."); empty: those of the registry's champion.
        registry: MLflow tracking address; empty (and no `champion`): compares with nothing.
        name: of the registered model.
        policy: the policy itself, in place of the file's.

    Returns:
        The decision; its `exit_code` is 0 to promote, 1 to reject, 2 when it could not be decided.

    Raises:
        OFAError: the policy is wrong.
    """
    rules = load_policy(params) if policy is None else policy_from(policy, "policy")
    version, lacks = None, frozenset()
    with TemporaryDirectory() as work:
        try:
            if ":/" in champion:
                champion = str(Registry(registry or DEFAULT_URI).fetch(champion, work))
            elif registry and not champion:
                found = fetch_champion(Registry(registry, name), evaluations, work)
                if found is not None:
                    champion, version, lacks = found.folder, found.version, found.lacks
            decision = judge(evaluations, rules, champion or None, version, lacks)
        except OFAError as error:
            decision = undecided(str(error), rules)
    decision.save(out)
    return decision
