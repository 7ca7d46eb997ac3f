"""Prompts, adapters and the switches that change the computation give the original's numbers."""

import pytest
import torch

from ofa.checkpoint.names import from_fairseq
from ofa.model.tuning import trainable

VARIANTS = {
    "prefix": dict(encoder_prompt_length=7, decoder_prompt_length=5),
    "prefix_projection": dict(
        encoder_prompt_length=7, decoder_prompt_length=5, encoder_prompt_projection=128, decoder_prompt_projection=128
    ),
    "adapter": dict(adapter_dim=10),
    "scale_resids": dict(scale_resids=True),
    "no_disable_entangle": dict(disable_entangle=False),
    "entangle_position_embedding": dict(entangle_position_embedding=True),
    "attn_scale_factor4": dict(attn_scale_factor=4),
    "freeze_resnet": dict(freeze_resnet=True),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_variant_matches_the_original(arrays, build, variant):
    recorded, base = arrays("variants_micro.npz"), arrays("forward_micro.npz")
    prefix = f"{variant}/param/"
    names = [name for name in recorded.file.files if name.startswith(prefix)]
    added = {from_fairseq(name.removeprefix(prefix)): recorded[name] for name in names}
    net = build(added, **VARIANTS[variant])
    inputs = base.inputs("img_text_256")
    with torch.inference_mode():
        encoded = net.encode(inputs["source_tokens"], inputs["images"], inputs["image_mask"])
        logits = net.decode(inputs["previous_tokens"], encoded)
    real = inputs["previous_tokens"] != 1
    states = recorded[f"{variant}/encoder_out"].transpose(0, 1)
    torch.testing.assert_close(encoded.states, states, atol=1e-5, rtol=0)
    columns = logits[..., base["cols"]][real]
    torch.testing.assert_close(columns, recorded[f"{variant}/logits_cols"][real], atol=3e-5, rtol=0)
    normalizer = recorded[f"{variant}/logsumexp"][real]
    torch.testing.assert_close(logits.logsumexp(-1)[real], normalizer, atol=1e-5, rtol=0)
    theirs = {from_fairseq(name) for name in recorded.file[f"{variant}/trainable"].tolist()}
    if variant == "adapter":
        # The original's adapters alone leave everything but the token matrix trainable; ours train themselves.
        assert set(trainable(net)) == {name for name in theirs if ".adapter." in name}
    else:
        assert set(trainable(net)) == theirs


def test_every_recorded_variant_is_compared(arrays):
    cases = arrays("variants_micro.npz").cases()
    assert {case for case in cases if case not in ("adam", "bitfit_trainable")} == set(VARIANTS)


def test_shared_batch_norm_has_the_originals_epsilon(arrays, build):
    images = arrays("forward_micro.npz").inputs("img_text_256_nopad")["images"]
    plain = build()
    for module in plain.encoder.resnet.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eps = 1e-3
    with torch.inference_mode():
        shared, expected = build(sync_batch_norm=True).encoder.resnet(images), plain.encoder.resnet(images)
    torch.testing.assert_close(shared, expected, atol=1e-6, rtol=1e-5)
