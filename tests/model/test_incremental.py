"""Decoding step by step gives what teacher forcing gives."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ofa.errors import OFAError
from ofa.model import OFAConfig, OFAModel

SENTENCES, LENGTH = 3, 9
SWITCHES = {
    "plain": {},
    "entangled": dict(disable_entangle=False),
    "prompts": dict(encoder_prompt_length=3, decoder_prompt_length=2, adapter_dim=4),
    "bare": dict(scale_attn=False, scale_fc=False, scale_heads=False, scale_resids=True),
}


def network(**switches):
    torch.manual_seed(0)
    net = OFAModel(OFAConfig.preset("nano", vocabulary_size=400, code_image_size=16, **switches))
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return net.eval()


NETWORKS = {name: network(**switches) for name, switches in SWITCHES.items()}


def inputs(generator, beams):
    source = torch.randint(4, 400, (SENTENCES, 7), generator=generator)
    source[1, 4:] = 1
    rows = torch.randint(4, 400, (SENTENCES * beams, LENGTH), generator=generator)
    images = torch.randn(SENTENCES, 3, 32, 48, generator=generator)
    return source, images, torch.tensor([True, True, False]), rows


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    switches=st.sampled_from(list(SWITCHES)),
    seed=st.integers(0, 2**31),
    beams=st.integers(1, 3),
    kinds=st.sampled_from([None, (False, False, False), (True, True, True), (True, False, True)]),
    chunks=st.lists(st.integers(1, 4), min_size=1, max_size=4),
)
def test_steps_equal_teacher_forcing_through_reordering_and_dropping(switches, seed, beams, kinds, chunks):
    net = NETWORKS[switches]
    generator = torch.Generator().manual_seed(seed)
    source, images, image_mask, rows = inputs(generator, beams)
    codes = None if kinds is None else torch.tensor(kinds)
    alive = torch.arange(SENTENCES)
    with torch.inference_mode():
        encoded = net.encode(source, images, image_mask)
        cache = net.start(encoded, beams=beams, max_length=LENGTH, code_mask=codes)
        taken = 0
        for chunk in chunks:
            chunk = min(chunk, LENGTH - taken)
            if chunk == 0:
                break
            tokens = rows[:, taken : taken + chunk]
            features = net.step(tokens[:, 0] if chunk == 1 else tokens, cache)
            taken += chunk
            repeated = alive.repeat_interleave(beams)
            mask = None if codes is None else codes[repeated]
            expected = net.decode(rows[:, :taken], encoded.select(repeated), mask, features_only=True)[:, -chunk:]
            torch.testing.assert_close(features.view_as(expected), expected, atol=2e-5, rtol=1e-5)

            origin = torch.randint(0, beams, (len(alive), beams), generator=generator)
            order = (torch.arange(len(alive))[:, None] * beams + origin).flatten()
            cache.reorder(order)
            rows = torch.cat([rows[order, :taken], rows[:, taken:]], dim=1)
            if len(alive) > 1 and torch.rand((), generator=generator) < 0.3:
                kept = torch.randperm(len(alive), generator=generator)[: len(alive) - 1]
                cache.keep(kept)
                alive = alive[kept]
                rows = rows.view(-1, beams, LENGTH)[kept].flatten(0, 1)


def test_a_recorded_target_decodes_step_by_step(arrays, build):
    recorded = arrays("forward_micro.npz")
    for case in ("img_text_256", "image_code_mixed"):
        inputs = recorded.inputs(case)
        net = build()
        previous = inputs["previous_tokens"]
        with torch.inference_mode():
            encoded = net.encode(inputs["source_tokens"], inputs["images"], inputs["image_mask"])
            cache = net.start(encoded, max_length=previous.shape[1], code_mask=inputs["code_mask"])
            features = torch.stack([net.step(tokens, cache) for tokens in previous.unbind(1)], dim=1)
        real = previous != 1
        expected = recorded[f"{case}/decoder_features"][real]
        torch.testing.assert_close(features[real], expected, atol=1e-5, rtol=0)


def test_more_steps_than_room_are_refused():
    net = NETWORKS["plain"]
    with torch.inference_mode():
        cache = net.start(net.encode(torch.tensor([[0, 5, 2]])), max_length=2)
        net.step(torch.tensor([[0, 7]]), cache)
        with pytest.raises(OFAError, match="at most 2 tokens"):
            net.step(torch.tensor([7]), cache)
        with pytest.raises(OFAError, match="1025 tokens"):
            net.start(net.encode(torch.tensor([[0, 5, 2]])), max_length=1025)
