"""What a model must show before it may replace the champion: the section `gate` of params.yaml."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.params import load_params
from ofa.errors import OFAError, nearest
from ofa.settings import build


@dataclass(frozen=True, kw_only=True)
class TaskRule:
    """What is asked of one task."""

    metric: str | None = None
    """Metric that the rules below are about; None takes the task's primary one. Rows must have it in `measures`
    (CIDEr, Acc@0.5, accuracy ...), so not BLEU of a corpus."""
    floor: float | None = None
    """Lowest acceptable score; None accepts any."""
    above_baseline: bool = True
    """Also ask for more than the best trivial predictor of the evaluation."""
    margin: float | None = None
    """Non-inferiority: how much worse than the champion the score may be, in the metric's own units. The lower
    confidence bound of the difference must lie above -margin. None does not compare this task."""

    def __post_init__(self) -> None:
        if self.margin is not None and self.margin < 0:
            raise ValueError(f"margin must be 0 or more, got {self.margin}")


@dataclass(frozen=True, kw_only=True)
class GatePolicy:
    """All rules. A challenger is promoted when every one of them is met."""

    tasks: dict[str, TaskRule]
    """Rules by task name. Each of these tasks must have been evaluated."""
    primary: str | None = None
    """Task on which the challenger must be better than the champion, beyond chance; None asks for no improvement."""
    significance: float = 0.05
    """Probability of error allowed to each comparison with the champion (one-sided)."""
    resamples: int = 10_000
    """Samples drawn by the paired bootstrap."""
    seed: int = 0
    """Of the bootstrap."""
    max_checkpoint_mb: float | None = None
    """Largest checkpoint of a task, in megabytes (10^6 bytes); None sets no limit."""
    max_latency_ms: float | None = None
    """Largest 95th percentile of the time for one sample, in milliseconds on the evaluating machine; None sets no
    limit."""
    max_bad_row_rate: float = 0.0
    """Largest share of evaluation rows that could not be read, 0 to 1."""

    def __post_init__(self) -> None:
        if not self.tasks:
            raise ValueError("tasks must name at least one task: a gate without rules lets everything through")
        if not 0 < self.significance < 0.5:
            raise ValueError(f"significance must be between 0 and 0.5, got {self.significance}")
        if self.primary is not None and self.primary not in self.tasks:
            raise ValueError(
                f"primary is {self.primary!r}, which is not one of tasks{nearest(self.primary, list(self.tasks))}"
            )
        if not 0 <= self.max_bad_row_rate <= 1:
            raise ValueError(f"max_bad_row_rate is a share, 0 to 1, got {self.max_bad_row_rate}")
        if self.resamples < 100:
            raise ValueError(f"resamples must be at least 100, got {self.resamples}")


def policy_from(values: Mapping[str, Any], where: str) -> GatePolicy:
    """A policy from a mapping; `where` names its origin in errors.

    Raises:
        OFAError: an unknown key or a value that is not allowed.
    """
    tasks = values.get("tasks")
    if not isinstance(tasks, Mapping):
        raise OFAError(f"{where}: tasks must hold rules by task name, for example 'caption: {{floor: 1.0}}'")
    rules = {str(name): build(TaskRule, rule, f"{where}.tasks.{name}") for name, rule in tasks.items()}
    return build(GatePolicy, {**values, "tasks": rules}, where)


def load_policy(params: str | Path) -> GatePolicy:
    """The policy in the section `gate` of a params file."""
    sections = load_params(params)
    if "gate" not in sections:
        raise OFAError(f"{params}: no section 'gate'{nearest('gate', list(sections))}")
    return policy_from(sections["gate"] or {}, f"{params}: gate")
