"""Encoder, decoder, training and the decoding step compile to one graph each."""

import shutil

import pytest
import torch

from ofa.model import OFAConfig, OFAModel
from ofa.model.positions import code_ids, image_buckets, number_of_image_buckets, relative_bias


@pytest.fixture
def net():
    torch.manual_seed(0)
    torch._dynamo.reset()
    small = dict(vocabulary_size=300, encoder_layers=1, decoder_layers=1)
    return OFAModel(OFAConfig.preset("nano", **small, decoder_prompt_length=2)).requires_grad_().eval()


@pytest.fixture
def batch():
    source = torch.randint(4, 300, (2, 6))
    source[1, 3:] = 1
    return source, torch.randn(2, 3, 32, 32), torch.tensor([True, False]), torch.randint(4, 300, (2, 5))


def test_training_is_one_graph_with_the_same_gradients(net, batch):
    source, images, mask, previous = batch
    net.train()
    net.decoder.prompt.eval()
    net(source, previous, images, mask).logsumexp(-1).sum().backward()
    expected = [parameter.grad for parameter in net.parameters()]
    net.zero_grad()
    compiled = torch.compile(net, fullgraph=True, backend="aot_eager")
    compiled(source, previous, images, mask).logsumexp(-1).sum().backward()
    for parameter, gradient in zip(net.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, atol=1e-4, rtol=1e-3)


@torch.no_grad()
def test_encoder_and_decoder_are_one_graph_each(net, batch):
    source, images, mask, previous = batch
    encoded = torch.compile(net.encode, fullgraph=True, backend="eager")(source, images, mask)
    torch.testing.assert_close(encoded.states, net.encode(source, images, mask).states)
    codes = torch.tensor([True, False])
    logits = torch.compile(net.decode, fullgraph=True, backend="eager")(previous, encoded, codes)
    torch.testing.assert_close(logits, net.decode(previous, encoded, codes))


@torch.no_grad()
def test_a_step_is_one_graph_for_all_steps(net, batch):
    source, images, mask, previous = batch
    encoded = net.encode(source, images, mask)
    counter = torch._dynamo.testing.CompileCounterWithBackend("eager")
    step = torch.compile(net.step, fullgraph=True, backend=counter)
    cache = net.start(encoded, max_length=5)
    features = torch.stack([step(tokens, cache) for tokens in previous.unbind(1)], dim=1)
    torch.testing.assert_close(features, net.decode(previous, encoded, features_only=True))
    # The second compilation makes the count of steps, a Python number, dynamic.
    assert counter.frame_count <= 2


@pytest.mark.skipif(shutil.which("g++") is None, reason="compiling for a CPU takes a C++ compiler")
def test_the_bias_of_image_codes_compiles_to_machine_code():
    """The other tests stop before code is made, where a remainder in the bucket numbers once was too much."""
    torch._dynamo.reset()

    def bias(scores, table):
        steps = torch.arange(scores.shape[-1])
        ids = code_ids(steps, window=16, bucket_size=42)
        future = steps[:, None] < steps[None, :]
        return scores.masked_fill(future, float("-inf")) + relative_bias(table, image_buckets(ids, ids, 42))

    scores, table = torch.randn(1, 4, 5, 5), torch.randn(number_of_image_buckets(42), 4)
    assert torch.equal(torch.compile(bias, fullgraph=True)(scores, table), bias(scores, table))
