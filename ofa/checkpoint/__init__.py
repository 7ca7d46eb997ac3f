"""Networks on disk: our folder format and the original's files."""

from pathlib import Path
from typing import Any

from ofa.checkpoint.fairseq import load_fairseq
from ofa.checkpoint.folder import load_folder, save_folder
from ofa.model import OFAModel

__all__ = ["load", "load_fairseq", "load_folder", "save_folder"]


def load(path: str | Path, **overrides: Any) -> OFAModel:
    """The network in evaluation mode from a folder of ours or a file of the original, some fields changed."""
    config, state = (load_folder if Path(path).is_dir() else load_fairseq)(path, **overrides)
    net = OFAModel(config)
    net.load_state_dict(state)
    return net.eval()
