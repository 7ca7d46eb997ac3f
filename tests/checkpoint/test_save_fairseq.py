"""What we save in the original's format is the original's format, and comes back bit by bit."""

import argparse

import pytest
import torch

from ofa.checkpoint import load_fairseq, save_fairseq
from ofa.checkpoint.arguments import args_from_config
from ofa.checkpoint.names import TIED
from ofa.errors import OFAError
from ofa.model import OFAConfig, OFAModel


def test_recorded_checkpoint_survives_with_its_names(golden, tmp_path):
    config, state = load_fairseq(golden / "ofa_micro_random.pt")
    save_fairseq(tmp_path / "saved.pt", config, state)
    again, weights = load_fairseq(tmp_path / "saved.pt")
    assert again == config
    assert weights.keys() == state.keys()
    assert all(torch.equal(weights[name], tensor) for name, tensor in state.items())

    # Beside plain data the file names argparse.Namespace alone.
    with torch.serialization.safe_globals([argparse.Namespace]):
        saved = torch.load(tmp_path / "saved.pt", weights_only=True)
    original = torch.load(golden / "ofa_micro_random.pt", weights_only=False)
    derived = {f"{stack}.{kind}_rp_bucket" for stack in ("encoder", "decoder") for kind in ("token", "image")}
    assert saved["model"].keys() == original["model"].keys() | derived
    for name, tensor in original["model"].items():
        assert torch.equal(saved["model"][name], tensor.float() if tensor.is_floating_point() else tensor), name
    assert len({saved["model"][name].untyped_storage().data_ptr() for name in TIED}) == 1
    assert saved.keys() == original.keys()
    arguments, expected = vars(saved["cfg"]["model"]), vars(original["cfg"]["model"])
    assert {name: expected[name] for name in arguments if name in expected and name not in ("arch", "_name")} == {
        name: value for name, value in arguments.items() if name in expected and name not in ("arch", "_name")
    }


def test_tables_of_bucket_numbers_are_the_originals(golden, tmp_path):
    config, state = load_fairseq(golden / "ofa_micro_random.pt")
    save_fairseq(tmp_path / "saved.pt", config, state)
    model = torch.load(tmp_path / "saved.pt", weights_only=False)["model"]
    tokens, image = model["encoder.token_rp_bucket"], model["decoder.image_rp_bucket"]
    assert (tokens.shape, image.shape) == ((1024, 1024), (1765, 1765))
    assert (tokens.min(), tokens.max(), tokens[5, 5], tokens[6, 5]) == (0, 510, 255, 256)
    assert (image[0, 7], image[7, 0], image[0, 0]) == (6889, 6890, 6891)
    row, column = 41 * 83, 41
    assert (image[1, 1], image[2, 1], image[43, 1]) == (row + column, row + column + 1, row + 83 + column)


def test_tuned_networks_survive(tmp_path):
    changes = dict(
        adapter_dim=7, encoder_prompt_length=3, decoder_prompt_length=2, decoder_prompt_projection=5, dropout=0.2,
        output_ids=(0, 2, 5), freeze_embeddings=True, code_image_size=256,
    )  # fmt: skip
    config = OFAConfig.preset("tiny", vocabulary_size=100, d_model=32, encoder_layers=1, decoder_layers=1, **changes)
    state = OFAModel(config).state_dict()
    save_fairseq(tmp_path / "saved.pt", config, state)
    again, weights = load_fairseq(tmp_path / "saved.pt")
    assert again == config
    assert all(torch.equal(weights[name], tensor) for name, tensor in state.items())


@pytest.mark.parametrize(
    ("width", "architecture"), [(1280, "ofa_huge"), (128, "ofa_base")], ids=["published", "of its own"]
)
def test_the_architecture_is_one_that_the_original_knows(width, architecture):
    assert args_from_config(OFAConfig(d_model=width, encoder_heads=4, decoder_heads=4)).arch == architecture


def test_networks_that_the_original_cannot_build_are_refused(tmp_path):
    config = OFAConfig.preset("nano", vocabulary_size=100)
    with pytest.raises(OFAError, match="no image stem of"):
        save_fairseq(tmp_path / "nano.pt", config, OFAModel(config).state_dict())
    assert not list(tmp_path.iterdir())
