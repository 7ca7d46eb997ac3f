"""VQ-GANs come back from our folders and from the files of taming-transformers."""

import sys
import types

import pytest
import torch
import yaml

from ofa.checkpoint.vqgan import load_vqgan, save_vqgan
from ofa.errors import OFAError
from ofa.model.vqgan import VQGAN, VQGANConfig

SHAPE = dict(double_z=False, z_channels=32, resolution=64, in_channels=3, out_ch=3, ch=32, ch_mult=[1, 1, 1, 2])
CONFIG = {
    "model": {
        "base_learning_rate": 4.5e-6,
        "target": "taming.models.vqgan.GumbelVQ",
        "params": {
            "kl_weight": 1e-8,
            "embed_dim": 32,
            "n_embed": 40,
            "ddconfig": SHAPE | {"num_res_blocks": 1, "attn_resolutions": [8], "dropout": 0.0},
            "lossconfig": {"target": "taming.modules.losses.vqperceptual.DummyLoss"},
        },
    }
}


@pytest.fixture
def net():
    torch.manual_seed(0)
    return VQGAN(VQGANConfig(channels=32, multipliers=(1, 1, 1, 2), blocks=1, attention=(8,), resolution=64,
                             code_dim=32, codes=40)).eval()  # fmt: skip


@pytest.fixture
def published(tmp_path, net, monkeypatch):
    """A file as Lightning writes it, with the objects of its callbacks and the loss's weights, and its settings."""
    name = "pytorch_lightning.callbacks.model_checkpoint"
    for part in ("pytorch_lightning", "pytorch_lightning.callbacks"):
        monkeypatch.setitem(sys.modules, part, types.ModuleType(part))
    module = types.ModuleType(name)
    callback = type("ModelCheckpoint", (), {"__module__": name})
    module.ModelCheckpoint = callback
    monkeypatch.setitem(sys.modules, name, module)
    path = tmp_path / "last.ckpt"
    torch.save(
        {
            "epoch": 3,
            "global_step": 100,
            "pytorch-lightning_version": "1.0.8",
            "callbacks": {callback: {"best_model_score": torch.tensor(0.2), "best_model_path": "x"}},
            "optimizer_states": [{"state": {0: {"step": 1, "exp_avg": torch.zeros(2)}}, "param_groups": []}],
            "lr_schedulers": [],
            "state_dict": dict(net.state_dict())
            | {"loss.discriminator.main.0.weight": torch.zeros(3), "loss.perceptual_loss.lin0.weight": torch.ones(2)},
        },
        path,
    )
    path.with_name("model.yaml").write_text(yaml.safe_dump(CONFIG))
    return path


def same(a, b):
    return all(torch.equal(tensor, b.state_dict()[name]) for name, tensor in a.state_dict().items())


def test_a_published_file(published, net):
    loaded = load_vqgan(published)
    assert loaded.config == net.config and same(loaded, net) and not loaded.training
    pixels = torch.rand(1, 3, 32, 40) * 2 - 1
    assert torch.equal(loaded.encode(pixels), net.encode(pixels))


def test_its_settings_may_lie_as_in_its_folder_of_logs(published, net, tmp_path):
    (tmp_path / "logs/checkpoints").mkdir(parents=True)
    (tmp_path / "logs/configs").mkdir()
    published.rename(tmp_path / "logs/checkpoints/last.ckpt")
    published.with_name("model.yaml").rename(tmp_path / "logs/configs/model.yaml")
    assert same(load_vqgan(tmp_path / "logs/checkpoints/last.ckpt"), net)


def test_a_folder_gives_the_same_network(tmp_path, net):
    save_vqgan(tmp_path / "net", net)
    loaded = load_vqgan(tmp_path / "net")
    assert loaded.config == net.config and same(loaded, net)


def change(published, **values):
    config = yaml.safe_load(published.with_name("model.yaml").read_text())
    for key, value in values.items():
        place = config["model"]
        *outer, last = key.split("__")
        for name in outer:
            place = place[name]
        place[last] = value
    published.with_name("model.yaml").write_text(yaml.safe_dump(config))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"target": "taming.models.vqgan.VQModel"}, "describes taming.models.vqgan.VQModel; OFA's codes are those of"),
        ({"params__n_embed": 41}, r"'quantize.proj.weight' is of shape \(40, 32, 1, 1\), .* says \(41, 32, 1, 1\)"),
        ({"params__ddconfig__num_res_blocks": 2}, "lacks 'decoder.up.0.block.2"),
        ({"params__ddconfig__attn_resolutions": []}, "holds 'decoder.up.3.attn.0"),
        ({"params__ddconfig__z_channels": 64}, "ddconfig.z_channels must be 32, got 64"),
        ({"params": {}}, "'ddconfig' is missing"),
    ],
)
def test_what_does_not_fit_is_named(published, changes, reason):
    change(published, **changes)
    with pytest.raises(OFAError, match=reason):
        load_vqgan(published)


def test_a_missing_configuration_is_named(published):
    published.with_name("model.yaml").unlink()
    with pytest.raises(OFAError, match=r"its configuration is missing; .*last.yaml.*model.yaml.*configs/model.yaml"):
        load_vqgan(published)


def test_a_folder_of_another_network_is_refused(tmp_path, net):
    save_vqgan(tmp_path / "net", net)
    config = tmp_path / "net/config.json"
    config.write_text(config.read_text().replace("ofa-vqgan/1", "ofa/1"))
    with pytest.raises(OFAError, match="is not of format 'ofa-vqgan/1'"):
        load_vqgan(tmp_path / "net")
