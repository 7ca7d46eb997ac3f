"""Tables of a few built-in pictures, and the smallest settings that train on them."""

from pathlib import Path

import pytest
import yaml

from components.preprocess.fetch import fetch
from components.preprocess.tables import tables

BOXES = {"patch_image_size": 64, "num_bins": 16, "max_image_size": 64}
PARAMS = {
    "model": {"size": "nano", "restrict_output": True, "smooth_bins": 2.0},
    "train": {"steps": 3, "batch_size": 8, "lr": 1e-3, "precision": "fp32", "device": "cpu", "log_every": 1},
    "stem": {"patch_image_size": 64, "workers": 0},
    "pretrain": {
        "tables": ["vision_language", "detection"],
        "workers": 0,
        "tasks": {
            "vision_language": BOXES | {"augment": False},
            "detection": BOXES | {"augment": False},
            "weights": {"vision_language": 3.0, "detection": 1.0},
        },
    },
    "finetune": {
        "refcoco": {"settings": BOXES, "validation_rows": 8, "workers": 0},
        "vqa": {
            "settings": {
                "patch_image_size": 64,
                "answers_file": "answers.json",
                "add_object": False,
                "prompt_type": "none",
            },
            "validation_rows": 8,
            "workers": 0,
        },
    },
}


@pytest.fixture(scope="session")
def small_tables(tmp_path_factory) -> Path:
    """Tables of 24 training and 8 validation pictures."""
    folder = tmp_path_factory.mktemp("small")
    counts = {
        "train": 24,
        "val": 8,
        "test": 4,
        "test_pairs": 4,
        "kinds": 4,
        "unseen_pairs": 2,
        "sizes": [[64, 64], [80, 64]],
    }
    fetch(str(folder / "raw"), scenes=counts)
    tables(str(folder / "tables"), str(folder / "raw"), processes=1)
    return folder / "tables"


@pytest.fixture
def params(tmp_path) -> Path:
    """The settings as a file."""
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(PARAMS))
    return path
