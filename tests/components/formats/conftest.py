"""Small data sets in the formats in which they are published, and tables built from all of them by the commands."""

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from ofa.checkpoint import save_folder
from ofa.model import OFAConfig, OFAModel
from ofa.text import Tokenizer
from pipelines.cli import app
from tests.components.formats.published import WRITERS


@pytest.fixture(scope="session")
def published(tmp_path_factory) -> Path:
    """A folder with a folder of each data set, which is called otherwise than the data set."""
    folder = tmp_path_factory.mktemp("published")
    for name, make in WRITERS.items():
        make(folder / f"my_{name}")
    return folder


@pytest.fixture(scope="session")
def ofa():
    """A function that runs a command of the program and gives what it printed."""

    def run(*arguments: str) -> str:
        done = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert done.exit_code == 0, (done.output, done.exception)
        return done.output

    return run


@pytest.fixture(scope="session")
def built(published, ofa, tmp_path_factory) -> Path:
    """A workplace in which the raw data were fetched, validated and made into tables."""
    folder = tmp_path_factory.mktemp("work")
    sources = [f"--source={name}={published / f'my_{name}'}" for name in WRITERS]
    params = folder / "params.yaml"
    params.write_text(yaml.safe_dump({"validate": {"image_rate": 1.0}, "tables": {"processes": 1}}))
    ofa("data", "fetch", *sources, "--out", folder / "raw", "--params", params)
    ofa("data", "validate", "--raw", folder / "raw", "--out", folder / "validated", "--params", params)
    build = ["--raw", folder / "raw", "--validated", folder / "validated", "--out", folder / "tables"]
    ofa("data", "build", *build, "--params", params)
    return folder


@pytest.fixture(scope="session")
def start(tmp_path_factory) -> Path:
    """The folder of a small network with random weights."""
    return _network(tmp_path_factory.mktemp("start"))


@pytest.fixture(scope="session")
def start_chinese(tmp_path_factory) -> Path:
    """The same with the Chinese vocabulary."""
    return _network(tmp_path_factory.mktemp("start_chinese"), vocabulary_size=Tokenizer.chinese().size)


def _network(folder: Path, **fields) -> Path:
    save_folder(folder, OFAModel(OFAConfig.preset("nano", d_model=32, ffn_dim=64, **fields)))
    return folder
