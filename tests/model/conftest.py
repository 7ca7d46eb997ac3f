"""The recorded network of the original and its recorded inputs."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ofa.checkpoint import load_fairseq
from ofa.model import OFAConfig, OFAModel


@pytest.fixture(scope="session")
def recorded(golden: Path) -> tuple[OFAConfig, dict[str, Tensor]]:
    """Configuration and weights of the original's recorded network."""
    return load_fairseq(golden / "ofa_micro_random.pt")


@pytest.fixture(scope="session")
def build(recorded: tuple[OFAConfig, dict[str, Tensor]]) -> Callable[..., OFAModel]:
    """Makes the recorded network in evaluation mode, with some fields changed and some tensors added."""

    def make(added: dict[str, Tensor] | None = None, **changes: object) -> OFAModel:
        config, state = recorded
        net = OFAModel(OFAConfig.from_dict(config.to_dict() | changes))
        state = {name: value for name, value in state.items() if name in net.state_dict()}
        net.load_state_dict(state | (added or {}))
        return net.eval()

    return make


class Arrays:
    """Arrays of a recorded .npz file as tensors; half precision becomes float32, absent names None."""

    def __init__(self, path: Path) -> None:
        self.file = np.load(path)

    def __getitem__(self, name: str) -> Tensor | None:
        if name not in self.file.files:
            return None
        array = self.file[name]
        return torch.from_numpy(array.astype(np.float32) if array.dtype == np.float16 else array)

    def cases(self) -> list[str]:
        """First parts of the names."""
        return sorted({name.split("/")[0] for name in self.file.files if "/" in name})

    def inputs(self, case: str) -> dict[str, Tensor | None]:
        """The recorded arguments of a case under our names."""
        names = {
            "source_tokens": "src_tokens", "previous_tokens": "prev_output_tokens", "images": "patch_images",
            "image_mask": "patch_masks", "code_mask": "code_masks",
        }  # fmt: skip
        arguments = {ours: self[f"{case}/in/{theirs}"] for ours, theirs in names.items()}
        return arguments | {"patch_sample": self[f"{case}/patch_orders"]}


@pytest.fixture(scope="session")
def arrays(golden: Path) -> Callable[[str], Arrays]:
    """Opens a recorded .npz file by name."""
    return lambda name: Arrays(golden / name)
