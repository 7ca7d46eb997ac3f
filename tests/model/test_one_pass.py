"""A forward pass is one pass: no loop over the samples, one attention call with one bias where there is attention."""

from collections import Counter

import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from ofa.model import OFAConfig, OFAModel
from ofa.model.positions import PositionScores

ENCODER, DECODER = 3, 2


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    config = OFAConfig.preset("nano", vocabulary_size=100, encoder_layers=ENCODER, decoder_layers=DECODER)
    return OFAModel(config).eval()


def batch(samples):
    generator = torch.Generator().manual_seed(0)
    source = torch.randint(4, 100, (samples, 6), generator=generator)
    source[1, 4:] = 1
    return {
        "source_tokens": source,
        "previous_tokens": torch.randint(4, 100, (samples, 5), generator=generator),
        "images": torch.randn(samples, 3, 32, 48, generator=generator),
        "image_mask": torch.arange(samples) > 0,
        "code_mask": torch.arange(samples) > 1,
        "patch_sample": 4,
    }


class Operations(TorchDispatchMode):
    """Counts what is computed."""

    def __init__(self):
        super().__init__()
        self.count = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count[str(function)] += 1
        return function(*args, **(kwargs or {}))


def test_more_samples_take_no_more_operations(net):
    def training(samples):
        net.zero_grad()
        with Operations() as operations:
            net(**batch(samples)).logsumexp(-1).sum().backward()
        return operations.count

    def steps(samples):
        inputs = batch(samples)
        with Operations() as operations, torch.no_grad():
            encoded = net.encode(inputs["source_tokens"], inputs["images"])
            cache = net.start(encoded, beams=2, max_length=4, code_mask=inputs["code_mask"])
            for tokens in inputs["previous_tokens"].repeat_interleave(2, 0)[:, :3].unbind(1):
                net.step(tokens, cache)
                cache.reorder(torch.arange(2 * samples))
        return operations.count

    for run in (training, steps):
        few, many = run(3), run(11)
        assert few.total() > 200
        assert few == many


@pytest.mark.parametrize("codes", [False, True])
def test_attention_is_one_call_with_one_bias(net, monkeypatch, codes):
    biases, positions = [], Counter()
    attention, queries, keys = F.scaled_dot_product_attention, PositionScores.queries, PositionScores.keys

    def count_attention(q, k, v, attn_mask=None, **settings):
        assert attn_mask.is_floating_point() and attn_mask.shape[-2:] == (q.shape[2], k.shape[2])
        biases.append(attn_mask)
        return attention(q, k, v, attn_mask=attn_mask, **settings)

    def count(name, function):
        return lambda scores, x: positions.update([name]) or function(scores, x)

    monkeypatch.setattr(F, "scaled_dot_product_attention", count_attention)
    monkeypatch.setattr(PositionScores, "queries", count("queries", queries))
    monkeypatch.setattr(PositionScores, "keys", count("keys", keys))
    inputs = batch(3)
    with torch.no_grad():
        net(**inputs | ({} if codes else {"code_mask": None}))
    assert len(biases) == ENCODER + 2 * DECODER
    crosses = biases[ENCODER + 1 :: 2]
    assert all(cross is crosses[0] for cross in crosses)
    # Absolute positions are scored once a stack and once from the decoder to the encoder, for each kind of row.
    kinds = 2 if codes else 1
    assert positions == {"queries": 1 + 2 * kinds, "keys": 1 + kinds + 1}
