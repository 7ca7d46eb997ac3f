"""The hypotheses that have ended, best first."""

from dataclasses import dataclass

import torch
from torch import BoolTensor, FloatTensor, LongTensor, Tensor

from ofa.generate.columns import EOS
from ofa.generate.config import SearchConfig


@dataclass(frozen=True)
class Hypothesis:
    """One output of a search."""

    tokens: LongTensor
    """(L,) ids with the decoder prompt, if any, and the end token; without the begin token. On the CPU."""
    score: float
    """Log-probability, divided by L ** length_penalty unless the search was unnormalized."""
    positional_scores: FloatTensor
    """(L,) log-probability of each token. On the CPU."""


class Finished:
    """Collects up to M hypotheses a sentence. Tensors of unchanging shape: a GPU is never waited for before the end.

    Args:
        sentences: B, in the whole batch.
        beam: M.
        length: largest number of tokens of a hypothesis, its end included.
        device: where the search runs.
    """

    def __init__(self, sentences: int, beam: int, length: int, device: torch.device):
        self.beam = beam
        self.count = torch.zeros(sentences, dtype=torch.long, device=device)
        # The last place of each sentence takes what does not count.
        self._tokens = torch.zeros(sentences, beam + 1, length, dtype=torch.long, device=device)
        self._totals = torch.zeros(sentences, beam + 1, length, device=device)
        self._length = torch.zeros(sentences, beam + 1, dtype=torch.long, device=device)

    def add(
        self, ended: BoolTensor, parent: LongTensor, score: Tensor, sentence: LongTensor, tokens: Tensor, totals: Tensor
    ) -> None:
        """Take the hypotheses that ended at this step, as long as their sentences have room.

        Args:
            ended: (B', M) True where candidate m of a sentence ends.
            parent: (B', M) hypothesis that the candidate extends by the end token.
            score: (B', M) its log-probability.
            sentence: (B',) index of each sentence in the whole batch.
            tokens: (B', M, t) ids of the hypotheses so far, begin token first.
            totals: (B', M, t - 1) log-probabilities of them after each token.
        """
        place = self.count[sentence].unsqueeze(1) + ended.cumsum(1) - 1
        taken = ended & (place < self.beam)
        place = place.masked_fill(~taken, self.beam)
        at, length = sentence.unsqueeze(1), tokens.shape[2]
        history = parent.unsqueeze(2).expand(-1, -1, length - 1)
        self._tokens[at, place, : length - 1] = tokens[:, :, 1:].gather(1, history)
        self._tokens[at, place, length - 1] = EOS
        self._totals[at, place, : length - 1] = totals.gather(1, history)
        self._totals[at, place, length - 1] = score
        self._length[at, place] = length
        self.count.index_add_(0, sentence, taken.sum(1))

    def hypotheses(self, config: SearchConfig) -> list[list[Hypothesis]]:
        """Those of each sentence, best first."""
        tokens, totals, length = (part[:, : self.beam].cpu() for part in (self._tokens, self._totals, self._length))
        score = totals.gather(2, (length - 1).clamp(min=0).unsqueeze(2)).squeeze(2)
        if not config.unnormalized:
            score = score / length.clamp(min=1).float() ** config.length_penalty
        score = score.masked_fill(length == 0, float("-inf"))
        positional = totals.diff(dim=2, prepend=torch.zeros_like(totals[..., :1]))
        order = score.argsort(dim=1, descending=True, stable=True).tolist()
        count, lengths, scores = self.count.tolist(), length.tolist(), score.tolist()
        return [
            [
                Hypothesis(tokens[b, m, : lengths[b][m]], scores[b][m], positional[b, m, : lengths[b][m]])
                for m in order[b][: count[b]]
            ]
            for b in range(len(order))
        ]
