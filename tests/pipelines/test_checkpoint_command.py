"""`ofa checkpoint` on the command line."""

import os

import pytest
import torch
from typer.testing import CliRunner

from ofa.checkpoint import save_folder
from ofa.model import OFAConfig, OFAModel
from pipelines.cli import app


@pytest.fixture
def folder(tmp_path):
    small = dict(vocabulary_size=50, encoder_layers=1, decoder_layers=1)
    save_folder(tmp_path / "net", OFAModel(OFAConfig.preset("tiny", **small)))
    return tmp_path / "net"


class Harm:
    def __reduce__(self):
        return os.mkdir, ("harmed",)


def run(*arguments):
    return CliRunner().invoke(app, ["checkpoint", *map(str, arguments)])


def test_conversion_says_what_was_loaded_and_leaves_no_difference(folder, tmp_path):
    original, port = tmp_path / "net.pt", tmp_path / "port"
    result = run("convert", folder, original, "--to", "fairseq")
    assert (result.exit_code, result.stdout) == (0, f"{folder} -> {original}\n")
    assert result.stderr == f"Loaded checkpoint {folder}\n"
    assert run("convert", original, port, "--to", "huggingface").exit_code == 0
    compared = run("diff", original, port)
    assert (compared.exit_code, compared.stdout) == (0, "no difference\n")


def test_differences_are_shown_and_end_with_1(folder, tmp_path):
    net = OFAModel(OFAConfig.preset("tiny", vocabulary_size=50, encoder_layers=1, decoder_layers=1, dropout=0.5))
    save_folder(tmp_path / "other", net)
    result = run("diff", folder, tmp_path / "other")
    assert result.exit_code == 1
    assert "dropout" in result.stdout and "embed_tokens.weight" in result.stdout
    assert result.stdout.splitlines()[-1].endswith("differences")


def test_inspection_tells_format_size_and_configuration(folder):
    result = run("inspect", folder)
    facts = dict(line.split(maxsplit=1) for line in result.stdout.splitlines() if len(line.split()) > 1)
    assert (facts["format"], facts["vocabulary"], facts["d_model"]) == ("folder", "of its own", "256")
    assert facts["tasks"] == "none"


def test_a_checkpoint_that_could_run_code_is_refused_by_name(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("convert", folder, tmp_path / "net.pt", "--to", "fairseq")
    saved = torch.load(tmp_path / "net.pt", weights_only=False)
    torch.save(saved | {"task_state": Harm()}, tmp_path / "bad.pt")
    result = run("convert", tmp_path / "bad.pt", tmp_path / "out")
    assert result.exit_code == 1
    assert "bad.pt names 'posix.mkdir'" in result.stderr
    assert not (tmp_path / "out").exists() and not (tmp_path / "harmed").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("inspect", "absent.pt"), "no checkpoint at absent.pt"),
        (("convert", "net", "x", "--to", "onnx"), "no format 'onnx'"),
        (("convert", "net", "x", "--ema"), "holds no moving average"),
    ],
    ids=lambda value: value[-1] if isinstance(value, tuple) else "",
)
def test_what_cannot_be_done_is_one_line(folder, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith("error: ") and message in result.stderr
    assert not (tmp_path / "x").exists()
