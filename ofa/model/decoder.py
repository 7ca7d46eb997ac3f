"""The decoder: target tokens, which are text, coordinates or image codes (arXiv 2202.03052, section 3.1)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ofa.errors import OFAError
from ofa.model.config import OFAConfig
from ofa.model.encoder import Encoded
from ofa.model.layers import DecoderLayer
from ofa.model.positions import (
    PositionScores,
    by_row,
    code_ids,
    image_buckets,
    number_of_image_buckets,
    number_of_token_buckets,
    relative_bias,
    token_buckets,
)
from ofa.model.tuning import Prompt, pad_for_prompt


class Decoder(nn.Module):
    """Embedded target tokens through pre-norm transformer layers that also attend to the encoder's states.

    Rows of a batch are text, with text positions, or image codes, with the positions of an image.
    """

    def __init__(self, config: OFAConfig) -> None:
        super().__init__()
        self.config = config
        d_model, layers, heads = config.d_model, config.decoder_layers, config.decoder_heads
        self.token_norm = nn.LayerNorm(d_model)
        self.code_norm = nn.LayerNorm(d_model)
        self.token_positions = nn.Embedding(config.max_target_positions + 2, d_model)
        self.image_positions = nn.Embedding(config.image_bucket_size**2 + 1, d_model)
        self.token_position_norm = nn.LayerNorm(d_model)
        self.image_position_norm = nn.LayerNorm(d_model)
        self.position_scores = PositionScores(d_model, heads, config.attn_scale_factor)
        self.cross_position_scores = PositionScores(d_model, heads, config.attn_scale_factor)
        rows = number_of_token_buckets(config.token_bucket_size)
        self.token_bias = nn.ModuleList(nn.Embedding(rows, heads) for _ in range(layers))
        rows = number_of_image_buckets(config.image_bucket_size)
        self.image_bias = nn.ModuleList(nn.Embedding(rows, heads) for _ in range(layers))
        self.prompt = None
        if config.decoder_prompt_length:
            self.prompt = Prompt(config.decoder_prompt_length, layers, heads, d_model, config.decoder_prompt_projection)
        rates = torch.linspace(0, config.decoder_drop_path, layers, device="cpu").tolist()
        self.layers = nn.ModuleList(DecoderLayer(config, rate) for rate in rates)
        self.norm = nn.LayerNorm(d_model)

    def forward(self, tokens: Tensor, encoded: Encoded, code_mask: Tensor | None = None) -> Tensor:
        """Teacher forcing.

        Args:
            tokens: embedded target tokens (B, T, D), shifted right.
            encoded: the encoder's output for the same samples.
            code_mask: (B,) bool, True for rows of image codes; None where all are text.

        Returns:
            normalized features (B, T, D); those after a row's last real token mean nothing.
        """
        length = tokens.shape[1]
        self.check_length(length, code_mask is not None)
        steps = torch.arange(length, device=tokens.device)
        kinds = [False] if code_mask is None else [False, True]
        raw = [self.positions(steps, codes) for codes in kinds]
        positions = [self.normalize_positions(rows, codes) for rows, codes in zip(raw, kinds, strict=True)]

        x = tokens if self.config.disable_entangle else tokens + by_row(code_mask, raw)
        norms = [self.token_norm(x)] if code_mask is None else [self.token_norm(x), self.code_norm(x)]
        x = F.dropout(by_row(code_mask, norms), self.config.dropout, self.training)

        scores = self.cross_position_scores
        keys = scores.keys(encoded.shared_positions)
        cross_bias = by_row(code_mask, [scores.queries(rows) @ keys for rows in positions])
        unseen = torch.zeros_like(encoded.padding, dtype=cross_bias.dtype)
        cross_bias = cross_bias + unseen.masked_fill(encoded.padding, float("-inf"))[:, None, None]

        states = encoded.states.to(cross_bias.dtype)  # one conversion under autocast instead of two in each layer
        future = steps[:, None] < steps[None, :]
        absolute = [self.position_scores(rows, rows).masked_fill(future, float("-inf")) for rows in positions]
        buckets = [self.buckets(steps, steps, codes) for codes in kinds]
        prompts = [None] * len(self.layers) if self.prompt is None else self.prompt(len(x))
        for i, (layer, prompt) in enumerate(zip(self.layers, prompts, strict=True)):
            bias = [
                (absolute[kind] + relative_bias(self.table(i, codes), buckets[kind])).to(cross_bias.dtype)
                for kind, codes in enumerate(kinds)
            ]
            bias = pad_for_prompt(by_row(code_mask, bias), self.config.decoder_prompt_length)
            x = layer(x, bias, states, cross_bias, prompt)
        return self.norm(x)

    def check_length(self, length: int, codes: bool) -> None:
        """Refuse a target that is longer than the positions reach."""
        longest = self.config.max_target_positions
        if codes:
            longest = max(longest, self.config.code_window**2 + 1)
        if length > longest:
            raise OFAError(f"the target has {length} tokens, the network writes at most {longest}: shorten the target")

    def positions(self, steps: Tensor, codes: bool) -> Tensor:
        """Position embeddings (1, T, D), not normalized, of steps (T,) of a text or of a sequence of codes."""
        return self.image_positions(self.code_ids(steps))[None] if codes else self.token_positions(steps)[None]

    def normalize_positions(self, positions: Tensor, codes: bool) -> Tensor:
        """Normalized position embeddings, same shape."""
        return self.image_position_norm(positions) if codes else self.token_position_norm(positions)

    def code_ids(self, steps: Tensor) -> Tensor:
        """Image position ids of the steps of a sequence of codes, same shape."""
        return code_ids(steps, self.config.code_window, self.config.image_bucket_size)

    def buckets(self, queries: Tensor, keys: Tensor, codes: bool) -> Tensor:
        """Rows (Q, K) of a layer's relative table for steps (Q,) and (K,)."""
        if codes:
            return image_buckets(self.code_ids(queries), self.code_ids(keys), self.config.image_bucket_size)
        return token_buckets(queries, keys, self.config.token_bucket_size)

    def table(self, layer: int, codes: bool) -> Tensor:
        """A layer's relative table (R, H)."""
        return self.image_bias[layer].weight if codes else self.token_bias[layer].weight
