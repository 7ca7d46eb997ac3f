"""What a sentence gets does not depend on the sentences beside it."""

import pytest
import torch

from ofa.generate.config import SearchConfig
from ofa.generate.search import search
from ofa.generate.trie import Trie
from tests.generate.toy import ToyDecoder

SENTENCES = [0, 1, 2, 3, 4, 5, 6]
LENGTHS = torch.tensor([9, 4, 7, 9, 2, 9, 5])
PROMPTS = torch.tensor([[4, 5, 6], [7, 1, 1], [1, 1, 1], [5, 2, 1], [6, 6, 1], [1, 1, 1], [7, 4, 1]])
CODES = torch.tensor([False, True, False, False, True, False, False])


def run(sentences, config, prompt, trie, codes):
    decoder = ToyDecoder(sentences, config.beam)
    results = search(
        decoder,
        config,
        LENGTHS[sentences],
        prompt=PROMPTS[sentences] if prompt else None,
        trie=trie,
        codes=CODES[sentences] if codes else None,
    )
    return [[(h.tokens.tolist(), h.score) for h in hypotheses] for hypotheses in results], decoder


@pytest.mark.parametrize(
    ("settings", "prompt", "trie", "codes"),
    [
        ({}, False, None, False),
        ({"no_repeat_ngram": 2, "min_len": 2}, True, None, False),
        ({"unnormalized": True}, True, Trie([[4], [5, 6], [5, 7], [7, 7, 7]]), False),
        ({"beam": 4, "diverse_groups": 2}, False, None, True),
        ({"constraint_range": (4, 7)}, False, None, False),
    ],
)
def test_alone_and_together(settings, prompt, trie, codes):
    config = SearchConfig(**{"beam": 3, "max_len_b": 9, "length_penalty": 0.8, **settings})
    together, _ = run(SENTENCES, config, prompt, trie, codes)
    for i in SENTENCES:
        (alone,), _ = run([i], config, prompt, trie, codes)
        assert [tokens for tokens, _ in alone] == [tokens for tokens, _ in together[i]]
        assert [score for _, score in alone] == pytest.approx([score for _, score in together[i]], abs=1e-5)


def test_finished_sentences_leave():
    config = SearchConfig(beam=3, max_len_b=9)
    _, decoder = run(SENTENCES, config, False, None, False)
    assert decoder.steps <= 10
    assert decoder.rows < 0.8 * decoder.steps * len(SENTENCES) * 3


def test_image_codes_hold_no_special_token_and_have_the_full_length():
    config = SearchConfig(beam=3, max_len_b=9, min_len=0)
    results, _ = run(SENTENCES, config, False, None, True)
    for i in SENTENCES:
        if CODES[i]:
            for tokens, _ in results[i]:
                assert len(tokens) == int(LENGTHS[i]) + 1
                assert min(tokens[:-1]) > 3 and tokens[-1] == 2


def test_a_network_that_scores_some_ids_gives_what_a_mask_gives():
    ids = torch.tensor([0, 1, 2, 3, 5, 6])
    config = SearchConfig(beam=3, max_len_b=6, no_repeat_ngram=2)
    restricted = search(ToyDecoder([0, 1], 3, output_ids=ids), config, torch.tensor([6, 6]))
    masked = search(
        ToyDecoder([0, 1], 3),
        SearchConfig(beam=3, max_len_b=6, no_repeat_ngram=2, constraint_range=(5, 7)),
        torch.tensor([6, 6]),
    )
    for one, other in zip(restricted, masked, strict=True):
        assert [h.tokens.tolist() for h in one] == [h.tokens.tolist() for h in other]
        assert [h.score for h in one] == pytest.approx([h.score for h in other], abs=1e-5)


def test_a_prompt_that_the_network_does_not_score_costs_nothing():
    ids = torch.tensor([0, 1, 2, 3, 5, 6])
    prompt = torch.tensor([[4, 7], [7, 1]])
    config = SearchConfig(beam=3, max_len_b=6)
    for hypotheses, given in zip(
        search(ToyDecoder([0, 1], 3, output_ids=ids), config, torch.tensor([6, 6]), prompt=prompt),
        ([4, 7], [7]),
        strict=True,
    ):
        for h in hypotheses:
            assert h.tokens[: len(given)].tolist() == given
            assert h.positional_scores[: len(given)].tolist() == [0.0] * len(given)
            assert torch.isfinite(h.positional_scores).all()
