"""VQ-GANs on disk: our folder format, and the published checkpoints of taming-transformers, which are read."""

import logging
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ofa.checkpoint.folder import read_config, read_weights, write_config, write_weights
from ofa.checkpoint.unpickle import read
from ofa.errors import OFAError
from ofa.model.vqgan import VQGAN, VQGANConfig
from ofa.settings import load_yaml

logger = logging.getLogger(__name__)

FORMAT = "ofa-vqgan/1"
FOLDER = "vqgan"
"""Where a folder of tables of codes, or of a network that paints, keeps its VQ-GAN."""

_TRAINING = ("loss.",)
"""Discriminator and perceptual network, which have no part in coding."""


def save_vqgan(folder: str | Path, net: VQGAN) -> None:
    """Write a VQ-GAN as a folder of config.json and model.safetensors; its files are replaced one by one."""
    folder = Path(folder)
    write_weights(folder, net.state_dict())
    write_config(folder, FORMAT, net.config.to_dict())


def load_vqgan(path: str | Path, config: str | Path | None = None) -> VQGAN:
    """The VQ-GAN at `path`, in evaluation mode.

    Args:
        path: a folder of ours, or a checkpoint of taming-transformers (`last.ckpt`, by PyTorch Lightning).
        config: the YAML file that belongs to the checkpoint; by default the first of NAME.yaml and model.yaml beside
            it and ../configs/model.yaml.

    Raises:
        OFAError: nothing is there, it is damaged, could run code, or is no VQ-GAN with Gumbel quantization.
    """
    path = Path(path)
    if path.is_dir():
        values, state = VQGANConfig.from_dict(read_config(path, FORMAT)), read_weights(path)
    else:
        state = _weights(path)
        values = _published_config(Path(config) if config else _beside(path))
    with torch.device("meta"):
        net = VQGAN(values)
    _check(state, net.state_dict(), path)
    net.load_state_dict(state, assign=True)
    logger.info("Loaded VQ-GAN %s", path)
    return net.eval()


def _weights(path: Path) -> dict[str, Tensor]:
    checkpoint = read(path)
    state = checkpoint.get("state_dict") if isinstance(checkpoint, dict) else None
    if not isinstance(state, dict):
        raise OFAError(f"{path} is not a checkpoint of taming-transformers: it has no 'state_dict'")
    return {name: tensor.float() for name, tensor in state.items() if not name.startswith(_TRAINING)}


def _beside(path: Path) -> Path:
    candidates = [path.with_suffix(".yaml"), path.with_name("model.yaml"), path.parent.parent / "configs/model.yaml"]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise OFAError(
        f"{path}: its configuration is missing; put the YAML file that is published with it beside it (looked for "
        f"{', '.join(map(str, candidates))})"
    )


def _published_config(path: Path) -> VQGANConfig:
    """The configuration in a YAML file of taming-transformers."""
    model = load_yaml(path).get("model")
    try:
        target, params = model["target"], model["params"]
        shape = params["ddconfig"]
        values: dict[str, Any] = {
            "channels": shape["ch"],
            "multipliers": shape["ch_mult"],
            "blocks": shape["num_res_blocks"],
            "attention": shape["attn_resolutions"],
            "resolution": shape["resolution"],
            "code_dim": params["embed_dim"],
            "codes": params["n_embed"],
        }
    except (KeyError, TypeError) as error:
        raise OFAError(f"{path}: not a configuration of taming-transformers' VQ-GAN: {error} is missing") from None
    if not target.endswith(".GumbelVQ"):
        raise OFAError(f"{path}: describes {target}; OFA's codes are those of a GumbelVQ (vqgan_gumbel_f8)")
    for name, value in {"z_channels": values["code_dim"], "in_channels": 3, "out_ch": 3, "double_z": False}.items():
        if shape.get(name, value) != value:
            raise OFAError(f"{path}: ddconfig.{name} must be {value}, got {shape[name]}")
    return VQGANConfig.from_dict(values)


def _check(state: dict[str, Tensor], wanted: dict[str, Tensor], path: Path) -> None:
    missing, unknown = sorted(wanted.keys() - state.keys()), sorted(state.keys() - wanted.keys())
    if missing:
        raise OFAError(f"{path} lacks '{missing[0]}' ({len(missing)} tensors in all) of the VQ-GAN that it describes")
    if unknown:
        raise OFAError(f"{path} holds '{unknown[0]}' ({len(unknown)} tensors in all), which the VQ-GAN does not have")
    for name, tensor in wanted.items():
        if state[name].shape != tensor.shape:
            found, described = tuple(state[name].shape), tuple(tensor.shape)
            raise OFAError(f"{path}: '{name}' is of shape {found}, its configuration says {described}")
