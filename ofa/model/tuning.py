"""Parameter-efficient tuning: prompts (arXiv 2208.02532), adapters (arXiv 1902.00751) and BitFit (arXiv 2106.10199)."""

import torch.nn.functional as F
from torch import Tensor, nn

PROMPT_DROPOUT = 0.2
"""Dropout on prompts while training; the original fixes it."""


class Adapter(nn.Module):
    """A residual bottleneck: x + up(relu(down(x)))."""

    def __init__(self, d_model: int, width: int) -> None:
        super().__init__()
        self.down = nn.Linear(d_model, width)
        self.up = nn.Linear(width, d_model)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        return x + self.up(F.relu(self.down(x)))


class Prompt(nn.Module):
    """Learned keys and values that every self-attention of a stack sees before its own.

    Args:
        length: number P of key-value pairs.
        projection: hidden width of the network that makes them from embeddings; 0 learns them directly.
    """

    def __init__(self, length: int, layers: int, heads: int, d_model: int, projection: int) -> None:
        super().__init__()
        self.layers, self.heads = layers, heads
        self.embedding = nn.Embedding(length, d_model if projection else layers * 2 * d_model)
        self.hidden = nn.Linear(d_model, projection) if projection else None
        self.output = nn.Linear(projection, layers * 2 * d_model) if projection else None

    def forward(self, batch: int) -> list[tuple[Tensor, Tensor]]:
        """Keys and values of each layer: (1, H, P, D / H), or (batch, H, P, D / H) in training for dropout's sake."""
        prompts = self.embedding.weight
        if self.hidden is not None:
            prompts = self.output(F.relu(self.hidden(prompts)))
        prompts = F.dropout(prompts.expand(batch if self.training else 1, -1, -1), PROMPT_DROPOUT, self.training)
        keys_values = prompts.unflatten(-1, (self.layers, 2, self.heads, -1)).permute(2, 3, 0, 4, 1, 5)
        return [(keys, values) for keys, values in keys_values.unbind()]


def pad_for_prompt(bias: Tensor, length: int) -> Tensor:
    """Attention bias (..., K) with a prompt of P keys before the others (..., P + K); it has no position."""
    return F.pad(bias, (length, 0)) if length else bias


def trainable(net: nn.Module) -> list[str]:
    """The names of the parameters that the network's configuration leaves to train.

    Prompts, adapters and BitFit train themselves and nothing else, together or alone; otherwise everything trains,
    without the token matrix under `freeze_embeddings`.
    """
    config = net.config
    names = [name for name, _ in net.named_parameters()]
    parts = []
    if config.encoder_prompt_length or config.decoder_prompt_length:
        parts += [name for name in names if ".prompt." in name]
    if config.adapter_dim:
        parts += [name for name in names if ".adapter." in name]
    if config.bitfit:
        parts += [name for name in names if name.endswith(".bias")]
    if parts:
        chosen = set(parts)
        return [name for name in names if name in chosen]
    return [name for name in names if not (config.freeze_embeddings and name == "embed_tokens.weight")]


def freeze(net: nn.Module) -> None:
    """Set `requires_grad` of every parameter as `trainable` says."""
    chosen = set(trainable(net))
    for name, parameter in net.named_parameters():
        parameter.requires_grad_(name in chosen)
