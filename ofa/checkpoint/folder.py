"""Our own format: a folder with config.json, model.safetensors and a model card."""

import json
import logging
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ofa.data.files import atomic_write
from ofa.errors import OFAError
from ofa.model import OFAConfig, OFAModel

logger = logging.getLogger(__name__)

FORMAT = "ofa/1"
CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"


def save_folder(
    folder: str | Path, model: OFAModel | tuple[OFAConfig, dict[str, Tensor]], card: dict[str, Any] | None = None
) -> None:
    """Write a network.

    Args:
        folder: made if it is not there; its files are replaced one by one, each at once.
        model: the network, or its configuration and weights.
        card: headings and texts of the model card, in this order; a value may be a mapping, shown as a list.
    """
    config, state = (model.config, model.state_dict()) if isinstance(model, OFAModel) else model
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    with atomic_write(folder / WEIGHTS, "wb") as file:
        save_file(tensors, file.name, metadata={"format": "pt"})
    with atomic_write(folder / CONFIG) as file:
        json.dump({"format": FORMAT} | config.to_dict(), file, indent=2)
        file.write("\n")
    with atomic_write(folder / CARD) as file:
        file.write(model_card(config, card or {}))


def load_folder(folder: str | Path, **overrides: Any) -> tuple[OFAConfig, dict[str, Tensor]]:
    """Read what `save_folder` wrote: the configuration, with some fields changed, and the weights.

    Raises:
        OFAError: a file is missing or damaged, or the configuration has an unknown field.
    """
    folder = Path(folder)
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise OFAError(f"no network in {folder}: {name} is missing")
    try:
        values = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        state = load_file(folder / WEIGHTS)
    except (json.JSONDecodeError, SafetensorError) as error:
        raise OFAError(f"a file of the network in {folder} is damaged: {error}") from error
    if values.pop("format", None) != FORMAT:
        raise OFAError(f"{folder / CONFIG} is not of format '{FORMAT}'")
    logger.info("Loaded checkpoint %s", folder)
    return OFAConfig.from_dict(values | overrides), state


def model_card(config: OFAConfig, card: dict[str, Any]) -> str:
    """The model card in Markdown."""
    parts = ["---\nlicense: apache-2.0\nlibrary_name: ofa\n---\n\n# OFA network\n"]
    shape = {
        "width": config.d_model,
        "layers": f"{config.encoder_layers} + {config.decoder_layers}",
        "heads": f"{config.encoder_heads} + {config.decoder_heads}",
        "vocabulary": config.vocabulary_size,
    }
    for heading, content in ({"Network": shape} | card).items():
        if isinstance(content, dict):
            content = "\n".join(f"- {key}: {value}" for key, value in content.items())
        parts.append(f"## {heading}\n\n{content}\n")
    return "\n".join(parts)
