"""OFA's network as the decoder of a search."""

from dataclasses import replace
from functools import cache as cached

import torch
import torch.nn.functional as F
from torch import BoolTensor, LongTensor, Tensor

from ofa.generate.columns import Columns
from ofa.model import OFAModel
from ofa.model.encoder import Encoded
from ofa.model.incremental import Cache


class NetworkDecoder:
    """Hypotheses of the network's decoder: `beams` rows for each of B sentences, with their keys and values cached.

    Args:
        net: the network, in evaluation mode.
        encoded: its encoder's output for B sentences.
        beams: M. A decoder prompt is read once a sentence, before the hypotheses part.
        max_length: most tokens that a row can take, the begin token included.
        code_mask: (B,) True where the output consists of image codes.
        compiled: run steps through `torch.compile`.
    """

    def __init__(
        self,
        net: OFAModel,
        encoded: Encoded,
        beams: int,
        max_length: int,
        code_mask: BoolTensor | None = None,
        compiled: bool = False,
    ):
        self._net, self._beams = net, beams
        self._cache = net.start(encoded, 1, max_length, code_mask)
        self._step = compiled_step() if compiled else step
        self.columns = Columns.of(net.output_ids, net.config.vocabulary_size)
        weight = net.embed_tokens.weight
        self._weight = weight if net.output_ids is None else F.embedding(net.output_ids, weight)

    def read(self, tokens: LongTensor) -> Tensor:
        """Give all hypotheses the tokens (B, P) of their sentence; logits (B, P, K) of what may follow each."""
        return F.linear(self._net.step(tokens, self._cache), self._weight).float()

    def step(self, tokens: LongTensor) -> Tensor:
        """Append tokens (B * M,) and give the logits (B * M, K), float32, of what may follow."""
        if self._cache.beams != self._beams:
            rows = torch.arange(len(tokens) // self._beams, device=tokens.device).repeat_interleave(self._beams)
            self._cache = branch(self._cache, rows, self._beams)
        return self._step(self._net, tokens, self._cache, self._weight)

    def reorder(self, rows: LongTensor) -> None:
        """Let row i go on from what row rows[i] was, (B * M,)."""
        self._cache.reorder(rows)

    def keep(self, sentences: LongTensor) -> None:
        """Go on with these sentences (B',) alone."""
        self._cache.keep(sentences)

    def restrict(self, ids: LongTensor) -> None:
        """Score these ids (sorted) alone from now on; ids that the network does not score are left out."""
        column = self.columns.column_of(ids)
        self._weight = F.embedding(column[column >= 0], self._weight)
        self.columns = Columns.of(ids[column >= 0], self._net.config.vocabulary_size)


def step(net: OFAModel, tokens: LongTensor, cache: Cache, weight: Tensor) -> Tensor:
    """One step of all rows: tokens (N,) -> logits (N, K) over the rows (K, D) of the output matrix, float32."""
    return F.linear(net.step(tokens, cache), weight).float()


@cached
def compiled_step():
    """`step` through `torch.compile`; one graph for all sizes of a batch."""
    return torch.compile(step, fullgraph=True, dynamic=True)


def branch(cache: Cache, rows: LongTensor, beams: int) -> Cache:
    """A cache with another number of rows for each of its B sentences.

    Args:
        cache: is left as it was.
        rows: (B * beams,) row of `cache` that each new row goes on from.
        beams: new number of rows for each sentence.
    """
    return replace(
        cache,
        beams=beams,
        step=cache.step.clone(),
        keys=[buffer.index_select(0, rows) for buffer in cache.keys],
        values=[buffer.index_select(0, rows) for buffer in cache.values],
        code_rows=None if cache.code_rows is None else cache.code_rows.index_select(0, rows),
    )
