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
    (hypotheses,) = search(ToyDecoder([0], DRAWS, scale=1.0), config, torch.tensor([1]), seeds=[7])
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


def draw(sentences, seeds, lengths):
    config = SearchConfig(sampling=True, beam=4, max_len_b=12)
    results = search(ToyDecoder(sentences, 4), config, torch.tensor(lengths), seeds=seeds)
    return [[h.tokens.tolist() for h in hypotheses] for hypotheses in results]


def test_one_seed_gives_one_result_whatever_is_beside_it():
    sentences, seeds, lengths = [0, 1, 2, 3, 0, 0], [5, 5, 6, 7, 5, 8], [8, 3, 12, 5, 8, 8]
    together = draw(sentences, seeds, lengths)
    for row, expected in enumerate(together):
        assert draw(*([values[row]] for values in (sentences, seeds, lengths))) == [expected]
    assert draw(sentences[::-1], seeds[::-1], lengths[::-1]) == together[::-1]
    assert together[4] == together[0] != together[5]


def test_without_a_seed_torch_decides():
    torch.manual_seed(3)
    one, other = draw([0, 0], None, [8, 8]), draw([0, 0], [None, 4], [8, 8])
    assert one[0] != one[1] and one[0] != other[0] and other[1:] == draw([0], [4], [8])
    torch.manual_seed(3)
    assert draw([0, 0], None, [8, 8]) == one


def test_a_drawn_output_scores_its_log_probability():
    decoder = ToyDecoder([0, 5], beam=6)
    config = SearchConfig(sampling=True, beam=6, max_len_b=5, top_k=3, unnormalized=True)
    for sentence, hypotheses in zip([0, 5], search(decoder, config, torch.tensor([5, 5])), strict=True):
        assert [h.score for h in hypotheses] == sorted((h.score for h in hypotheses), reverse=True)
        for h in hypotheses:
            assert h.positional_scores.tolist() == pytest.approx(
                decoder.log_probs(sentence, h.tokens.tolist()), abs=1e-5
            )
