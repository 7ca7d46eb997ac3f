"""Multi-head attention with an additive bias and, as in NormFormer (arXiv 2110.09456), a factor for each head."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def biased_attention(
    queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor, scale: float, dropout: float
) -> Tensor:
    """softmax(q k^T * scale + bias) v with (B, H, Q, d), (B, H, K, d), (B, H, K, d), (B or 1, H, Q, K) -> as q.

    This is `F.scaled_dot_product_attention`, but for training on a CPU. There it has no fused kernel for a bias that
    learns; what it falls back on converts everything to float32 and tests every row for keys, and takes 2.5 times as
    long in bfloat16 as these lines.
    """
    if queries.device.type != "cpu" or not torch.is_grad_enabled() or not bias.requires_grad:
        return F.scaled_dot_product_attention(queries, keys, values, attn_mask=bias, dropout_p=dropout, scale=scale)
    scores = ((queries * scale) @ keys.transpose(2, 3)).add_(bias)
    weights = scores.softmax(-1, dtype=torch.float32).to(values.dtype)
    return F.dropout(weights, dropout) @ values


class Attention(nn.Module):
    """softmax(q k^T * (head size * scale_factor) ** -0.5 + bias) v, each head's result times a learned factor."""

    def __init__(self, d_model: int, heads: int, scale_factor: float, scale_heads: bool, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.scale = (d_model / heads * scale_factor) ** -0.5
        self.dropout = dropout
        self.query = nn.Linear(d_model, d_model)
        self.key = nn.Linear(d_model, d_model)
        self.value = nn.Linear(d_model, d_model)
        self.output = nn.Linear(d_model, d_model)
        self.head_scale = nn.Parameter(torch.ones(heads)) if scale_heads else None

    def reset_parameters(self) -> None:
        """Heads count the same."""
        if self.head_scale is not None:
            nn.init.ones_(self.head_scale)

    def split(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, H, T, D / H)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def keys_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, D) -> keys and values, each (B, H, T, D / H)."""
        return self.split(self.key(x)), self.split(self.value(x))

    def attend(self, queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> Tensor:
        """Queries (B, H, Q, d), keys and values (B, H, K, d), bias broadcastable to (B, H, Q, K) -> (B, Q, D)."""
        dropout = self.dropout if self.training else 0.0
        x = biased_attention(queries, keys, values, bias, self.scale, dropout).transpose(1, 2)
        if self.head_scale is not None:
            x = x * self.head_scale.to(x.dtype)[:, None]
        return self.output(x.flatten(2))

    def forward(
        self, x: Tensor, bias: Tensor, memory: Tensor | None = None, prompt: tuple[Tensor, Tensor] | None = None
    ) -> Tensor:
        """Attend from `x` to `memory`, or to `x` itself.

        Args:
            x: (B, Q, D).
            bias: broadcastable to (B, H, Q, K), -inf where a key must not be seen; it covers the prompt too.
            memory: (B, K, D).
            prompt: keys and values (B or 1, H, P, D / H) that every query sees beside the others.

        Returns:
            (B, Q, D).
        """
        x = x.to(bias.dtype)  # one conversion under autocast instead of three
        keys, values = self.keys_values(x if memory is None else memory)
        if prompt is not None:
            batch = keys.shape[0]
            keys = torch.cat([prompt[0].to(keys.dtype).expand(batch, -1, -1, -1), keys], dim=2)
            values = torch.cat([prompt[1].to(values.dtype).expand(batch, -1, -1, -1), values], dim=2)
        return self.attend(self.split(self.query(x)), keys, values, bias)

    def extend(self, x: Tensor, bias: Tensor, keys: Tensor, values: Tensor, slots: Tensor) -> Tensor:
        """Attend from new steps to themselves and the past.

        Args:
            x: (N, P, D), the new steps.
            bias: broadcastable to (N, H, P, K), -inf for places not yet written.
            keys, values: buffers (N, H, K, D / H) of all steps; the new ones are written into them.
            slots: (P,), the places of the new steps.

        Returns:
            (N, P, D).
        """
        new_keys, new_values = self.keys_values(x)
        keys.index_copy_(2, slots, new_keys.to(keys.dtype))
        values.index_copy_(2, slots, new_values.to(values.dtype))
        return self.attend(self.split(self.query(x)), keys, values, bias)
