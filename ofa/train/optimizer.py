"""AdamW with the original's arithmetic, clipping, and which parameters train."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from ofa.errors import OFAError
from ofa.train.config import TrainConfig

MOMENTS = ("exp_avg", "exp_avg_sq")


class AdamW(torch.optim.AdamW):
    """torch's fused AdamW with epsilon added *before* the bias correction of the second moment, as in fairseq's Adam.

    The two differ in the first steps only: sqrt(v) + eps there against sqrt(v / (1 - beta2^t)) + eps in torch, which
    is the same as torch's with eps / sqrt(1 - beta2^t).
    """

    def __init__(self, params: Iterable, lr: float, betas: tuple[float, float], eps: float, weight_decay: float):
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, fused=True)
        self.raw_eps = eps
        self.updates = 0

    def step(self, closure=None):
        """One update of all parameters with a gradient."""
        self.updates += 1
        for group in self.param_groups:
            group["eps"] = self.raw_eps / (1 - group["betas"][1] ** self.updates) ** 0.5
        return super().step(closure)


def make_optimizer(net: nn.Module, config: TrainConfig) -> AdamW:
    """AdamW over the trainable parameters of `net`."""
    parameters = [p for p in net.parameters() if p.requires_grad]
    return AdamW(parameters, config.learning_rate, config.betas, config.eps, config.weight_decay)


def moments(optimizer: AdamW, net: nn.Module) -> dict[str, Tensor]:
    """AdamW's state as live tensors named after the parameters ("exp_avg.encoder...", "step.encoder...")."""
    tensors = {}
    for name, parameter in net.named_parameters():
        if parameter.requires_grad:
            state = optimizer.state[parameter]
            if not state:
                state["step"] = torch.zeros((), dtype=torch.float32, device=parameter.device)
                for moment in MOMENTS:
                    state[moment] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
            tensors |= {f"{key}.{name}": state[key] for key in ("step", *MOMENTS)}
    return tensors


def clip_gradient(optimizer: AdamW, limit: float) -> float:
    """Scale the gradient down to the norm `limit` (0: leave it); returns its norm before that."""
    parameters = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    norm = nn.utils.get_total_norm([p.grad for p in parameters], foreach=True)
    if 0 < limit < norm:
        nn.utils.clip_grads_with_norm_(parameters, limit, norm, foreach=True)
    return norm.item()


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
