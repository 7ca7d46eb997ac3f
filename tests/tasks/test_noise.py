"""Span noise against the original's, draw by draw, and its statistics."""

import pytest
import torch

from ofa.tasks.noise import SpanNoise
from ofa.text import Tokenizer


@pytest.fixture(scope="module")
def noise():
    return SpanNoise(tokenizer=Tokenizer.english())


def generator(seed):
    return torch.Generator().manual_seed(seed)


def test_twenty_draws_equal_the_original(recorded, noise):
    case = recorded["text_infilling"]
    tokens = torch.tensor(case["tokens"])
    for seed, expected in enumerate(case["outputs_torch_seed_0_to_19"]):
        assert noise(tokens, generator(seed)).tolist() == expected
    assert tokens.tolist() == case["tokens"], "the input must stay as it is"


def test_word_starts_and_span_lengths_equal_the_original(recorded, noise):
    case = recorded["text_infilling"]
    assert noise.word_starts[torch.tensor(case["tokens"])].int().tolist() == case["word_start"]
    assert noise.lengths.tolist() == pytest.approx(case["poisson_probs"], abs=1e-6)


def test_a_third_of_the_words_is_hidden(noise):
    tokens = torch.tensor([0, *Tokenizer.english().encode(" the quick brown fox jumps over the lazy dog" * 20), 2])
    words = int(noise.word_starts[tokens[1:-1]].sum())
    for seed in range(50):
        noisy = noise(tokens, generator(seed))
        left = [token for token in noisy.tolist() if token != noise.tokenizer.mask]
        assert noisy[0] == 0 and noisy[-1] == 2
        assert is_subsequence(left, tokens.tolist())
        hidden = words - int(noise.word_starts[torch.tensor(left[1:-1])].sum())
        assert 0.15 * words < hidden <= -(-0.3 * words // 1), "spans may overlap or be cut at the end"


def is_subsequence(short, long):
    rest = iter(long)
    return all(token in rest for token in short)


def test_random_ratio_replaces_masks_by_text():
    noise = SpanNoise(tokenizer=Tokenizer.english(), random_ratio=1.0)
    tokens = torch.tensor([0, *Tokenizer.english().encode(" the quick brown fox jumps over the lazy dog"), 2])
    for seed in range(30):
        noisy = noise(tokens, generator(seed))
        assert noise.tokenizer.mask not in noisy.tolist() and (noisy < noise.tokenizer.code_offset).all()


@pytest.mark.parametrize("tokens", [[0, 2], [0, 5, 2], [0, 5, 6, 2]])
def test_short_texts(noise, tokens):
    for seed in range(30):
        noisy = noise(torch.tensor(tokens), generator(seed)).tolist()
        assert noisy[0] == 0 and noisy[-1] == 2 and len(noisy) <= len(tokens) + 1


def test_chinese_words_begin_at_characters():
    tokenizer = Tokenizer.chinese()
    noise = SpanNoise(tokenizer=tokenizer)
    tokens = torch.tensor(tokenizer.encode("一只狗 unbelievably"))
    starts = noise.word_starts[tokens].tolist()
    assert starts[:3] == [True] * 3 and not all(starts)
