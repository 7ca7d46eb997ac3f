"""Raw data of a few pictures, and functions that spoil them."""

import json
import shutil
from pathlib import Path

import pytest

from components.preprocess.fetch import fetch
from components.preprocess.manifest import NAME, describe

SCENES = {"train": 12, "val": 4, "test": 3, "test_pairs": 2}


@pytest.fixture(scope="session")
def raw(tmp_path_factory):
    """A folder of built-in raw data; not to be changed."""
    folder = tmp_path_factory.mktemp("data") / "raw"
    fetch(str(folder), scenes=SCENES)
    return folder


@pytest.fixture
def spoiled(raw, tmp_path):
    """A copy of the raw data that a test may change; `sign` makes the manifest true again."""
    return Path(shutil.copytree(raw, tmp_path / "spoiled"))


@pytest.fixture
def edit():
    """A function that passes the content of a JSON file to a function and writes back what that made of it."""

    def change(path, function):
        content = json.loads(path.read_text(encoding="utf-8"))
        function(content)
        path.write_text(json.dumps(content), encoding="utf-8")

    return change


@pytest.fixture
def sign():
    """A function that writes the manifest of a changed folder anew."""

    def write(folder):
        content = json.loads((folder / NAME).read_text(encoding="utf-8"))
        paths = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        content["files"] = describe(folder, [path for path in paths if path != NAME])
        (folder / NAME).write_text(json.dumps(content), encoding="utf-8")
        return str(folder)

    return write
