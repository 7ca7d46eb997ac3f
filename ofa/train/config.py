"""Every setting of a training run."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Settings of `ofa.train.loop.train`. The defaults are the original's finetuning values where it has one.

    A step is one update of the weights. Two runs with the same settings, data and ranks give the same weights;
    the fields under "Bookkeeping" have no influence on them.
    """

    # Length and batch

    steps: int
    """Number of updates."""
    batch_size: int = 64
    """Rows of an update over all ranks and accumulated parts; divisible by ranks * accumulate."""
    accumulate: int = 1
    """Parts that a rank's share of the batch is cut into, to save memory. The update is the same: the loss is divided
    by the tokens of the whole batch (batch statistics of an unfrozen ResNet, and what drop-worst compares, are those
    of a part)."""

    # Optimizer

    lr: float = 5e-5
    """Peak learning rate."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay rates of AdamW's first and second moment."""
    eps: float = 1e-8
    """AdamW's epsilon, added before the bias correction as in the original."""
    weight_decay: float = 0.01
    """Decoupled weight decay (times the learning rate), on all parameters as in the original."""
    clip_norm: float = 1.0
    """Largest norm of the whole gradient; 0 turns clipping off."""
    freeze: tuple[str, ...] = ()
    """Parameters that stay as they are, as shell patterns of their names ("encoder.layers.0.*")."""

    # Schedule

    schedule: Literal["polynomial", "cosine", "constant"] = "polynomial"
    """Course of the learning rate after the warm-up."""
    power: float = 1.0
    """Exponent of the polynomial schedule; 1 is linear."""
    end_lr: float = 0.0
    """Learning rate at the last step."""
    warmup_ratio: float = 0.06
    """Share of the steps in which the learning rate rises from 0, rounded down; unused when `warmup_steps` is set."""
    warmup_steps: int | None = None
    """Number of warm-up steps; None takes `warmup_ratio`."""

    # Loss

    label_smoothing: float = 0.0
    """Probability mass that is spread over the wrong answers."""
    drop_worst_ratio: float = 0.0
    """Share of the tokens, those of the largest loss, that is left out of every update (against noisy captions)."""
    drop_worst_after: int = 0
    """Number of updates before dropping starts."""
    encouraging_log_end: float | None = None
    """Turns on the encouraging loss (the original's runs use 0.75); see `ofa.train.losses.token_loss`."""
    rdrop_alpha: float = 0.0
    """Weight of R-Drop's divergence between two passes with different dropout; 0 turns it (and the second pass) off."""
    allowed_range: tuple[int, int] | None = None
    """Restricts the softmax to ids first..end-1 and the special ids (image codes: 50265, 58457)."""
    sentence_average: bool = False
    """Divide the loss by the number of samples instead of tokens."""
    group_average: bool = False
    """Average the loss within each group of the stream's sources and sum the averages, as the original's pretraining
    does with its two halves, instead of averaging over all tokens. `accumulate` is then a multiple of the groups."""

    # Numbers

    precision: Literal["fp32", "bf16"] = "bf16"
    """bf16: matrix products and convolutions under autocast; weights, optimizer, loss and norms stay float32. fp32: all
    is float32, on a GPU as well (no TF32)."""
    ema_decay: float = 0.0
    """Decay of the exponential moving average of the weights (and batch statistics), which is then what is
    validated and delivered; 0 turns it off."""
    seed: int = 0
    """Seed of the order of rows, dropout and augmentation."""
    max_nonfinite: int = 10
    """Steps in a row with a loss or gradient that is not finite, each skipped, before the run stops."""

    # Bookkeeping

    device: str = "auto"
    """"cpu", "cuda", or "auto": a GPU where there is one."""
    parallel: Literal["ddp", "fsdp"] = "ddp"
    """How several processes share the work: each with all weights, or (FSDP2) each with a share of weights, gradients
    and optimizer state, for networks that are too large otherwise."""
    activation_checkpointing: bool = False
    """Compute the transformer layers' activations again in the backward pass instead of keeping them."""
    compile: bool = False
    """Compile the network with `torch.compile`: slower to start, faster to run; needs a C++ compiler on a CPU."""
    timeout: float = 1800.0
    """Seconds that a step waits for its batch, and a rank for the others, before the run stops and says who is
    late."""
    log_every: int = 10
    """Steps between two records of the history."""
    checkpoint_every: int = 500
    """Steps between two checkpoints; one is also written at the end and on SIGTERM."""
    keep: int = 2
    """Number of latest checkpoints to keep, beside the best."""
    validate_every: int = 0
    """Steps between two validations; 0 validates at the end only."""
    best_metric: str = ""
    """Validation metric (larger is better) that selects the best checkpoint; "" takes the last."""
    patience: int = 0
    """Validations without a new best after which training stops early; 0 never stops early."""

    def __post_init__(self):
        for name in ("steps", "batch_size", "accumulate", "max_nonfinite", "log_every", "checkpoint_every", "keep"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("warmup_ratio", "label_smoothing", "drop_worst_ratio", "ema_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")
        for name in ("end_lr", "weight_decay", "clip_norm", "drop_worst_after", "rdrop_alpha", "patience"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        for name in ("lr", "timeout"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if self.encouraging_log_end is not None and not 0 < self.encouraging_log_end <= 1:
            raise ValueError(f"encouraging_log_end must be in (0, 1], got {self.encouraging_log_end}")
        if self.warmup_steps is not None and not 0 <= self.warmup_steps <= self.steps:
            raise ValueError(f"warmup_steps must be in 0..steps ({self.steps}), got {self.warmup_steps}")
        if self.patience and not (self.best_metric and self.validate_every):
            raise ValueError("patience needs best_metric and validate_every")

    @property
    def total_warmup_steps(self) -> int:
        """Length of the warm-up in steps."""
        return int(self.steps * self.warmup_ratio) if self.warmup_steps is None else self.warmup_steps


BOOKKEEPING = frozenset(
    (
        "device", "parallel", "activation_checkpointing", "compile", "timeout", "log_every", "checkpoint_every",
        "keep", "validate_every", "best_metric", "patience",
    )
)  # fmt: skip
"""Fields that do not decide the weights of a step, so that a run may be resumed with others."""
