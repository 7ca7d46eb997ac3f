"""The network computes what the original computes."""

import pytest
import torch

CASES = [
    ("forward_micro.npz", "img_text_256", {}),
    ("forward_micro.npz", "img_text_256_nopad", {}),
    ("forward_micro.npz", "text_only", {}),
    ("forward_micro.npz", "text_long", {}),
    ("forward_micro.npz", "image_code", {}),
    ("forward_micro.npz", "image_code_mixed", {}),
    ("forward_micro.npz", "nonsquare_256x192", {}),
    ("forward_micro.npz", "img_384", {}),
    ("forward_micro.npz", "img_480", {}),
    ("forward_micro.npz", "sample_patch_64_of_576", {}),
    ("forward_micro.npz", "img_480_interpolate", {"interpolate_position": True}),
    ("forward_micro.npz", "img_320x480_interpolate", {"interpolate_position": True}),
    ("forward_micro_codesize256.npz", "image_gen_code256_text_only_src", {"code_image_size": 256}),
]
STATES, LOGITS = 1e-5, 3e-5
"""Largest absolute errors; logits of the recorded network reach tens."""


@pytest.mark.parametrize(("file", "case", "changes"), CASES, ids=[case for _, case, _ in CASES])
def test_forward_matches_the_original(arrays, build, file, case, changes):
    recorded = arrays(file)
    inputs = recorded.inputs(case)
    net = build(**changes)
    with torch.inference_mode():
        encoded = net.encode(*(inputs[key] for key in ("source_tokens", "images", "image_mask", "patch_sample")))
        features = net.decode(inputs["previous_tokens"], encoded, inputs["code_mask"], features_only=True)
        logits = net.project(features)

    assert torch.equal(encoded.padding, recorded[f"{case}/encoder_padding_mask"])
    torch.testing.assert_close(encoded.positions, recorded[f"{case}/position_embeddings"], atol=1e-6, rtol=0)
    states = recorded[f"{case}/encoder_out"].transpose(0, 1)
    torch.testing.assert_close(encoded.states, states, atol=STATES, rtol=0)
    real = inputs["previous_tokens"] != 1
    torch.testing.assert_close(features[real], recorded[f"{case}/decoder_features"][real], atol=STATES, rtol=0)
    columns = logits[..., recorded["cols"]][real]
    torch.testing.assert_close(columns, recorded[f"{case}/logits_cols"][real], atol=LOGITS, rtol=0)
    assert torch.equal(logits.argmax(-1)[real], recorded[f"{case}/logits_argmax"][real])
    best = logits.gather(-1, recorded[f"{case}/logits_top10_ids"].long())[real]
    torch.testing.assert_close(best, recorded[f"{case}/logits_top10"][real], atol=LOGITS, rtol=0)
    normalizer = recorded[f"{case}/logits_logsumexp"][real]
    torch.testing.assert_close(logits.logsumexp(-1)[real], normalizer, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("file", "case", "changes"), CASES, ids=[case for _, case, _ in CASES])
def test_the_last_layer_looks_where_the_originals_looks(arrays, build, monkeypatch, file, case, changes):
    calls = []

    def record(queries, keys, values, bias, scale, dropout):
        calls.append((queries @ keys.transpose(2, 3) * scale + bias).softmax(-1))
        return calls[-1] @ values

    monkeypatch.setattr("ofa.model.attention.biased_attention", record)
    recorded = arrays(file)
    inputs = recorded.inputs(case)
    with torch.inference_mode():
        build(**changes)(**inputs, features_only=True)
    real = inputs["previous_tokens"] != 1
    expected = recorded[f"{case}/cross_attn_mean"]
    torch.testing.assert_close(calls[-1].mean(1)[real], expected[real], atol=5e-6, rtol=0)


def test_every_recorded_case_is_compared(arrays):
    files = {file for file, _, _ in CASES}
    assert {case for file in files for case in arrays(file).cases()} == {case for _, case, _ in CASES}


def test_samples_can_share_an_image(arrays, build):
    recorded = arrays("forward_micro.npz")
    inputs = recorded.inputs("img_text_256_nopad")
    net = build()
    index = torch.tensor([1, 0, 1])
    text = inputs["source_tokens"][[0, 1, 1]]
    with torch.inference_mode():
        shared = net.encode(text, inputs["images"], image_index=index)
        copied = net.encode(text, inputs["images"][index])
    torch.testing.assert_close(shared.states, copied.states, atol=1e-5, rtol=0)


def test_selected_rows_decode_like_the_batch(arrays, build):
    inputs = arrays("forward_micro.npz").inputs("sample_patch_64_of_576")
    net = build()
    with torch.inference_mode():
        encoded = net.encode(*(inputs[key] for key in ("source_tokens", "images", "image_mask", "patch_sample")))
        both = net.decode(inputs["previous_tokens"], encoded)
        swapped = net.decode(inputs["previous_tokens"].flip(0), encoded.select(torch.tensor([1, 0])))
    torch.testing.assert_close(swapped.flip(0), both, atol=1e-5, rtol=0)


def test_a_batch_gives_what_its_rows_give_alone(arrays, build):
    inputs = arrays("forward_micro.npz").inputs("text_only")
    net = build()
    with torch.inference_mode():
        together = net(inputs["source_tokens"], inputs["previous_tokens"])
        for row, (source, previous) in enumerate(zip(inputs["source_tokens"], inputs["previous_tokens"], strict=True)):
            source, previous = source[source != 1][None], previous[previous != 1][None]
            alone = net(source, previous)[0]
            torch.testing.assert_close(together[row, : len(alone)], alone, atol=2e-5, rtol=0)
