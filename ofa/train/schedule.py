"""The learning rate as a function of the step: warm-up, then polynomial or cosine decay, or constant."""

import math

from ofa.train.config import TrainConfig


def learning_rate(config: TrainConfig, updates: int) -> float:
    """The learning rate of the next update after `updates` of them.

    It rises linearly from 0 to `config.lr` over the warm-up, then falls to `config.end_lr` at
    `config.steps` and stays there. With "polynomial" these are the values of the original's `polynomial_decay`.
    """
    peak, end = config.lr, config.end_lr
    warmup = config.total_warmup_steps
    if updates < warmup:
        return peak * updates / warmup
    if config.schedule == "constant":
        return peak
    if updates >= config.steps:
        return end
    left = 1 - (updates - warmup) / (config.steps - warmup)
    if config.schedule == "cosine":
        left = (1 - math.cos(math.pi * left)) / 2
    else:
        left **= config.power
    return end + (peak - end) * left
