"""Our own format: a folder with config.json, model.safetensors, tokenizer.json and a model card."""

import json
import logging
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ofa.checkpoint.fit import number_of_parameters, size_of
from ofa.errors import OFAError
from ofa.files import atomic_write
from ofa.model import OFAConfig, OFAModel
from ofa.text import Tokenizer

logger = logging.getLogger(__name__)

FORMAT = "ofa/1"
CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
TOKENIZER = "tokenizer.json"
"""What the rows of the token matrix stand for, for other programs; absent where the vocabulary is of its own."""


def save_folder(
    folder: str | Path, model: OFAModel | tuple[OFAConfig, Mapping[str, Tensor]], card: Mapping[str, Any] | None = None
) -> None:
    """Write a network.

    Args:
        folder: made if it is not there; its files are replaced one by one, each at once.
        model: the network, or its configuration and weights.
        card: headings and texts of the model card, in this order; a value may be a mapping, shown as a list.
    """
    config, state = (model.config, model.state_dict()) if isinstance(model, OFAModel) else model
    folder = Path(folder)
    write_weights(folder, state)
    write_config(folder, FORMAT, config.to_dict())
    tokenizer = Tokenizer.of_size(config.vocabulary_size)
    if tokenizer is not None:
        with atomic_write(folder / TOKENIZER) as file:
            file.write(tokenizer.to_json())
    with atomic_write(folder / CARD) as file:
        file.write(model_card(config, state, card or {}))


def load_folder(folder: str | Path, **overrides: Any) -> tuple[OFAConfig, dict[str, Tensor]]:
    """Read what `save_folder` wrote: the configuration, with some fields changed, and the weights.

    Raises:
        OFAError: a file is missing or damaged, or the configuration has an unknown field.
    """
    config = load_config(folder, **overrides)
    state = read_weights(folder)
    logger.info("Loaded checkpoint %s", folder)
    return config, state


def load_config(folder: str | Path, **overrides: Any) -> OFAConfig:
    """The configuration alone of what `save_folder` wrote, with some fields changed.

    Raises:
        OFAError: the file is missing or damaged, or has an unknown field.
    """
    return OFAConfig.from_dict(read_config(folder, FORMAT) | overrides)


def write_weights(folder: Path, state: dict[str, Tensor]) -> None:
    """Write model.safetensors; the folder is made if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    with atomic_write(folder / WEIGHTS, "wb") as file:
        save_file(tensors, file.name, metadata={"format": "pt"})
        # In the place of our file there is now one that nobody else may read and that may not be on the disk yet.
        os.chmod(file.name, stat.S_IMODE(os.fstat(file.fileno()).st_mode))
        with open(file.name, "rb") as written:
            os.fsync(written.fileno())


def read_weights(folder: str | Path) -> dict[str, Tensor]:
    """The tensors of model.safetensors.

    Raises:
        OFAError: the file is missing or damaged.
    """
    path = Path(folder) / WEIGHTS
    if not path.is_file():
        raise OFAError(f"no network in {folder}: {WEIGHTS} is missing")
    try:
        return load_file(path)
    except SafetensorError as error:
        raise OFAError(f"a file of the network in {folder} is damaged: {WEIGHTS}: {error}") from error


def write_config(folder: Path, format: str, values: dict[str, Any]) -> None:
    """Write config.json."""
    with atomic_write(folder / CONFIG) as file:
        json.dump({"format": format} | values, file, indent=2)
        file.write("\n")


def read_config(folder: str | Path, format: str) -> dict[str, Any]:
    """The values of config.json.

    Raises:
        OFAError: the file is missing, damaged or of another format.
    """
    path = Path(folder) / CONFIG
    if not path.is_file():
        raise OFAError(f"no network in {folder}: {CONFIG} is missing")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise OFAError(f"a file of the network in {folder} is damaged: {CONFIG}: {error}") from error
    if not isinstance(values, dict) or values.pop("format", None) != format:
        raise OFAError(f"{path} is not of format '{format}'")
    return values


def model_card(config: OFAConfig, state: Mapping[str, Tensor], card: Mapping[str, Any]) -> str:
    """The model card in Markdown: what the network is, how it is used, and the headings and texts of `card`."""
    tokenizer = Tokenizer.of_size(config.vocabulary_size)
    network = {
        "size": size_of(state) or "of its own",
        "parameters": f"{number_of_parameters(state):,}",
        "width": config.d_model,
        "layers": f"{config.encoder_layers} + {config.decoder_layers}",
        "heads": f"{config.encoder_heads} + {config.decoder_heads}",
        "blocks of the image stem": " + ".join(map(str, config.resnet_blocks)),
        "vocabulary": f"{config.vocabulary_size:,} rows" + (f", {tokenizer.name}" if tokenizer else ""),
    }
    use = '```python\nfrom ofa import OFA\n\nmodel = OFA.from_pretrained("path of this folder")\n```'
    parts = ["---\nlicense: apache-2.0\nlibrary_name: ofa\n---\n\n# OFA network\n"]
    for heading, content in ({"Network": network, "Use": use} | dict(card)).items():
        if isinstance(content, Mapping):
            content = "\n".join(f"- {key}: {value}" for key, value in content.items())
        parts.append(f"## {heading}\n\n{content}\n")
    return "\n".join(parts)
