"""The pipelines by name."""

from collections.abc import Mapping
from dataclasses import dataclass

from kfp.dsl.base_component import BaseComponent

from ofa.errors import OFAError, nearest
from pipelines.evaluate_gate import evaluate_gate
from pipelines.finetune import finetune
from pipelines.pretrain import pretrain
from pipelines.retrain import retrain


@dataclass(frozen=True)
class Pipeline:
    """One of them."""

    component: BaseComponent
    needs: tuple[str, ...] = ()
    """Parameters that params.yaml does not hold, besides the registry."""

    @property
    def optional(self) -> tuple[str, ...]:
        """Parameters that have a default of their own."""
        return tuple(name for name, given in self.component.component_spec.inputs.items() if given.optional)

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of all its parameters."""
        return tuple(self.component.component_spec.inputs)


PIPELINES: Mapping[str, Pipeline] = {
    "pretrain": Pipeline(pretrain),
    "finetune": Pipeline(finetune),
    "evaluate-gate": Pipeline(evaluate_gate, needs=("networks", "tables")),
    "retrain": Pipeline(retrain),
}


def pipeline(name: str) -> Pipeline:
    """The pipeline of this name.

    Raises:
        OFAError: there is none.
    """
    if name not in PIPELINES:
        raise OFAError(f"no pipeline '{name}'{nearest(name, list(PIPELINES))} (there are: {', '.join(PIPELINES)})")
    return PIPELINES[name]
