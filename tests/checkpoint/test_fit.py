"""Weights are adapted to a network as the original does, and the log says how; what does not fit is refused."""

import logging

import pytest
import torch

from ofa.checkpoint import load, load_fairseq, load_folder, save_fairseq, save_folder
from ofa.checkpoint.fit import restore
from ofa.errors import OFAError
from ofa.model import OFAConfig, OFAModel

SMALL = dict(vocabulary_size=200, d_model=32, ffn_dim=64, encoder_layers=1, decoder_layers=1, resnet_blocks=(1, 1, 1))


@pytest.fixture
def net():
    torch.manual_seed(0)
    return OFAModel(OFAConfig.preset("nano", **SMALL))


def test_loading_is_exact_and_logged(net, tmp_path, caplog):
    save_folder(tmp_path, net)
    with caplog.at_level(logging.INFO, "ofa"):
        loaded = load(tmp_path)
    assert caplog.messages == [f"Loaded checkpoint {tmp_path}"]
    assert not loaded.training
    assert all(torch.equal(loaded.state_dict()[name], tensor) for name, tensor in net.state_dict().items())
    loaded.train()(torch.tensor([[0, 5, 2]]), torch.tensor([[0, 7]]), torch.randn(1, 3, 32, 32)).sum().backward()


def test_vocabulary_grows_by_rows_of_the_originals_spread(net, tmp_path, caplog):
    save_folder(tmp_path, net)
    with caplog.at_level(logging.INFO, "ofa"):
        grown = load(tmp_path, vocabulary_size=2200).embed_tokens.weight
    assert torch.equal(grown[:200], net.embed_tokens.weight)
    assert abs(grown[200:].std().item() * 32**0.5 - 1) < 0.05
    assert any("embed_tokens.weight grew from 200 to 2200 rows" in message for message in caplog.messages)


@pytest.mark.parametrize(
    ("change", "tables"),
    [
        (dict(image_bucket_size=44), ("encoder.image_positions.weight", "decoder.image_positions.weight")),
        (dict(max_source_positions=1100), ("encoder.token_positions.weight",)),
        (dict(max_target_positions=1100), ("decoder.token_positions.weight",)),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_position_tables_grow(net, tmp_path, caplog, change, tables):
    state = net.state_dict()
    if "image_bucket_size" in change:
        # An official checkpoint of fewer positions says 42 as well, so the network is built with the larger tables.
        for stack in ("encoder", "decoder"):
            state[f"{stack}.image_positions.weight"] = state[f"{stack}.image_positions.weight"][:1601]
        change = {}
    save_folder(tmp_path, (net.config, state))
    with caplog.at_level(logging.INFO, "ofa"):
        grown = load(tmp_path, **change).state_dict()
    for name in tables:
        old, new = state[name], grown[name]
        assert torch.equal(new[: len(old)], old)
        assert abs(new[len(old) :].std().item() * 32**0.5 - 1) < 0.1
        assert f"{tmp_path}: {name} grew from {len(old)} to {len(new)} rows" in caplog.messages
    others = [name for name in state if name not in tables]
    assert all(torch.equal(grown[name], state[name]) for name in others)


def test_half_precision_becomes_single_and_is_logged(tmp_path, caplog):
    config = OFAConfig.preset("tiny", **(SMALL | dict(resnet_blocks=(2, 2, 2))))
    save_fairseq(tmp_path / "net.pt", config, OFAModel(config).half().state_dict())
    with caplog.at_level(logging.INFO, "ofa"):
        loaded = load(tmp_path / "net.pt").state_dict()
    assert {t.dtype for t in loaded.values()} == {torch.float32, torch.int64}
    assert any(message.endswith("tensors of type float16 became float32") for message in caplog.messages)


def test_a_missing_copy_of_the_token_matrix_is_the_token_matrix(tmp_path, caplog):
    config = OFAConfig.preset("tiny", **(SMALL | dict(resnet_blocks=(2, 2, 2))))
    state = OFAModel(config).state_dict()
    save_fairseq(tmp_path / "net.pt", config, state)
    saved = torch.load(tmp_path / "net.pt", weights_only=False)
    for name in ("decoder.output_projection.weight", "decoder.version", "decoder.image_position_idx"):
        del saved["model"][name]
    torch.save(saved, tmp_path / "net.pt")
    with caplog.at_level(logging.INFO, "ofa"):
        assert torch.equal(load(tmp_path / "net.pt").embed_tokens.weight, state["embed_tokens.weight"])
    assert [message for message in caplog.messages if "is missing" in message] == [
        f"{tmp_path / 'net.pt'}: 'decoder.output_projection.weight' is missing and became the token matrix "
        "'encoder.embed_tokens.weight'"
    ]


def test_another_copy_of_the_token_matrix_is_refused(tmp_path):
    config = OFAConfig.preset("tiny", **(SMALL | dict(resnet_blocks=(2, 2, 2))))
    save_fairseq(tmp_path / "net.pt", config, OFAModel(config).state_dict())
    saved = torch.load(tmp_path / "net.pt", weights_only=False)
    saved["model"]["decoder.embed_tokens.weight"] = saved["model"]["decoder.embed_tokens.weight"] + 1
    torch.save(saved, tmp_path / "net.pt")
    with pytest.raises(OFAError, match="'decoder.embed_tokens.weight' differs.* one token matrix"):
        load(tmp_path / "net.pt")


def test_new_parts_keep_their_own_values(net, tmp_path, caplog):
    save_folder(tmp_path, net)
    with caplog.at_level(logging.INFO, "ofa"):
        adapted = load(tmp_path, adapter_dim=4)
    assert torch.equal(adapted.embed_tokens.weight, net.embed_tokens.weight)
    assert any("kept the network's own values of 8 tensors" in message for message in caplog.messages)


def test_frozen_and_trained_batch_norm_exchange_weights(net, tmp_path):
    save_folder(tmp_path / "trained", net)
    frozen = load(tmp_path / "trained", freeze_resnet=True)
    save_folder(tmp_path / "frozen", frozen)
    thawed = load(tmp_path / "frozen", freeze_resnet=False)
    images = torch.randn(1, 3, 32, 32)
    expected = net.eval().encoder.resnet(images)
    torch.testing.assert_close(frozen.encoder.resnet(images), expected)
    torch.testing.assert_close(thawed.encoder.resnet(images), expected)


def test_counters_that_a_frozen_stem_has_not_are_left_out_and_logged(tmp_path, caplog):
    config = OFAConfig.preset("tiny", **(SMALL | dict(resnet_blocks=(2, 2, 2))))
    save_fairseq(tmp_path / "net.pt", config, OFAModel(config).state_dict())
    with caplog.at_level(logging.INFO, "ofa"):
        load(tmp_path / "net.pt", freeze_resnet=True)
    assert caplog.messages[0].endswith("left out 22 counters of batches, frozen batch norm counts none")


def test_another_size_is_refused_with_the_right_one(tmp_path):
    tiny = OFAModel(OFAConfig.preset("tiny", vocabulary_size=50))
    save_folder(tmp_path, tiny)
    base = OFAModel(OFAConfig.preset("nano", vocabulary_size=50))
    with pytest.raises(OFAError, match="the network does not have"):
        restore(base, load_folder(tmp_path)[1], tmp_path)
    wide = OFAModel(OFAConfig.preset("tiny", vocabulary_size=50, d_model=128))
    with pytest.raises(OFAError, match=r"embed_tokens.weight \(50, 256\) for \(50, 128\).*size 'tiny'"):
        restore(wide, load_folder(tmp_path)[1], tmp_path)


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(OFAError, match="no checkpoint at .*absent.pt: give"):
        load(tmp_path / "absent.pt")


def test_names_of_older_fairseq_versions_are_understood(tmp_path, caplog):
    config = OFAConfig.preset("tiny", **(SMALL | dict(resnet_blocks=(2, 2, 2))))
    state = OFAModel(config).state_dict()
    save_fairseq(tmp_path / "new.pt", config, state)
    saved = torch.load(tmp_path / "new.pt", weights_only=False)
    weights = saved["model"]
    layer = "decoder.layers.0."
    for number, name in enumerate(("self_attn_layer_norm", "encoder_attn_layer_norm", "final_layer_norm")):
        for part in ("weight", "bias"):
            weights[f"{layer}layer_norms.{number}.{part}"] = weights.pop(f"{layer}{name}.{part}")
    for part in ("weight", "bias"):
        thirds = [weights.pop(f"{layer}self_attn.{name}_proj.{part}") for name in "qkv"]
        weights[f"{layer}self_attn.in_proj_{part}"] = torch.cat(thirds)
    weights["classification_heads.x.dense.weight"] = torch.ones(2, 2)
    torch.save(saved, tmp_path / "old.pt")
    with caplog.at_level(logging.INFO, "ofa"):
        _, upgraded = load_fairseq(tmp_path / "old.pt")
    assert upgraded.keys() == state.keys()
    assert all(torch.equal(upgraded[name], tensor) for name, tensor in state.items())
    assert "'decoder.layers.0.layer_norms.1.bias' is now 'decoder.layers.0.encoder_attn_layer_norm.bias'" in caplog.text
    assert "left out 'classification_heads.x.dense.weight'" in caplog.text
