"""AdamW with the original's arithmetic."""

from collections.abc import Iterable

import torch
from torch import nn

from ofa.train.config import TrainConfig


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
