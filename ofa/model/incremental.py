"""Decoding step by step, with keys and values of the past kept in buffers of a fixed size.

Shapes never change between steps, so that `torch.compile` makes one graph of a step. Rows of a batch are beams:
`beams` rows in turn for each sentence. What depends on the sentence alone (the keys and values of the encoder's
states, position scores) is computed once and shared by its beams.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ofa.errors import OFAError
from ofa.model.encoder import Encoded
from ofa.model.positions import by_row
from ofa.model.tuning import pad_for_prompt

if TYPE_CHECKING:
    from ofa.model.decoder import Decoder


@dataclass
class Cache:
    """The state of a decoding under way: B sentences, N = B * beams rows, at most T steps. Kinds are text and codes.

    Made by `OFAModel.start`, moved on by `OFAModel.step`.
    """

    beams: int
    """Rows for each sentence."""
    max_length: int
    """T, the most tokens that a row can take."""
    length: int
    """Tokens that every row has taken."""
    step: Tensor
    """The same number as a tensor, for graphs that do not depend on it."""
    kinds: list[bool]
    """Which kinds of rows there are: False for text, True for codes."""
    code_rows: Tensor | None
    """(N,) bool, True for rows of codes; None when all rows are of one kind."""
    code_sentences: Tensor | None
    """(B,) the same for sentences."""
    keys: list[Tensor]
    """Of each layer (N, H, P + T, D / H): its prompt, if any, then the past."""
    values: list[Tensor]
    """As `keys`."""
    cross_keys: list[Tensor]
    """Of each layer (B, H, S, D / H)."""
    cross_values: list[Tensor]
    """As `cross_keys`."""
    unseen: Tensor
    """(B, 1, 1, S), -inf where the encoder's sequence is padded."""
    cross_positions: Tensor
    """Projected positions of the encoder's sequence (B or 1, H, D / H, S)."""
    positions: list[Tensor]
    """Of each kind (1, T, D), not normalized."""
    cross_queries: list[Tensor]
    """Of each kind (1, H, T, D / H): projected target positions."""
    absolute: list[Tensor]
    """Of each kind (H, T, T): absolute position bias, -inf for the future."""
    buckets: list[Tensor]
    """Of each kind (T, T): rows of the relative tables."""
    tables: list[Tensor]
    """Of each kind (layers * H, R): the relative tables of all layers, transposed."""

    def reorder(self, index: Tensor) -> None:
        """Row n continues what row `index[n]` (N,) has written so far; both must belong to the same sentence."""
        past = self.keys[0].shape[2] - self.max_length + self.length
        for buffer in (*self.keys, *self.values):
            buffer[:, :, :past] = buffer[:, :, :past].index_select(0, index)

    def keep(self, sentences: Tensor) -> None:
        """Go on with some sentences (a LongTensor of their numbers) and forget the others; rows move up."""
        beams = torch.arange(self.beams, device=sentences.device)
        rows = (sentences[:, None] * self.beams + beams).flatten()
        for name in ("keys", "values"):
            setattr(self, name, [buffer.index_select(0, rows) for buffer in getattr(self, name)])
        for name in ("cross_keys", "cross_values"):
            setattr(self, name, [buffer.index_select(0, sentences) for buffer in getattr(self, name)])
        self.unseen = self.unseen.index_select(0, sentences)
        if self.cross_positions.shape[0] > 1:
            self.cross_positions = self.cross_positions.index_select(0, sentences)
        if self.code_rows is not None:
            self.code_rows = self.code_rows.index_select(0, rows)
            self.code_sentences = self.code_sentences.index_select(0, sentences)


def start(
    decoder: Decoder, encoded: Encoded, beams: int = 1, max_length: int | None = None, code_mask: Tensor | None = None
) -> Cache:
    """Prepare to decode; see `OFAModel.start`."""
    config = decoder.config
    codes = code_mask is not None and bool(code_mask.any())
    if max_length is None:
        max_length = config.max_target_positions
    decoder.check_length(max_length, codes)
    if codes and bool(code_mask.all()):
        code_mask = None
    kinds = [True] if codes and code_mask is None else [False, True] if codes else [False]
    if not codes:
        code_mask = None

    steps = torch.arange(max_length, device=encoded.states.device)
    raw = [decoder.positions(steps, kind) for kind in kinds]
    positions = [decoder.normalize_positions(rows, kind) for rows, kind in zip(raw, kinds, strict=True)]
    future = steps[:, None] < steps[None, :]
    cross = [layer.cross_attention.keys_values(encoded.states) for layer in decoder.layers]
    dtype = cross[0][0].dtype

    sentences = encoded.states.shape[0]
    heads, prompt_length = config.decoder_heads, config.decoder_prompt_length
    shape = (sentences * beams, heads, prompt_length + max_length, config.d_model // heads)
    keys = [torch.zeros(shape, dtype=dtype, device=steps.device) for _ in decoder.layers]
    values = [torch.zeros_like(buffer) for buffer in keys]
    if decoder.prompt is not None:
        for key, value, prompt in zip(keys, values, decoder.prompt(sentences * beams), strict=True):
            key[:, :, :prompt_length] = prompt[0]
            value[:, :, :prompt_length] = prompt[1]
    unseen = torch.zeros_like(encoded.padding, dtype=dtype).masked_fill(encoded.padding, float("-inf"))
    return Cache(
        beams=beams,
        max_length=max_length,
        length=0,
        step=torch.zeros((), dtype=torch.long, device=steps.device),
        kinds=kinds,
        code_rows=None if code_mask is None else code_mask.repeat_interleave(beams),
        code_sentences=code_mask,
        keys=keys,
        values=values,
        cross_keys=[pair[0] for pair in cross],
        cross_values=[pair[1] for pair in cross],
        unseen=unseen[:, None, None],
        cross_positions=decoder.cross_position_scores.keys(encoded.shared_positions),
        positions=raw,
        cross_queries=[decoder.cross_position_scores.queries(rows) for rows in positions],
        absolute=[decoder.position_scores(rows, rows)[0].masked_fill(future, float("-inf")) for rows in positions],
        buckets=[decoder.buckets(steps, steps, kind) for kind in kinds],
        tables=[
            torch.cat([decoder.table(i, kind).t() for i in range(len(decoder.layers))]).to(dtype) for kind in kinds
        ],
    )


def step(decoder: Decoder, tokens: Tensor, cache: Cache) -> Tensor:
    """Embedded tokens (N, P, D) at the next P places of every row -> normalized features (N, P, D)."""
    config = decoder.config
    count, beams = tokens.shape[1], cache.beams
    steps = cache.step + torch.arange(count, device=tokens.device)

    x = tokens
    if not config.disable_entangle:
        x = x + by_row(cache.code_rows, [rows.index_select(1, steps) for rows in cache.positions])
    norms = [decoder.code_norm if codes else decoder.token_norm for codes in cache.kinds]
    x = by_row(cache.code_rows, [norm(x) for norm in norms])

    scores = [rows.index_select(2, steps) @ cache.cross_positions for rows in cache.cross_queries]
    cross_bias = by_row(cache.code_sentences, scores) + cache.unseen
    # The beams of a sentence are more queries to the same keys: (B, H, beams * P, S).
    cross_bias = cross_bias[:, :, None].expand(-1, -1, beams, -1, -1).flatten(2, 3)

    biases = []
    for absolute, buckets, table in zip(cache.absolute, cache.buckets, cache.tables, strict=True):
        relative = table.index_select(1, buckets.index_select(0, steps).flatten())
        relative = relative.view(len(decoder.layers), -1, count, cache.max_length)
        biases.append((absolute.index_select(1, steps) + relative)[None])
    bias = pad_for_prompt(by_row(cache.code_rows, biases), config.decoder_prompt_length)

    slots = steps + config.decoder_prompt_length
    for i, layer in enumerate(decoder.layers):
        x = layer.step(
            x, bias[:, i], cache.keys[i], cache.values[i], slots, cache.cross_keys[i], cache.cross_values[i], cross_bias
        )
    cache.step.add_(count)
    return decoder.norm(x)


def check_room(cache: Cache, count: int) -> None:
    """Refuse more steps than the buffers hold."""
    if cache.length + count > cache.max_length:
        raise OFAError(f"decoding was started for at most {cache.max_length} tokens: start it with a larger max_length")
