"""A beam that is wide enough finds every output: compared with enumeration."""

import pytest
import torch

from ofa.generate.columns import EOS
from ofa.generate.config import SearchConfig
from ofa.generate.search import search
from ofa.generate.trie import Trie
from tests.generate.toy import ToyDecoder

LONGEST = 3


def everything(decoder, sentence, score, shortest=1):
    """All outputs with their scores, best first."""
    found = {tokens: score(decoder.log_probs(sentence, tokens)) for tokens in decoder.outputs(LONGEST, shortest)}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def as_dict(hypotheses):
    found = {tuple(h.tokens.tolist()): h.score for h in hypotheses}
    assert len(found) == len(hypotheses), "an output was found twice"
    return found


@pytest.mark.parametrize(
    ("settings", "score"),
    [
        ({}, lambda values: sum(values) / len(values)),
        ({"length_penalty": 0.6}, lambda values: sum(values) / len(values) ** 0.6),
        ({"unnormalized": True, "min_len": 2}, sum),
        ({"min_len": 0}, lambda values: sum(values) / len(values)),
    ],
)
def test_a_beam_as_wide_as_the_space_finds_all_of_it(settings, score):
    decoder = ToyDecoder([0, 1, 2], beam=300, vocabulary=7)
    config = SearchConfig(beam=300, max_len_b=LONGEST, **settings)
    results = search(decoder, config, torch.full((3,), LONGEST))
    for sentence, hypotheses in enumerate(results):
        wanted = everything(decoder, sentence, score, shortest=config.min_len)
        found = as_dict(hypotheses)
        assert list(found) == list(wanted)
        assert list(found.values()) == pytest.approx(list(wanted.values()), abs=1e-5)


def test_positional_scores_are_the_log_probabilities_of_the_tokens():
    decoder = ToyDecoder([0, 1], beam=4)
    for sentence, hypotheses in enumerate(search(decoder, SearchConfig(beam=4, max_len_b=5), torch.tensor([5, 5]))):
        for h in hypotheses:
            wanted = decoder.log_probs(sentence, h.tokens.tolist())
            assert h.positional_scores.tolist() == pytest.approx(wanted, abs=1e-5)
            assert h.score == pytest.approx(sum(wanted) / len(wanted), abs=1e-5)


def test_greedy_takes_the_most_probable_token_each_time():
    decoder = ToyDecoder([0, 1, 2], beam=1, vocabulary=20)
    results = search(decoder, SearchConfig(beam=1, max_len_b=6), torch.full((3,), 6))
    for sentence, (hypothesis,) in enumerate(results):
        tokens, history = [], [1, 0]
        while len(tokens) < 6 and tokens[-1:] != [EOS]:
            logits = decoder.logits(torch.tensor(sentence), *torch.tensor(history[-2:])).clone()
            logits[1] = float("-inf")
            if not tokens:
                logits[EOS] = float("-inf")
            tokens.append(int(logits.argmax()))
            history.append(tokens[-1])
        if tokens[-1] != EOS:
            tokens.append(EOS)
        assert hypothesis.tokens.tolist() == tokens


def test_each_sentence_has_its_own_largest_length():
    decoder = ToyDecoder([0, 1], beam=300, vocabulary=7)
    results = search(decoder, SearchConfig(beam=300, max_len_b=3), torch.tensor([1, 3]))
    assert {len(h.tokens) for h in results[0]} == {2}
    assert {len(h.tokens) for h in results[1]} == {2, 3, 4}
    assert len(results[1]) == 5 + 5**2 + 5**3


def test_a_trie_with_fewer_outputs_than_the_beam_gives_them_all():
    decoder = ToyDecoder([0, 3], beam=8)
    trie = Trie([[4], [4, 5], [6, 7, 4], [7]])
    results = search(decoder, SearchConfig(beam=8, unnormalized=True), torch.tensor([16, 16]), trie=trie)
    for sentence, hypotheses in zip([0, 3], results, strict=True):
        wanted = {
            (*c, EOS): sum(decoder.log_probs(sentence, (*c, EOS), allowed=trie.next_ids)) for c in trie.candidates
        }
        assert as_dict(hypotheses) == pytest.approx(wanted, abs=1e-5)
        assert hypotheses[0].score == pytest.approx(max(wanted.values()), abs=1e-5)
