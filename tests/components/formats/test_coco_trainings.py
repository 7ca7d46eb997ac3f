"""Captions, grounding, question answering and pretraining from COCO's files to scores, by the commands."""

import json

import pytest
import torch
import yaml

from components.preprocess.layout import RawData
from ofa.checkpoint.vqgan import save_vqgan
from ofa.model.vqgan import VQGAN, VQGANConfig
from tests.components.formats.coco import write_coco
from tests.components.formats.workplace import evaluate, train

SIZE = {"patch_image_size": 64}
BOXES = SIZE | {"num_bins": 16, "max_image_size": 64}
SHORT = ("--search", "beam=2", "--search", "max_len_b=6")


@pytest.fixture(scope="module")
def coco(ofa, tmp_path_factory):
    """A workplace with the tables of all files."""
    folder = tmp_path_factory.mktemp("coco")
    write_coco(folder / "published")
    params = folder / "params.yaml"
    params.write_text("tables: {processes: 1, answer_splits: [train, val]}\n")
    ofa("data", "fetch", "--source", folder / "published", "--out", folder / "raw", "--params", params)
    ofa("data", "build", "--raw", folder / "raw", "--validated", "", "--out", folder / "tables", "--params", params)
    return folder


@pytest.fixture(autouse=True)
def workplace(coco, monkeypatch):
    monkeypatch.chdir(coco)


def test_the_splits_are_those_of_the_data_sets(coco):
    statistics = json.loads((coco / "tables" / "statistics.json").read_text())["tables"]
    rows = {name: content["statistics"]["rows"] for name, content in statistics.items()}
    assert {name: count for name, count in rows.items() if name.startswith(("caption", "ref", "vqa"))} == {
        **{"caption_train": 24, "caption_val": 3, "caption_test": 3},
        **{"refcoco_train": 10, "refcoco_val": 6, "refcoco_testA": 4, "refcoco_testB": 4},
        **{"refcocoplus_train": 10, "refcocoplus_val": 6, "refcocoplus_testA": 4, "refcocoplus_testB": 4},
        **{"refcocog_train": 12, "refcocog_val": 6, "refcocog_test": 6},
        **{"vqa_train": 24, "vqa_val": 12},
    }
    assert json.loads((coco / "tables" / "answers.json").read_text()) == ["yes", "blue", "green", "red"]


def test_captions_by_cross_entropy_and_then_by_reward(ofa, start):
    train(ofa, start, "caption", settings=SIZE)
    train(ofa, "models/caption", "caption", out="models/stage2", settings=SIZE | {"scst": True})
    evaluation, rows = evaluate(ofa, "caption", "test", "--checkpoint", "models/stage2", "--skip", "METEOR", *SHORT)
    assert {"Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4", "ROUGE_L", "CIDEr"} <= evaluation["scores"].keys()
    assert [row["image_id"] for row in rows] == ["104", "105", "106"]
    assert rows[0]["references"] == ["a square on blue ground.", "some blue picture, with a box"]


def test_regions_of_three_data_sets(ofa, start):
    train(ofa, start, "refcoco", settings=BOXES)
    for table, split, count in (
        ("refcoco", "val", 6),
        ("refcoco", "testA", 4),
        ("refcoco", "testB", 4),
        ("refcocoplus", "testA", 4),
        ("refcocog", "test", 6),
    ):
        evaluation, rows = evaluate(ofa, "refcoco", split, "--name", table, "--search", "beam=2")
        assert evaluation["rows"] == count and 0 <= evaluation["scores"]["Acc@0.5"] <= 1
        assert "constant_box" in evaluation["baseline"]
        assert rows[0]["references"] == [[10, 8, 40, 28]]


def test_questions_answered_in_three_ways(ofa, start):
    train(ofa, start, "vqa", settings=SIZE | {"answers_file": "answers.json", "add_object": False})
    for inference in ("beam", "all_candidates", "open"):
        evaluation, rows = evaluate(ofa, "vqa", "val", "--setting", f"inference={inference}", *SHORT)
        assert {"accuracy", "yes/no", "other"} <= evaluation["scores"].keys()
        assert rows[0]["references"] == {"blue": 1.0, "no": 0.3} and rows[1]["references"]["yes"] == 1.0
        if inference != "open":
            assert {row["prediction"] for row in rows} <= {"yes", "blue", "green", "red"}


def test_pretraining_tables_have_a_loss_and_scores(ofa):
    torch.manual_seed(0)
    save_vqgan("vqgan", VQGAN(VQGANConfig.preset("nano", channels=8, code_dim=8, codes=64)))
    ofa(
        "data",
        "codes",
        "--vqgan",
        "vqgan",
        "--image-size",
        "32",
        "--kind",
        "image",
        "--tables",
        "tables",
        "--out",
        "tables",
    )
    tasks = {"vision_language": BOXES | {"augment": False}, "detection": BOXES | {"augment": False}}
    tasks["image"] = {"patch_image_size": 32}
    section = {"tables": ["vision_language", "detection", "text", "image"], "workers": 0, "tasks": tasks}
    steps = {"steps": 2, "batch_size": 12, "precision": "fp32", "device": "cpu"}
    network = {"overrides": {"d_model": 32, "ffn_dim": 64}}
    with open("pretrain.yaml", "w", encoding="utf-8") as file:
        yaml.safe_dump({"model": network, "train": steps, "pretrain": section}, file)
    ofa("train", "pretrain", "--tables", "tables", "--params", "pretrain.yaml")
    expected = {
        "vision_language": {"matching/accuracy", "qa/accuracy", "caption/CIDEr", "loss"},
        "detection": {"F1@0.5", "loss"},
        "text_infilling": {"exact_match", "loss"},
        "image_infilling": {"accuracy", "loss"},
    }
    for task, scores in expected.items():
        evaluation, rows = evaluate(ofa, task, "train", "--checkpoint", "models/pretrain", *SHORT)
        assert scores <= evaluation["scores"].keys()
        assert evaluation["scores"]["loss"] == pytest.approx(sum(row["loss"] for row in rows) / len(rows))


def test_pictures_that_measure_are_not_pretrained_on(coco):
    tables = RawData(coco / "raw").tables
    measuring = {row["image_path"] for name in ("refcoco_testA", "refcocog_val") for row in tables[name].rows()}
    learned = {row["image_path"] for row in tables["vision_language_train"].rows()}
    assert measuring and learned and not measuring & learned
