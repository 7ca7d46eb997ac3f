"""From pictures to painted pictures: VQ-GAN, codes, finetuning and painting follow each other."""

from pathlib import Path

import pytest
import torch
import yaml
from kfp import dsl

from components.evaluate.stage import evaluate_stage
from components.preprocess.codes import codes
from components.preprocess.kfp import code_images
from components.train.finetune import finetune
from components.train.kfp import train_vqgan
from components.train.settings import finetune_section
from components.train.vqgan import vqgan
from ofa import OFA
from ofa.checkpoint.vqgan import load_vqgan
from ofa.data import TABLES, Table
from ofa.settings import load_yaml
from ofa.text import Tokenizer


@pytest.fixture
def workplace(tmp_path, monkeypatch, root):
    """An empty folder with the smallest settings of the recipe `painting`."""
    values = load_yaml(root / "params/scenes/painting.yaml")
    values["vqgan"] = load_yaml(root / "params.yaml")["vqgan"]
    values["train"] |= {"precision": "fp32", "device": "cpu", "log_every": 1}
    for section in (values["vqgan"], values["finetune"]["image_gen"]):
        section |= {"workers": 0, "validation_rows": 2, "train": {"steps": 2, "batch_size": 4, "lr": 1e-3}}
    values["vqgan"] |= {"overrides": {"codes": 32}, "coding": {"image_size": 64}}
    values["finetune"]["image_gen"]["settings"] |= {"code_image_size": 64, "vqgan_codes": 32}
    values["finetune"]["image_gen"]["model"] = {"code_image_size": 64}
    values["evaluate"] = {
        "limit": 3,
        "latency_samples": 1,
        "device": "cpu",
        "resamples": 100,
        "search": {"image_gen": {"beam": 2}},
    }
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    return tmp_path


def test_the_steps_follow_each_other(workplace, small_tables):
    trained = vqgan(str(small_tables))
    assert set(trained.metrics) == {"psnr", "l1", "perplexity", "codes_used"} and trained.steps == 2
    net = load_vqgan("models/vqgan")

    made = codes("data/codes", str(small_tables), "models/vqgan", image_size=64, kinds=["image_gen"])
    assert made["image_gen_val.tsv"]["pictures"] == 8

    finetune("image_gen", "data/codes", init="")
    model = OFA.from_pretrained("models/image_gen", "cpu")
    assert torch.equal(model.vqgan.quantize.embed.weight, net.quantize.embed.weight)
    # The network can write the codes of its table and no others.
    tokens = Tokenizer.english()
    written = {
        int(i) - tokens.code_offset for i in model.net.config.output_ids if tokens.code_offset <= i < tokens.bin_offset
    }
    table = Table("data/codes/image_gen_train.tsv", TABLES["image_gen"])
    assert written == {int(code) for row in table for code in row["codes"].split()}

    (picture,) = model.paint("a cat and a dog", samples=2)
    assert picture.size == (64, 64)
    found = evaluate_stage("image_gen", tables="data/codes", split="test")
    assert found.rows == 3 and set(found.scores) == {"code_accuracy"} and "FID, IS" in found.skipped


def test_the_first_two_run_as_components(workplace, small_tables, kfp_here):
    settings = load_yaml("params.yaml")

    @dsl.pipeline
    def coding():
        tables = dsl.importer(artifact_uri=str(small_tables), artifact_class=dsl.Dataset).output
        sections = {name: settings[name] for name in ("train", "vqgan")}
        trained = train_vqgan(tables=tables, registry=f"sqlite:///{workplace}/mlflow.db", **sections)
        code_images(tables=tables, vqgan=trained.outputs["network"], image_size=64)

    coding()
    (network,), (made,) = kfp_here.glob("*/train-vqgan/network"), kfp_here.glob("*/code-images/codes")
    for name in codes("expected", str(small_tables), str(network), image_size=64):
        assert (made / name).read_bytes() == Path("expected", name).read_bytes()


def test_the_recipe_can_be_used(root):
    section = finetune_section(root / "params/scenes/painting.yaml", "image_gen")
    task = section.make_task("image_gen", "")
    assert task.settings.code_image_size == section.model["code_image_size"]
    coding = load_yaml(root / "params.yaml")
    assert coding["codes"]["image_size"] == coding["vqgan"]["coding"]["image_size"] == task.settings.code_image_size
    assert coding["vqgan"]["overrides"]["codes"] == task.settings.vqgan_codes
