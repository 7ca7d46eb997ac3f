"""A network saved as a folder comes back exactly."""

import json
import subprocess
import sys

import pytest
import tokenizers
import torch

from ofa.checkpoint import load_folder, save_folder
from ofa.errors import OFAError
from ofa.model import OFAConfig, OFAModel
from ofa.text import Tokenizer


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return OFAModel(OFAConfig.preset("nano", vocabulary_size=300, output_ids=(0, 2, 7)))


def test_network_comes_back_bit_equal(net, tmp_path):
    save_folder(tmp_path / "net", net, {"Data": "none", "Scores": {"CIDEr": 1.25}})
    config, state = load_folder(tmp_path / "net")
    assert config == net.config
    assert state.keys() == net.state_dict().keys()
    assert all(torch.equal(state[name], tensor) for name, tensor in net.state_dict().items())
    card = (tmp_path / "net" / "README.md").read_text()
    parameters = sum(parameter.numel() for parameter in net.parameters())
    for line in ("- CIDEr: 1.25", f"- parameters: {parameters:,}", "- layers: 2 + 2", "- vocabulary: 300 rows"):
        assert f"\n{line}\n" in card


@pytest.mark.parametrize(("rows", "name"), [(59457, "english"), (30325, "chinese"), (300, None)])
def test_the_vocabulary_lies_beside_the_network(tmp_path, rows, name):
    small = dict(d_model=8, ffn_dim=8, encoder_layers=1, decoder_layers=1, resnet_blocks=(1, 1, 1), resnet_width=4)
    save_folder(tmp_path, OFAModel(OFAConfig.preset("nano", vocabulary_size=rows, **small)))
    file = tmp_path / "tokenizer.json"
    assert file.is_file() == (name is not None)
    if name is not None:
        text = " a red apple, 一个苹果"
        expected = getattr(Tokenizer, name)().encode(text)
        assert tokenizers.Tokenizer.from_file(str(file)).encode(text).ids == [0, *expected, 2]


def test_files_have_the_usual_permissions(net, tmp_path):
    save_folder(tmp_path / "net", net)
    (tmp_path / "usual").touch()
    usual = (tmp_path / "usual").stat().st_mode
    assert {file.stat().st_mode for file in (tmp_path / "net").iterdir()} == {usual}


def test_the_token_matrix_is_stored_once(net, tmp_path):
    save_folder(tmp_path, net)
    stored = sum(tensor.numel() * tensor.element_size() for tensor in net.state_dict().values())
    assert (tmp_path / "model.safetensors").stat().st_size < stored + 100_000


def test_configuration_and_weights_can_be_given_apart(net, tmp_path):
    save_folder(tmp_path, (net.config, net.state_dict()))
    assert load_folder(tmp_path, dropout=0.3)[0].dropout == 0.3


def test_damage_is_named(net, tmp_path):
    with pytest.raises(OFAError, match="config.json is missing"):
        load_folder(tmp_path)
    save_folder(tmp_path, net)
    values = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(values | {"droput": 1}))
    with pytest.raises(OFAError, match="did you mean 'dropout'"):
        load_folder(tmp_path)
    for content, message in (("[1]", "not of format"), ("{", "damaged: config.json")):
        (tmp_path / "config.json").write_text(content)
        with pytest.raises(OFAError, match=message):
            load_folder(tmp_path)
    save_folder(tmp_path, net)
    weights = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(weights[:-100])
    with pytest.raises(OFAError, match="damaged"):
        load_folder(tmp_path)


def test_loading_imports_no_compiler(net, tmp_path):
    """Its import takes longer than the whole rest."""
    save_folder(tmp_path, net)
    code = f"import sys; from ofa import checkpoint; checkpoint.load({str(tmp_path)!r})"
    code += "; print('torch._dynamo' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"False\n"
