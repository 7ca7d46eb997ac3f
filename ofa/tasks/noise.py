"""Text infilling: the span noise of BART (arXiv 1910.13461), as the original pretrains with."""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import BoolTensor, Generator, LongTensor

from ofa.text import Tokenizer
from ofa.text.tokenizer import FIRST_ROW

SMALLEST_PROBABILITY = 1e-7
"""The distribution of span lengths ends where the probability falls below this."""


@dataclass(frozen=True, kw_only=True)
class SpanNoise:
    """Replaces spans of whole words by one mask token each; spans of length 0 insert a mask token."""

    tokenizer: Tokenizer
    mask_ratio: float = 0.3
    """Share of the words that is hidden."""
    poisson_lambda: float = 3.0
    """Mean of the Poisson distribution of span lengths (words)."""
    random_ratio: float = 0.0
    """Share of mask tokens that are replaced by a random text token."""

    @cached_property
    def word_starts(self) -> BoolTensor:
        """(V,) True for tokens that begin a word, and for all that are no text."""
        rows, language = range(FIRST_ROW, self.tokenizer.mask), self.tokenizer.language
        text = [_begins_word(self.tokenizer.symbol(row), language) for row in rows]
        return torch.tensor([True] * FIRST_ROW + text + [True] * (self.tokenizer.size - self.tokenizer.mask))

    @cached_property
    def lengths(self) -> torch.Tensor:
        """Probability of each span length from 0."""
        probabilities = []
        while not probabilities or probabilities[-1] >= SMALLEST_PROBABILITY:
            k = len(probabilities)
            probabilities.append(math.exp(-self.poisson_lambda) * self.poisson_lambda**k / math.factorial(k))
        probabilities = torch.tensor(probabilities)
        return probabilities / probabilities.sum()

    def __call__(self, tokens: LongTensor, generator: Generator) -> LongTensor:
        """Noisy copy of (N,) tokens that begin with bos and end with eos; these two are never touched."""
        starts = self.word_starts[tokens].clone()
        starts[0] = starts[-1] = False
        starts = starts.nonzero()[:, 0]
        budget = math.ceil(len(starts) * self.mask_ratio)
        if budget == 0:
            return tokens
        spans = self._spans(budget, generator)
        inserts, spans = int((spans == 0).sum()), spans[spans > 0]
        if len(spans):
            tokens = self._replace(tokens, starts, spans, generator)
        return self._insert(tokens, inserts, generator) if inserts else tokens

    def _spans(self, budget: int, generator: Generator) -> LongTensor:
        """Lengths that sum to `budget`: draws until it is reached, the last one cut."""
        lengths = torch.empty(0, dtype=torch.long)
        while lengths.sum() < budget:
            drawn = torch.multinomial(self.lengths, budget, replacement=True, generator=generator)
            lengths = torch.cat([lengths, drawn])
        total = lengths.cumsum(0)
        last = int((total >= budget).nonzero()[0])
        lengths[last] -= total[last] - budget
        return lengths[: last + 1]

    def _replace(self, tokens: LongTensor, starts: LongTensor, spans: LongTensor, generator: Generator) -> LongTensor:
        words = torch.randperm(len(starts), generator=generator)[: len(spans)]
        tokens = tokens.clone()
        tokens[starts[words]] = self.tokenizer.mask
        at_random = torch.empty(len(spans)).uniform_(generator=generator) < self.random_ratio
        tokens[starts[words[at_random]]] = self._random(int(at_random.sum()), generator)
        keep = torch.ones(len(tokens), dtype=torch.bool)
        ends = torch.cat([starts, starts.new_full((int(spans.max()),), len(tokens) - 1)])
        for start, end in zip(starts[words].tolist(), ends[words + spans].tolist(), strict=True):
            keep[start + 1 : end] = False
        return tokens[keep]

    def _insert(self, tokens: LongTensor, count: int, generator: Generator) -> LongTensor:
        size = len(tokens) + count
        places = torch.randperm(size - 2, generator=generator)[:count] + 1
        result = torch.empty(size, dtype=torch.long)
        at_random = math.ceil(count * self.random_ratio)
        result[places[:at_random]] = self._random(at_random, generator)
        result[places[at_random:]] = self.tokenizer.mask
        others = torch.ones(size, dtype=torch.bool)
        others[places] = False
        result[others] = tokens
        return result

    def _random(self, count: int, generator: Generator) -> LongTensor:
        return torch.randint(4, self.tokenizer.code_offset, (count,), generator=generator)


def _begins_word(symbol: str, language: str) -> bool:
    """GPT-2 shows the space before a word as "\u0120" at its first token; BERT marks what is no first token."""
    if language == "zh":
        return not symbol.startswith("##")
    return symbol.startswith(("\u0120", "madeupword"))
