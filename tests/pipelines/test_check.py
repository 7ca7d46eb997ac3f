"""A wrong setting is found before anything runs: one line that names file, key and what was meant."""

import copy

import pytest
import yaml
from typer.testing import CliRunner

from components.params import SECTIONS, profile_file
from ofa import tasks
from ofa.settings import load_yaml
from pipelines.cli import app
from pipelines.commands.profile import overlay

WRONG = {
    "pretrian": ({}, "unknown section 'pretrian', did you mean 'pretrain'?"),
    "fetch.sourcee": ("x", "fetch: unknown key 'sourcee', did you mean 'source'?"),
    "fetch.scenes.kindz": (3, "fetch.scenes: unknown key 'kindz', did you mean 'kinds'?"),
    "fetch.scenes.kinds": ("many", "fetch.scenes.kinds: Input should be a valid integer"),
    "fetch.scenes.train": (-1, "fetch.scenes: train is -1; it must be at least 0"),
    "fetch": (5, "fetch: expected keys and values, found 5"),
    "validate.image_rat": (1, "validate: unknown key 'image_rat', did you mean 'image_rate'?"),
    "tables.captions_per_imag": (1, "tables: unknown key 'captions_per_imag', did you mean 'captions_per_image'?"),
    "tables.max_bad_rows": ("none", "tables.max_bad_rows: Input should be a valid integer"),
    "codes.image_sise": (64, "codes: unknown key 'image_sise', did you mean 'image_size'?"),
    "vqgan.siz": ("nano", "vqgan: unknown key 'siz', did you mean 'size'?"),
    "vqgan.overrides": ({"codez": 9}, "no field 'codez', did you mean 'codes'?"),
    "vqgan.table": ("caption_train", "no kind of table with pictures 'caption_train', did you mean 'caption'?"),
    "vqgan.coding.temperature": ([1.0, 0.0], "vqgan: temperature must be two numbers above 0, got (1.0, 0.0)"),
    "model.siz": ("nano", "model: unknown key 'siz', did you mean 'size'?"),
    "model.size": ("nan0", "model: no network size 'nan0', did you mean 'nano'?"),
    "model.overrides": ({"dropuot": 0.1}, "no field 'dropuot', did you mean 'dropout'?"),
    "train.lrr": (1, "train: unknown key 'lrr', did you mean 'lr'?"),
    "train.lr": ("high", "train.lr: Input should be a valid number"),
    "train.precision": ("fp17", "train.precision: Input should be 'fp32' or 'bf16'"),
    "train": (5, "train: expected keys and values, found 5"),
    "stem.workerz": (1, "stem: unknown key 'workerz', did you mean 'workers'?"),
    "stem.train.stepz": (1, "stem.train: unknown key 'stepz', did you mean 'steps'?"),
    "stem.patch_image_size": (100, "stem: patch_image_size must be a multiple of 16, got 100"),
    "pretrain.tables": (
        ["detecton"],
        "tables: pretraining has no table 'detecton', did you mean 'detection'?",
    ),
    "pretrain.tasks.weights.detecton": (1.0, "weights: no table 'detecton', did you mean 'detection'?"),
    "pretrain.tasks.blocks.detecton": (2, "blocks: no table 'detecton', did you mean 'detection'?"),
    "pretrain.tasks.detection.num_binz": (
        2,
        "tasks.detection: unknown key 'num_binz', did you mean 'num_bins'?",
    ),
    "finetune.vqa.setting": ({}, "finetune.vqa: unknown key 'setting', did you mean 'settings'?"),
    "finetune.vqa.settings.prompt": (
        "none",
        "vqa.settings: unknown key 'prompt', did you mean 'prompt_type'?",
    ),
    "finetune.vqa.train.lr": (-1, "finetune.vqa.train: lr must be positive, got -1"),
    "finetune.captoin": ({}, "finetune.captoin: no task 'captoin', did you mean 'caption'?"),
    "evaluate.batch_sizes": (1, "evaluate: unknown key 'batch_sizes', did you mean 'batch_size'?"),
    "evaluate.search": ({"captoin": {}}, "evaluate: no task 'captoin', did you mean 'caption'?"),
    "evaluate.search.vqa": ({"beem": 1}, "evaluate.search.vqa: unknown key 'beem', did you mean 'beam'?"),
    "evaluate.search.refcoco": ({"beem": 1}, "evaluate.search.refcoco: unknown key 'beem', did you mean 'beam'?"),
    "gate.max_latency": (1, "gate: unknown key 'max_latency', did you mean 'max_latency_ms'?"),
    "gate.tasks.captoin": ({"floor": 1}, "gate.tasks: no task 'captoin', did you mean 'caption'?"),
    "cluster.shardz": (1, "cluster: unknown key 'shardz', did you mean 'shards'?"),
    "cluster.shards": (0, "cluster: shards is 0; it must be at least 1"),
    "gate.tasks.vqa.flor": (1, "gate.tasks.vqa: unknown key 'flor', did you mean 'floor'?"),
}


@pytest.fixture(scope="module")
def params(root):
    return load_yaml(root / "params.yaml")


def run(path, values):
    path.write_text(yaml.safe_dump(values))
    return CliRunner().invoke(app, ["check", "--params", str(path)])


@pytest.mark.parametrize("key", WRONG)
def test_one_line_names_the_key(tmp_path, params, key):
    value, reason = WRONG[key]
    values = place = copy.deepcopy(params)
    *outer, last = key.split(".")
    for name in outer:
        place = place.setdefault(name, {})
    place[last] = value
    result = run(tmp_path / "params.yaml", values)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: {tmp_path}") and reason in result.stderr, result.stderr
    assert result.stderr.count("\n") == 1


def test_the_search_of_every_task_may_be_changed(tmp_path, params):
    values = copy.deepcopy(params) | {"evaluate": {"search": {name: {"beam": 1} for name in tasks.names()}}}
    result = run(tmp_path / "params.yaml", values)
    assert result.exit_code == 0, result.output


def test_every_section_is_looked_at():
    assert {key.split(".")[0] for key in WRONG} >= set(SECTIONS) - {"serve"}


def test_what_other_settings_left_for_the_gate_is_named(tmp_path, params, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evaluations/test/caption").mkdir(parents=True)
    assert run(tmp_path / "params.yaml", params).exit_code == 0
    (tmp_path / "evaluations/test/caption_zh").mkdir()
    result = run(tmp_path / "params.yaml", params)
    assert result.exit_code == 1 and "evaluations/test/caption_zh: evaluated by other settings" in result.stderr


@pytest.mark.parametrize("profile", ["", "smoke", "full"])
def test_the_settings_of_the_project_are_right(tmp_path, root, params, monkeypatch, profile):
    monkeypatch.chdir(root)
    values = copy.deepcopy(params)
    if profile:
        overlay(values, load_yaml(profile_file(profile)), profile)
    result = run(tmp_path / "params.yaml", values)
    assert result.exit_code == 0 and "gate, " in result.stdout
