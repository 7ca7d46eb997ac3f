"""AdamW with the original's arithmetic, clipping, and which parameters train."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

from ofa.errors import OFAError
from ofa.train.config import TrainConfig


class AdamW:
    """Adam with decoupled weight decay over the trainable parameters of a network, as fairseq's Adam computes it.

    fairseq adds epsilon before the bias correction of the second moment, sqrt(v) + eps, and torch after it,
    sqrt(v / (1 - beta2^t)) + eps. So torch's fused kernel is given eps / sqrt(1 - beta2^t). The recorded runs of the
    original tell the two apart: early, most gradients of the token matrix are tiny.

    The class is not a `torch.optim.Optimizer`, whose construction imports the compiler: seconds at every start.
    """

    def __init__(self, net: nn.Module, config: TrainConfig):
        self.config = config
        self.parameters = {name: p for name, p in net.named_parameters() if p.requires_grad}
        self.first = {name: torch.zeros_like(p) for name, p in self.parameters.items()}
        self.second = {name: torch.zeros_like(p) for name, p in self.parameters.items()}
        self.updates = {name: torch.zeros((), device=p.device) for name, p in self.parameters.items()}
        self.ages: dict[str, int] = {}
        self.refresh()

    def refresh(self) -> None:
        """Take note that the tensors of `state` were overwritten."""
        self.ages = {name: int(updates) for name, updates in self.updates.items()}

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters.values():
            parameter.grad = None

    def clip(self, limit: float) -> float:
        """Scale the whole gradient down to the norm `limit` (0: leave it as it is); returns its norm before that."""
        with_gradient = [p for p in self.parameters.values() if p.grad is not None]
        total = nn.utils.get_total_norm([p.grad for p in with_gradient], foreach=True)
        norm = total.item()  # the one number of a step that a GPU is waited for
        if 0 < limit < norm:
            nn.utils.clip_grads_with_norm_(with_gradient, limit, total, foreach=True)
        return norm

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """Update every parameter that has a gradient."""
        beta1, beta2 = self.config.betas
        by_age: dict[int, list[str]] = {}
        for name, parameter in self.parameters.items():
            if parameter.grad is not None:
                self.ages[name] += 1
                by_age.setdefault(self.ages[name], []).append(name)
        for age, names in by_age.items():
            adamw(
                [self.parameters[name] for name in names],
                [self.parameters[name].grad for name in names],
                [self.first[name] for name in names],
                [self.second[name] for name in names],
                [],
                [self.updates[name] for name in names],
                fused=True,
                amsgrad=False,
                beta1=beta1,
                beta2=beta2,
                lr=learning_rate,
                weight_decay=self.config.weight_decay,
                eps=self.config.eps / (1 - beta2**age) ** 0.5,
                maximize=False,
            )

    def state(self) -> dict[str, Tensor]:
        """The live state by name, to save it, or to overwrite it and call `refresh`."""
        parts = {"first": self.first, "second": self.second, "updates": self.updates}
        return {f"{part}.{name}": tensor for part, tensors in parts.items() for name, tensor in tensors.items()}


def freeze(net: nn.Module, patterns: Sequence[str]) -> None:
    """Leave the parameters as they are whose names match one of the shell patterns.

    Raises:
        OFAError: a pattern matches nothing, or nothing is left to train.
    """
    names = [name for name, _ in net.named_parameters()]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise OFAError(f"freeze: no parameter matches '{pattern}'; names look like {', '.join(names[:3])}")
    for name, parameter in net.named_parameters():
        if any(fnmatchcase(name, pattern) for pattern in patterns):
            parameter.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in net.parameters()):
        raise OFAError("freeze: every parameter is frozen, nothing is left to train")
