"""`ofa paint`: a picture of each text, in a folder or as the file that was named."""

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from ofa import OFA
from ofa.model import OFAConfig, OFAModel
from ofa.model.vqgan import VQGAN, VQGANConfig
from ofa.text import Tokenizer
from pipelines.cli import app


@pytest.fixture
def model(tmp_path):
    tokens = Tokenizer.english()
    ids = tuple(sorted({0, 1, 2, 3, *(tokens.code(n) for n in range(8))}))
    torch.manual_seed(0)
    net = OFAModel(OFAConfig.preset("nano", d_model=32, ffn_dim=64, output_ids=ids, code_image_size=16))
    vqgan = VQGAN(VQGANConfig.preset("nano", channels=8, code_dim=8, codes=8)).eval()
    OFA(net, {"image_gen": {"code_image_size": 16}}, "cpu", vqgan).save_pretrained(tmp_path / "net")
    return str(tmp_path / "net")


def paint(*arguments):
    return CliRunner().invoke(app, ["paint", *map(str, arguments), "--samples", "3", "--device", "cpu"])


def test_texts_become_pictures(tmp_path, model):
    done = paint("a cat", "A dog", "--checkpoint", model, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [f"{tmp_path}/out/1.png: a cat", f"{tmp_path}/out/2.png: A dog"]
    expected = OFA.from_pretrained(model, "cpu").paint(["a cat"], samples=3)[0]
    assert Image.open(tmp_path / "out" / "1.png").tobytes() == expected.tobytes()


def test_one_text_may_name_its_file_and_another_seed_draws_anew(tmp_path, model):
    for seed in (0, 1):
        assert paint("a cat", "--checkpoint", model, "--out", tmp_path / f"{seed}.png", "--seed", seed).exit_code == 0
    first, second = (Image.open(tmp_path / f"{seed}.png") for seed in (0, 1))
    assert first.size == (16, 16) and first.tobytes() != second.tobytes()
    failed = paint("a", "b", "--checkpoint", model, "--out", tmp_path / "x.png")
    assert failed.exit_code == 1 and "one file for 2 texts; name a folder with --out" in failed.stderr


def test_without_a_vqgan_it_says_what_is_missing(tmp_path, model):
    OFA(OFA.from_pretrained(model, "cpu").net, device="cpu").save_pretrained(tmp_path / "bare")
    failed = paint("a cat", "--checkpoint", tmp_path / "bare", "--out", tmp_path / "x.png")
    assert failed.exit_code == 1 and "painting needs the VQ-GAN" in failed.stderr
