"""The layers of the two stacks: attention and feed-forward blocks around a residual stream.

A layer norm stands before each block, those of NormFormer (arXiv 2110.09456) in and after it (arXiv 2202.03052,
section 3.1).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ofa.model.attention import Attention
from ofa.model.config import OFAConfig
from ofa.model.tuning import Adapter


def drop_path(x: Tensor, rate: float, training: bool) -> Tensor:
    """Zero `x` (B, ...) for whole samples with a chance of `rate`, and scale up the others (arXiv 1603.09382)."""
    if rate == 0.0 or not training:
        return x
    keep = x.new_empty(x.shape[0], *[1] * (x.dim() - 1)).bernoulli_(1.0 - rate)
    return x * keep.div_(1.0 - rate)


class FeedForward(nn.Module):
    """down(norm(GELU(up(x)))), the norm if `scale_fc` says so, and an adapter at the end if asked for."""

    def __init__(self, config: OFAConfig) -> None:
        super().__init__()
        self.dropout = config.dropout
        self.activation_dropout = config.activation_dropout
        self.up = nn.Linear(config.d_model, config.ffn_dim)
        self.inner_norm = nn.LayerNorm(config.ffn_dim) if config.scale_fc else nn.Identity()
        self.down = nn.Linear(config.ffn_dim, config.d_model)
        self.adapter = Adapter(config.d_model, config.adapter_dim) if config.adapter_dim else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        x = F.dropout(F.gelu(self.up(x)), self.activation_dropout, self.training)
        x = F.dropout(self.down(self.inner_norm(x)), self.dropout, self.training)
        return self.adapter(x)


class Layer(nn.Module):
    """What the layers of both stacks share."""

    def __init__(self, config: OFAConfig, drop_path: float) -> None:
        super().__init__()
        self.dropout = config.dropout
        self.drop_path = drop_path
        self.feed_forward_norm = nn.LayerNorm(config.d_model)
        self.feed_forward = FeedForward(config)
        self.residual_scale = nn.Parameter(torch.ones(config.d_model)) if config.scale_resids else None

    def reset_parameters(self) -> None:
        """Residual channels count the same."""
        if self.residual_scale is not None:
            nn.init.ones_(self.residual_scale)

    def add_attention(self, x: Tensor, attended: Tensor) -> Tensor:
        """The residual stream after an attention block; both (B, T, D)."""
        attended = F.dropout(attended, self.dropout, self.training)
        return x + drop_path(attended, self.drop_path, self.training)

    def add_feed_forward(self, x: Tensor) -> Tensor:
        """The residual stream (B, T, D) after the feed-forward block."""
        branch = drop_path(self.feed_forward(self.feed_forward_norm(x)), self.drop_path, self.training)
        return (x if self.residual_scale is None else x * self.residual_scale) + branch


def attention(config: OFAConfig, heads: int) -> Attention:
    """An attention as the configuration wants it."""
    return Attention(
        config.d_model, heads, config.attn_scale_factor, config.scale_heads, dropout=config.attention_dropout
    )


def output_norm(config: OFAConfig) -> nn.Module:
    """The layer norm after an attention (`scale_attn`)."""
    return nn.LayerNorm(config.d_model) if config.scale_attn else nn.Identity()


class EncoderLayer(Layer):
    """Self-attention, then feed-forward."""

    def __init__(self, config: OFAConfig, drop_path: float) -> None:
        super().__init__(config, drop_path)
        self.attention_norm = nn.LayerNorm(config.d_model)
        self.attention = attention(config, config.encoder_heads)
        self.attention_output_norm = output_norm(config)

    def forward(self, x: Tensor, bias: Tensor, prompt: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """(B, S, D) and bias (B or 1, H, S, [P +] S) -> (B, S, D)."""
        attended = self.attention(self.attention_norm(x), bias, prompt=prompt)
        return self.add_feed_forward(self.add_attention(x, self.attention_output_norm(attended)))


class DecoderLayer(Layer):
    """Causal self-attention, attention to the encoder's states, then feed-forward."""

    def __init__(self, config: OFAConfig, drop_path: float) -> None:
        super().__init__(config, drop_path)
        self.attention_norm = nn.LayerNorm(config.d_model)
        self.attention = attention(config, config.decoder_heads)
        self.attention_output_norm = output_norm(config)
        self.cross_attention_norm = nn.LayerNorm(config.d_model)
        self.cross_attention = attention(config, config.decoder_heads)
        self.cross_attention_output_norm = output_norm(config)

    def forward(
        self,
        x: Tensor,
        bias: Tensor,
        states: Tensor,
        cross_bias: Tensor,
        prompt: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """(B, T, D), bias (B or 1, H, T, [P +] T), encoder states (B, S, D), bias (B, H, T, S) -> (B, T, D)."""
        attended = self.attention(self.attention_norm(x), bias, prompt=prompt)
        x = self.add_attention(x, self.attention_output_norm(attended))
        attended = self.cross_attention(self.cross_attention_norm(x), cross_bias, memory=states)
        x = self.add_attention(x, self.cross_attention_output_norm(attended))
        return self.add_feed_forward(x)

    def step(
        self,
        x: Tensor,
        bias: Tensor,
        keys: Tensor,
        values: Tensor,
        slots: Tensor,
        cross_keys: Tensor,
        cross_values: Tensor,
        cross_bias: Tensor,
    ) -> Tensor:
        """The next P steps of N rows, which are the beams of B sentences in turn.

        Args:
            x: (N, P, D).
            bias, keys, values, slots: see `Attention.extend`.
            cross_keys, cross_values: (B, H, S, D / H), shared by a sentence's beams.
            cross_bias: (B, H, N / B * P, S).

        Returns:
            (N, P, D).
        """
        attended = self.attention.extend(self.attention_norm(x), bias, keys, values, slots)
        x = self.add_attention(x, self.attention_output_norm(attended))
        cross = self.cross_attention
        queries = cross.query(self.cross_attention_norm(x)).reshape(len(cross_keys), -1, x.shape[-1])
        attended = cross.attend(cross.split(queries), cross_keys, cross_values, cross_bias).view_as(x)
        x = self.add_attention(x, self.cross_attention_output_norm(attended))
        return self.add_feed_forward(x)
