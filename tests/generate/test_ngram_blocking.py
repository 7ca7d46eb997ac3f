"""No n-gram occurs twice: compared with a plain search through the tokens."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ofa.generate.columns import Columns
from ofa.generate.config import SearchConfig
from ofa.generate.rules import block_repeats
from ofa.generate.search import search
from tests.generate.toy import ToyDecoder


def repeats(tokens, size):
    """Ids that would complete an n-gram which `tokens` already hold."""
    newest = tokens[len(tokens) - size + 1 :]
    return {
        tokens[i + size - 1] for i in range(len(tokens) - size + 1) if list(tokens[i : i + size - 1]) == list(newest)
    }


@settings(deadline=None, max_examples=200)
@given(
    rows=st.integers(1, 12).flatmap(
        lambda length: st.lists(st.lists(st.integers(0, 4), min_size=length, max_size=length), min_size=1, max_size=4)
    ),
    size=st.integers(1, 4),
    spare=st.integers(0, 5),
    restricted=st.booleans(),
)
def test_the_banned_ids_are_those_of_a_plain_search(rows, size, spare, restricted):
    tokens = torch.tensor(rows)
    # What lies after the newest token in the buffer must not matter.
    buffer = torch.cat([tokens, torch.randint(0, 5, (len(rows), spare))], dim=1)
    ids = torch.tensor([0, 2, 3, 4]) if restricted else None
    columns = Columns.of(ids, 5)
    logits = torch.zeros(len(rows), columns.size)
    block_repeats(logits, buffer, torch.tensor(tokens.shape[1] - 1), size, columns)
    for row, found in zip(rows, logits, strict=True):
        banned = set(columns.id_of(torch.nonzero(found).squeeze(1)).tolist())
        wanted = repeats(row, size) if len(row) >= size - 1 else set()
        assert banned == wanted - ({1} if restricted else set())
        assert found[found != 0].eq(float("-inf")).all()


@pytest.mark.parametrize("size", [1, 2, 3])
def test_no_output_holds_an_ngram_twice(size):
    def outputs(no_repeat_ngram):
        decoder = ToyDecoder([0, 1], beam=6, vocabulary=16)
        config = SearchConfig(beam=6, min_len=9, max_len_b=9, no_repeat_ngram=no_repeat_ngram)
        return search(decoder, config, torch.tensor([9, 9]))

    def worst(results):
        counts = []
        for h in sum(results, []):
            tokens = [0, *h.tokens.tolist()]
            ngrams = [tuple(tokens[i : i + size]) for i in range(len(tokens) - size + 1)]
            counts.append(max(ngrams.count(g) for g in ngrams))
        return max(counts)

    assert worst(outputs(0)) > 1, "the toy should repeat itself when it may"
    assert worst(outputs(size)) == 1
