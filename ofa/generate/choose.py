"""Which hypotheses go on: beam search, diverse beam search, sampling.

Shapes: B sentences, M hypotheses each, W columns compared, C candidates a sentence in order of preference.
"""

from typing import NamedTuple

import torch
from torch import LongTensor, Tensor

from ofa.generate.columns import Columns
from ofa.generate.config import SearchConfig
from ofa.generate.rules import NEVER, Scored


class Candidates(NamedTuple):
    """Hypotheses one token longer."""

    score: Tensor
    """(B, C) log-probability of the whole hypothesis; -inf where there is none."""
    token: LongTensor
    """(B, C) id of the new token."""
    column: LongTensor
    """(B, C) its column."""
    parent: LongTensor
    """(B, C) hypothesis of the sentence that it extends."""


def best(scored: Scored, total: Tensor, config: SearchConfig, columns: Columns) -> Candidates:
    """The 2 M best extensions of a sentence's hypotheses, best first; enough for M to go on even if M of them end.

    With groups (arXiv 1610.02424) hypothesis m belongs to group m % groups, groups choose one after the other, and
    their candidates alternate.

    Args:
        scored: what may follow each of the B * M hypotheses.
        total: (B, M) log-probability of each hypothesis so far; -inf for places that hold none.
        config: beam and diversity.
        columns: maps columns to ids.
    """
    batch, beam = total.shape
    value = scored.value.view(batch, beam, -1)
    column = None if scored.column is None else scored.column.view(value.shape)
    forced, forced_value = scored.forced.view(total.shape), scored.forced_value.view(total.shape)
    forced_column = columns.column_of(forced.clamp(min=0)).clamp(min=0)
    groups = config.diverse_groups
    if groups == 1:
        found = [_best_of_group(value, column, forced >= 0, forced_value, forced_column, total)]
    else:
        found, chosen = [], value.new_zeros(batch, columns.size)
        for group in range(groups):
            part = slice(group, None, groups)
            column_g, forced_column_g = None if column is None else column[:, part], forced_column[:, part]
            score, index, parent = _best_of_group(
                value[:, part] - config.diversity * _counts(chosen, column_g),
                column_g,
                forced[:, part] >= 0,
                forced_value[:, part] - config.diversity * chosen.gather(1, forced_column_g),
                forced_column_g,
                total[:, part],
            )
            chosen.scatter_add_(1, index, (score > NEVER).to(chosen.dtype))
            found.append((score, index, parent * groups + group))
    score, index, parent = (torch.stack(parts, dim=2).flatten(1) for parts in zip(*found, strict=True))
    return Candidates(score, _ids(index, parent, forced, columns), index, parent)


def _best_of_group(value, column, forced, forced_value, forced_column, total) -> tuple[Tensor, LongTensor, LongTensor]:
    """Score, column and parent, (B, 2 M) each, of the best extensions."""
    width = min(2 * total.shape[1], value.shape[2])
    # The best of each hypothesis first, then the best of those: nothing as wide as the vocabulary is offset or sorted.
    score, index = value.topk(width, dim=2)
    if column is not None:
        index = column.gather(2, index)
    score = score.masked_fill(score.isnan(), NEVER)
    only = torch.full_like(score, NEVER)
    only[..., 0] = forced_value
    score = torch.where(forced.unsqueeze(2), only, score) + total.unsqueeze(2)
    index = torch.where(forced.unsqueeze(2), forced_column.unsqueeze(2), index)
    score, place = score.flatten(1).topk(min(2 * total.shape[1], score[0].numel()))
    return score, index.flatten(1).gather(1, place), place // width


def _counts(chosen: Tensor, column: LongTensor | None) -> Tensor:
    """How often each compared column was chosen, to broadcast over (B, M, W)."""
    if column is None:
        return chosen.unsqueeze(1)
    return chosen.gather(1, column.flatten(1)).view(column.shape)


def draw(scored: Scored, total: Tensor, config: SearchConfig, columns: Columns, chance: Tensor) -> Candidates:
    """One extension of each hypothesis, drawn from its distribution cut to `top_k` and `top_p`.

    A drawn token counts with its log-probability before the cut, as in the original.

    Args:
        scored, total, config, columns: as for `best`.
        chance: (B, M) uniform random numbers in [0, 1).
    """
    value, index = scored.value.masked_fill(scored.value.isnan(), NEVER), None
    if config.top_k or config.top_p < 1:
        value, index = value.topk(min(config.top_k or value.shape[1], value.shape[1]))
    weight = value.softmax(1)
    if config.top_p < 1:
        weight = weight.masked_fill(weight.cumsum(1) - weight >= config.top_p, 0.0)
    sums = weight.nan_to_num(nan=0.0).cumsum(1)
    whole = sums[:, -1:]
    # Below the whole even after rounding, so that a place without weight is drawn only where there is none with it.
    threshold = torch.minimum(chance.view(-1, 1) * whole, torch.nextafter(whole, torch.zeros_like(whole)))
    place = torch.searchsorted(sums, threshold, right=True).clamp(max=weight.shape[1] - 1)
    drawn = value.gather(1, place).squeeze(1)
    for within in (index, scored.column):
        place = place if within is None else within.gather(1, place)
    score = torch.where(scored.forced >= 0, scored.forced_value, drawn).view(total.shape) + total
    parent = torch.arange(total.shape[1], device=total.device).expand_as(total)
    column = place.view(total.shape)
    return Candidates(score, _ids(column, parent, scored.forced.view(total.shape), columns), column, parent)


def _ids(column: LongTensor, parent: LongTensor, forced: LongTensor, columns: Columns) -> LongTensor:
    """Ids of candidates: the forced one where there is one."""
    forced = forced.gather(1, parent)
    return torch.where(forced >= 0, forced, columns.id_of(column))
