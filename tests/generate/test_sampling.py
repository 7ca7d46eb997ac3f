"""Drawn outputs follow the model's distribution."""

from collections import Counter

import pytest
import torch

from ofa.generate.config import SearchConfig
from ofa.generate.search import search
from tests.generate.toy import ToyDecoder

DRAWS = 20_000


def first_tokens(**settings):
    """How often each token came first, over many draws for one sentence."""
    config = SearchConfig(sampling=True, beam=DRAWS, max_len_b=1, **settings)
    generator = torch.Generator().manual_seed(7)
    (hypotheses,) = search(ToyDecoder([0], DRAWS, scale=1.0), config, torch.tensor([1]), generator=generator)
    assert len(hypotheses) == DRAWS
    return Counter(int(h.tokens[0]) for h in hypotheses)


def probabilities(temperature=1.0, keep=lambda p: p):
    """Expected share of each first token: neither pad (1) nor end (2) can come first."""
    logits = ToyDecoder([0], 1, scale=1.0).logits(torch.tensor(0), torch.tensor(1), torch.tensor(0)) / temperature
    p = logits.softmax(0)
    p[1] = p[2] = 0
    p = keep(p / p.sum())
    return p / p.sum()


def top_k(p):
    return p * (p >= p.sort(descending=True).values[2])


def top_p(p):
    order = p.sort(descending=True)
    total, kept = 0.0, []
    for value, index in zip(order.values.tolist(), order.indices.tolist(), strict=True):
        if total >= 0.6:
            break
        kept.append(index)
        total += value
    return torch.tensor([value if i in kept else 0.0 for i, value in enumerate(p.tolist())])


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, probabilities()),
        ({"temperature": 2.5}, probabilities(2.5)),
        ({"top_k": 3}, probabilities(keep=top_k)),
        ({"top_p": 0.6}, probabilities(keep=top_p)),
    ],
)
def test_frequencies(settings, expected):
    counts = first_tokens(**settings)
    for token, p in enumerate(expected.tolist()):
        # Five standard deviations of a binomial count.
        assert counts[token] == pytest.approx(DRAWS * p, abs=5 * (DRAWS * p * (1 - p)) ** 0.5), token


def test_one_seed_gives_one_result():
    def draw(seed):
        generator = torch.Generator().manual_seed(seed)
        config = SearchConfig(sampling=True, beam=4, max_len_b=8)
        results = search(ToyDecoder([0, 1], 4), config, torch.tensor([8, 8]), generator=generator)
        return [[h.tokens.tolist() for h in hypotheses] for hypotheses in results]

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)


def test_a_drawn_output_scores_its_log_probability():
    decoder = ToyDecoder([0, 5], beam=6)
    config = SearchConfig(sampling=True, beam=6, max_len_b=5, top_k=3, unnormalized=True)
    for sentence, hypotheses in zip([0, 5], search(decoder, config, torch.tensor([5, 5])), strict=True):
        assert [h.score for h in hypotheses] == sorted((h.score for h in hypotheses), reverse=True)
        for h in hypotheses:
            assert h.positional_scores.tolist() == pytest.approx(
                decoder.log_probs(sentence, h.tokens.tolist()), abs=1e-5
            )
