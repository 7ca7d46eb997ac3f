"""The losses of OFA on logits of the positions that count, and their sum over a batch.

Everything is in *sum form*: a loss is the sum over tokens, its size is the number of tokens kept, and the training
loop divides once by the size of the whole (accumulated, distributed) batch. N is the number of positions with a
target, K the number of scored vocabulary rows (`net.output_ids`, or the whole vocabulary).
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import BoolTensor, FloatTensor, LongTensor, Tensor, nn

from ofa.data.batch import PAD, Batch
from ofa.errors import OFAError
from ofa.train.config import TrainConfig
from ofa.train.flops import step_flops

SPECIAL_IDS = 4
"""bos, pad, eos and unk (ids 0..3) stay allowed under `allowed_range`, as in the original."""


@dataclass(frozen=True)
class TokenLoss:
    """Sums over tokens."""

    loss: Tensor
    """What is minimized, differentiable."""
    nll: Tensor
    """Negative log-likelihood of the targets (nats), detached: comparable between settings."""
    size: int
    """Number of tokens in the sums."""


def token_loss(
    logits: FloatTensor,
    target: LongTensor,
    *,
    label_smoothing: float = 0.0,
    allowed: BoolTensor | None = None,
    weight: FloatTensor | None = None,
    drop_worst_ratio: float = 0.0,
    encouraging_log_end: float | None = None,
    rdrop_alpha: float = 0.0,
) -> TokenLoss:
    """Cross-entropy (arXiv 2202.03052, section 3.4, equation 1) with label smoothing, and what OFA adds to it.

    A token costs -(1 - e - s) log p(target) - s sum(log p) over the K' allowed columns, with e = `label_smoothing` and
    s = e / (K' - 1).

    Args:
        logits: (N, K).
        target: (N,) column of the right answer.
        label_smoothing: probability mass that is spread over the allowed columns.
        allowed: (N, K) or (K,) mask of the answer space; the softmax is restricted to it.
        weight: (N,) factor of each token's log-probabilities (confidence of the answer).
        drop_worst_ratio: share of the tokens, those of the largest loss, that is left out (noisy labels).
        encouraging_log_end: adds the encouraging loss, a bonus of log(1 - p) for being right ("Well-classified
            examples are underestimated", arXiv 2110.06537). Above this probability the logarithm goes on as its
            tangent; 1 means no tangent. None: no bonus.
        rdrop_alpha: weight of the symmetric Kullback-Leibler divergence between the two halves of the tokens, which
            come from two forward passes over the same samples (R-Drop, arXiv 2106.14448). Finite with `allowed`,
            where the original's is NaN.

    Returns:
        Sums over the tokens that were kept.
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if allowed is not None:
        allowed = allowed.expand_as(logits)
        logits = logits.masked_fill(~allowed, -torch.inf)
    log_probs = logits.log_softmax(dim=-1)
    finite_log_probs = log_probs if allowed is None else log_probs.masked_fill(~allowed, 0)
    weight = logits.new_ones(len(logits)) if weight is None else weight

    nll = -log_probs.gather(1, target[:, None]).squeeze(1) * weight
    loss = nll
    if label_smoothing > 0:
        choices = target.new_full((), logits.shape[1]) if allowed is None else allowed.sum(dim=1)
        share = label_smoothing / (choices - 1).clamp(min=1)
        loss = (1 - label_smoothing - share) * nll - share * finite_log_probs.sum(dim=1) * weight

    halves = 2 if rdrop_alpha > 0 else 1
    if drop_worst_ratio > 0:
        first = len(loss) // halves
        kept = loss[:first].topk(kept_size(first, drop_worst_ratio), largest=False).indices
        if halves == 2:
            kept = torch.cat([kept, kept + first])
        loss, nll, weight, target = (t[kept] for t in (loss, nll, weight, target))
        log_probs, finite_log_probs = log_probs[kept], finite_log_probs[kept]

    total = loss.sum()
    if encouraging_log_end is not None:
        bonus = _bonus((log_probs * weight[:, None]).exp(), encouraging_log_end)
        right = bonus.gather(1, target[:, None]).sum()
        total = total + (1 - label_smoothing) * right + label_smoothing / logits.shape[1] * bonus.sum()
    if halves == 2:
        # KL(p||q) + KL(q||p) = sum (p - q)(log p - log q); disallowed columns hold 0 on both sides.
        p, q = finite_log_probs.chunk(2)
        divergence = ((p.exp() - q.exp()) * (p - q)).sum(dim=1)
        total = total + rdrop_alpha / 2 * (divergence * weight[: len(divergence)]).sum()
    return TokenLoss(total, nll.detach().sum(), len(loss))


def _bonus(probs: FloatTensor, log_end: float) -> FloatTensor:
    bonus = (1 - probs).clamp(min=1e-5).log()
    if log_end == 1:
        return bonus
    start = probs.new_full((), 1 - log_end).log()
    return torch.where(probs > log_end, start - (probs - log_end) / (1 - log_end), bonus)


def kept_size(tokens: int, drop_worst_ratio: float) -> int:
    """How many of `tokens` are left when the worst are dropped."""
    return int(tokens * (1 - drop_worst_ratio))


def policy_gradient(log_probs: FloatTensor, target: LongTensor, reward: FloatTensor) -> TokenLoss:
    """The loss of self-critical sequence training: -reward * log p summed over tokens (arXiv 1612.00563).

    Args:
        log_probs: (N, K).
        target: (N,) column of the sampled token.
        reward: (N,) reward of the sequence that the token belongs to, minus its baseline.
    """
    chosen = log_probs.gather(1, target[:, None]).squeeze(1)
    return TokenLoss(-(chosen * reward).sum(), -chosen.detach().sum(), len(target))


class Objective(ABC):
    """What a run minimizes: a sum over tokens (or cells) of a batch, and what that sum is divided by."""

    generates = False
    """Whether `prepare` runs the network, in evaluation mode."""
    unit = "tokens"
    """What `size` counts, as records of the speed call it; "" where the number of samples says it all."""

    def check(self, net: nn.Module, batch: Any) -> None:  # noqa: B027
        """Refuse a batch, before it leaves the CPU, that the network cannot be trained on.

        Raises:
            OFAError: it is such a one.
        """

    def prepare(self, net: nn.Module, batch: Any) -> Any:
        """What the loss is computed on: the batch itself, unless an objective needs the network to make it."""
        return batch

    @abstractmethod
    def size(self, batch: Any, updates: int) -> int:
        """By what the batch's loss will be divided, known before the forward pass so that ranks can agree on it."""

    @abstractmethod
    def __call__(self, net: nn.Module, batch: Any, updates: int) -> TokenLoss:
        """The batch's loss after `updates` updates of the weights."""

    def flops(self, net: nn.Module, batch: Any) -> float:
        """Operations of a forward and a backward pass; 0 where that is not known."""
        return 0.0


@dataclass(frozen=True)
class SequenceLoss(Objective):
    """The objective of pretraining and finetuning: `token_loss` at the target positions of a batch.

    Only the features of those positions are projected to the vocabulary: padding and prompts cost nothing.
    """

    config: TrainConfig

    def check(self, net: nn.Module, batch: Batch) -> None:
        """See `check_targets`."""
        check_targets(net, batch.ids, batch.target)

    def size(self, batch: Batch, updates: int) -> int:
        """The number of tokens that are kept, or of samples."""
        size = len(batch) if self.config.sentence_average else kept_size(batch.n_tokens, self._drop_worst(updates))
        return size * self._passes

    def __call__(self, net: nn.Module, batch: Batch, updates: int) -> TokenLoss:
        """The batch's loss, summed over tokens."""
        config = self.config
        passes = [_features(net, batch).flatten(0, 1)[batch.positions] for _ in range(self._passes)]
        logits = net.project(torch.cat(passes))
        tokens = batch.target.flatten()[batch.positions]
        weight = None
        if batch.confidence is not None:
            weight = batch.confidence[batch.positions // batch.target.shape[1]].repeat(self._passes)
        return token_loss(
            logits,
            net.columns(tokens).repeat(self._passes),
            label_smoothing=config.label_smoothing,
            allowed=self._allowed(net, batch, logits.shape[1]),
            weight=weight,
            drop_worst_ratio=self._drop_worst(updates),
            encouraging_log_end=config.encouraging_log_end,
            rdrop_alpha=config.rdrop_alpha,
        )

    def flops(self, net: nn.Module, batch: Batch) -> float:
        """Operations of a forward and a backward pass."""
        return step_flops(net, batch) * self._passes

    @property
    def _passes(self) -> int:
        return 2 if self.config.rdrop_alpha > 0 else 1

    def _drop_worst(self, updates: int) -> float:
        return self.config.drop_worst_ratio if updates > self.config.drop_worst_after else 0.0

    def _allowed(self, net: nn.Module, batch: Batch, columns: int) -> BoolTensor | None:
        if batch.allowed is not None:
            token_columns = None if net.output_ids is None else net.columns(batch.allowed.token)
            return batch.allowed.mask(batch.positions, columns, token_columns).repeat(self._passes, 1)
        if self.config.allowed_range is not None:
            first, end = self.config.allowed_range
            ids = torch.arange(columns, device=batch.target.device) if net.output_ids is None else net.output_ids
            return (ids < SPECIAL_IDS) | ((ids >= first) & (ids < end))
        return None


def _features(net: nn.Module, batch: Batch) -> FloatTensor:
    return net(previous_tokens=batch.previous, code_mask=batch.code_mask, features_only=True, **batch.inputs())


def check_targets(net: nn.Module, ids: Sequence[str], target: LongTensor) -> None:
    """Make sure that the output layer scores what is to be learned, here and not on a GPU, which would be waited for.

    Args:
        net: its configuration's `output_ids` count.
        ids: names of B samples.
        target: (B, T) on the CPU; 1 where there is no loss.

    Raises:
        OFAError: `output_ids` leave out a token.
    """
    if net.config.output_ids is None:
        return
    scored = {PAD, *net.config.output_ids}
    for name, tokens in zip(ids, target.tolist(), strict=True):
        if missing := sorted(set(tokens) - scored):
            raise OFAError(
                f"the target of sample {name!r} holds ids that the network does not score: {missing[:10]}; add them "
                "to the configuration's output_ids, which must cover every table that is trained on"
            )
