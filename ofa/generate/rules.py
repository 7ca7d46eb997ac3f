"""Which tokens may come next, and their log-probabilities.

Shapes: N hypotheses, T tokens so far (a static buffer), K columns of the logits, W columns that are compared (K, or the
widest node of a trie).
"""

from typing import NamedTuple

import torch
from torch import BoolTensor, LongTensor, Tensor

from ofa.generate.columns import BOS, EOS, PAD, UNK, Columns
from ofa.generate.config import SearchConfig
from ofa.generate.trie import Trie

NEVER = float("-inf")


class Scored(NamedTuple):
    """Log-probabilities of what may follow N hypotheses."""

    value: Tensor
    """(N, W), -inf where something may not follow."""
    column: LongTensor | None
    """(N, W) column of each value; None when value i is column i."""
    forced: LongTensor
    """(N,) the one id that must follow instead, or -1."""
    forced_value: Tensor
    """(N,) its log-probability."""


class Rules:
    """What `config` and a trie make of the logits, in the order of the original's search.

    Before the softmax: temperature, then the trie or the range (after it when `zero_shot`). After it: never the pad
    token, the penalty on the unknown token, no end before `min_len`, no special token among image codes, no repeated
    n-gram; only the end token at the largest length.
    """

    def __init__(self, config: SearchConfig, columns: Columns, trie: Trie | None, device: torch.device | str):
        self.config, self.columns = config, columns
        self.trie = None if trie is None else trie.tables(columns, device)
        special = torch.tensor([BOS, PAD, EOS, UNK], device=device)
        self.bos, self.pad, self.eos, self.unk = columns.column_of(special).tolist()
        self.outside = None
        if config.constraint_range is not None:
            ids = columns.id_of(torch.arange(columns.size, device=device))
            self.outside = ~in_range(ids, config.constraint_range)

    def __call__(
        self,
        logits: Tensor,
        tokens: LongTensor,
        node: LongTensor | None,
        position: Tensor,
        last: BoolTensor,
        codes: BoolTensor | None = None,
        prompt: LongTensor | None = None,
    ) -> Scored:
        """Score what may follow.

        Args:
            logits: (N, K), float32; may be overwritten.
            tokens: (N, T) ids so far, begin token first; those after `position` are ignored.
            node: (N,) trie nodes, with a trie.
            position: () index of the newest token, which is the number of tokens generated so far.
            last: (N,) True where a hypothesis has its largest length and must end now.
            codes: (N,) True where the output consists of image codes.
            prompt: (N,) id of the decoder prompt that must come now, or -1; None when no hypothesis is in its prompt.
        """
        config = self.config
        if config.temperature != 1:
            logits = logits / config.temperature
        forced = torch.full_like(tokens[:, 0], -1)
        forced_value = logits.new_zeros(len(logits))
        if prompt is not None:
            forced = torch.where(last, forced, prompt)
            forced_value = self.columns.pick(logits.log_softmax(1), forced.clamp(min=0))
        value, column = self._free(logits, tokens, node, position, last, codes)
        forced_value = torch.where(last, self._ending(value, column), forced_value)
        return Scored(value, column, forced.masked_fill(last, EOS), forced_value)

    def _free(self, logits, tokens, node, position, last, codes) -> tuple[Tensor, LongTensor | None]:
        """Values and columns of what may follow where nothing is forced."""
        before = not self.config.zero_shot
        if self.trie is None:
            if self.outside is not None and before:
                logits = logits.masked_fill(self.outside, NEVER)
            value = logits.log_softmax(1)
            if self.outside is not None and not before:
                value = value.masked_fill(self.outside, NEVER)
            self._restrict(value, tokens, position, last, codes)
            return value, None
        column, real = self.trie.allowed(node)
        if before:
            norm = logits.gather(1, column).masked_fill(~real, NEVER).logsumexp(1, keepdim=True)
            norm = norm.masked_fill(norm == NEVER, 0.0)
        else:
            logits, norm = logits.log_softmax(1), 0.0
        self._restrict(logits, tokens, position, last, codes)
        return logits.gather(1, column).masked_fill(~real, NEVER) - norm, column

    def _restrict(self, value, tokens, position, last, codes) -> None:
        """Rules after the softmax, in place."""
        self._specials(value, position, last, codes)
        if self.config.no_repeat_ngram:
            block_repeats(value, tokens, position, self.config.no_repeat_ngram, self.columns)

    def _specials(self, value: Tensor, position: Tensor, last: BoolTensor, codes: BoolTensor | None) -> None:
        """Rules on the four special tokens, in place. A special token that is not scored needs none."""
        if self.pad >= 0:
            value[:, self.pad] = NEVER
        if self.unk >= 0 and self.config.unk_penalty:
            value[:, self.unk] -= self.config.unk_penalty
        if self.eos >= 0 and self.config.min_len:
            value[:, self.eos].masked_fill_(position < self.config.min_len, NEVER)
        if codes is not None:
            inside = codes & ~last
            for column in (self.bos, self.eos, self.unk):
                if column >= 0:
                    value[:, column].masked_fill_(inside, NEVER)

    def _ending(self, value: Tensor, column: LongTensor | None) -> Tensor:
        """(N,) log-probability of the end token."""
        if self.eos < 0:
            return value.new_full((len(value),), NEVER)
        if column is None:
            return value[:, self.eos]
        return value.masked_fill(column != self.eos, NEVER).amax(1)


def in_range(ids: LongTensor, limits: tuple[int, int]) -> BoolTensor:
    """Which ids a range allows, same shape; it allows the special ones."""
    first, last = limits
    return (ids <= UNK) | ((ids >= first) & (ids < last))


def block_repeats(value: Tensor, tokens: LongTensor, position: Tensor, size: int, columns: Columns) -> None:
    """Forbid, in place, every token that would complete an n-gram which a hypothesis already holds.

    Args:
        value: (N, K) to overwrite with -inf.
        tokens: (N, T) ids, begin token first.
        position: () index of the newest token; later ones are ignored.
        size: n.
        columns: maps ids to columns.
    """
    length = tokens.shape[1]
    if length < size:
        return
    windows = tokens.unfold(1, size, 1)
    start = torch.arange(length - size + 1, device=tokens.device)
    # The n - 1 newest tokens. Before there are that many the indices repeat, but then no window is complete either.
    newest = tokens[:, (position - torch.arange(size - 2, -1, -1, device=tokens.device)).clamp(min=0)]
    repeated = (windows[..., :-1] == newest[:, None]).all(-1) & (start + size - 1 <= position)
    column = columns.column_of(windows[..., -1])
    limit = torch.where(repeated & (column >= 0), NEVER, -NEVER).to(value.dtype)
    value.scatter_reduce_(1, column.clamp(min=0), limit, "amin")
