"""Networks survive the way to the Hugging Face port's layout and back. The port itself is not at hand to check."""

import json

import pytest
import torch

from ofa.checkpoint import load, load_fairseq, load_huggingface, save_huggingface
from ofa.errors import OFAError
from ofa.model import OFAConfig, OFAModel


def test_weights_and_configuration_come_back(golden, tmp_path):
    config, state = load_fairseq(golden / "ofa_micro_random.pt")
    save_huggingface(tmp_path, config, state)
    again, weights = load_huggingface(tmp_path)
    assert again == config
    assert weights.keys() == state.keys()
    assert all(torch.equal(weights[name], tensor) for name, tensor in state.items())
    assert load(tmp_path).config == config


def test_layers_have_the_ports_names(tmp_path):
    config = OFAConfig.preset("tiny", vocabulary_size=50, encoder_layers=1, decoder_layers=1)
    save_huggingface(tmp_path, config, OFAModel(config).state_dict())
    names = torch.load(tmp_path / "pytorch_model.bin").keys()
    parts = {name.split(".")[3] for name in names if name.startswith("decoder.layers.0.")}
    attentions = {f"{kind}_attn{norm}" for kind in ("self", "cross") for norm in ("", "_layer_norm", "_mid_layer_norm")}
    assert parts == attentions | {"fc1", "fc2", "ffn_layer_norm", "final_layer_norm"}
    parts = {name.split(".")[3] for name in names if name.startswith("encoder.layers.0.")}
    attention = {"self_attn", "self_attn_layer_norm", "self_attn_mid_layer_norm"}
    assert parts == attention | {"fc1", "fc2", "ffn_layer_norm", "final_layer_norm"}
    assert not any(name.endswith(".version") for name in names)
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "ofa"


def test_weights_under_a_head_are_found(tmp_path):
    config = OFAConfig.preset("tiny", vocabulary_size=50, encoder_layers=1, decoder_layers=1)
    state = OFAModel(config).state_dict()
    save_huggingface(tmp_path, config, state)
    weights = torch.load(tmp_path / "pytorch_model.bin")
    torch.save({f"model.{name}": tensor for name, tensor in weights.items()}, tmp_path / "pytorch_model.bin")
    assert load_huggingface(tmp_path)[1].keys() == state.keys()


@pytest.mark.parametrize("change", [dict(adapter_dim=3), dict(scale_resids=True), dict(scale_attn=False)], ids=str)
def test_what_the_port_cannot_build_is_refused(tmp_path, change):
    config = OFAConfig.preset("tiny", vocabulary_size=50, encoder_layers=1, decoder_layers=1, **change)
    with pytest.raises(OFAError, match=next(iter(change))):
        save_huggingface(tmp_path, config, OFAModel(config).state_dict())


def test_weights_of_another_form_are_refused(tmp_path):
    config = OFAConfig.preset("tiny", vocabulary_size=50, encoder_layers=1, decoder_layers=1)
    save_huggingface(tmp_path, config, OFAModel(config).state_dict())
    for stored, message in (
        ([], "is not a state dict"),
        ({"model": {}}, "'model' of its weights is of type dict"),
        ({}, "lacks 'encoder.embed_tokens.weight'"),
    ):
        torch.save(stored, tmp_path / "pytorch_model.bin")
        with pytest.raises(OFAError, match=f"pytorch_model.bin.*{message}"):
            load_huggingface(tmp_path)
