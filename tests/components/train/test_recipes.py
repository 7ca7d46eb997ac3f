"""The recipes of the original: their values, and that each of them trains."""

import re
from pathlib import Path

import mlflow
import pytest
import torch
import yaml
from typer.testing import CliRunner

from components.train.finetune import finetune
from components.train.settings import (
    ModelSettings,
    PretrainSection,
    finetune_section,
    only_task,
    train_config,
)
from ofa import checkpoint
from ofa.errors import OFAError
from ofa.model import OFAConfig, OFAModel
from ofa.settings import load_yaml, section
from ofa.tasks.base import Prediction
from ofa.tasks.boxes import Box, Region
from ofa.train.config import TrainConfig
from pipelines.cli import app

RECIPES = {path.stem: path for path in sorted(Path("params/recipes").resolve().glob("*.yaml"))}
FINETUNING = [name for name, path in RECIPES.items() if "finetune" in load_yaml(path)]
GLUE = {"cola": 32, "mnli": 128, "mrpc": 32, "qnli": 128, "qqp": 128, "rte": 32, "sst2": 64}
"""Rows of an update, GPUs x rows x the fewest parts that the original tries."""

# epochs (or steps), peak learning rate, rows of an update, warm-up (ratio or steps), label smoothing, drop path
ORIGINAL = {
    "caption_base_stage1": (5, 1e-5, 4 * 8 * 4, 0.06, 0.1, 0.1),
    "caption_large_stage1": (2, 1e-5, 4 * 8 * 4, 0.06, 0.1, 0.1),
    "caption_large_stage1_el": (2, 1e-5, 4 * 8 * 4, 0.06, 0.1, 0.1),
    "caption_base_stage2": (3, 1e-5, 8 * 2 * 4, 0.06, 0.0, 0.0),
    "caption_large_stage2": (3, 1e-5, 8 * 2 * 4, 0.06, 0.0, 0.0),
    "vqa_base": (15, 5e-5, 32 * 4 * 4, 0.04, 0.1, 0.1),
    "vqa_large": (40_000, 5e-5, 32 * 4 * 4, 1000, 0.1, 0.2),
    "refcoco_base": (10, 5e-5, 4 * 4 * 8, 0.06, 0.1, 0.1),
    "refcocoplus_base": (10, 5e-5, 4 * 4 * 8, 0.06, 0.1, 0.1),
    "refcocog_base": (12, 5e-5, 4 * 4 * 8, 0.06, 0.1, 0.1),
    "snli_ve_base": (5, 5e-5, 8 * 4 * 8, 0.06, 0.0, 0.1),
    "snli_ve_large": (6, 2e-5, 8 * 4 * 8, 0.06, 0.0, 0.2),
    "image_gen_large_stage1": (40_000, 1e-3, 32 * 4 * 4, 2000, 0.0, 0.1),
    "imagenet_large": (160_000, 5e-5, 16 * 4 * 4, 1000, 0.1, 0.1),
    "gigaword_large": (6, 1e-4, 4 * 64 * 2, 0.06, 0.1, 0.1),
}
ORIGINAL |= {
    f"{data}_large{loss}": (10, 3e-5, 4 * 4 * 8, 0.06, 0.1, 0.2)
    for data in ("refcoco", "refcocoplus", "refcocog")
    for loss in ("", "_el")
}
ORIGINAL |= {
    f"refcoco_large_{part}": (100, None, 8 * 16 * 8, 0.06, 0.1, 0.2) for part in ("prompt", "adapter", "bitfit")
}
ORIGINAL |= {f"{task}_large": (5, 3e-5, batch, 0.06, 0.0, 0.1) for task, batch in GLUE.items()}

# What else the scripts set; what is not named here has the value below, or the default of `TrainConfig`.
SETTINGS = {
    "caption": {"patch_image_size": 480, "max_tgt_length": 20},
    "vqa": {"patch_image_size": 480, "max_object_length": 30, "add_object": True, "prompt_type": "prev_output"},
    "refcoco": {"patch_image_size": 512, "max_image_size": 512, "num_bins": 1000},
    "snli_ve": {"patch_image_size": 480, "add_caption": True, "prompt_type": "prev_output"},
    "image_gen": {"code_image_size": 256, "max_src_length": 64},
    "image_classify": {"patch_image_size": 480},
    "gigaword": {"noise_ratio": 0.2, "max_src_length": 512},
} | {task: {"prompt_type": "src", "max_src_length": 512} for task in GLUE}
TRAIN = {
    "caption_base_stage1": {"drop_worst_ratio": 0.2, "drop_worst_after": 6000},
    "caption_large_stage1": {"drop_worst_ratio": 0.2, "drop_worst_after": 2500},
    "caption_large_stage1_el": {"drop_worst_ratio": 0.05, "drop_worst_after": 2500, "encouraging_log_end": 0.75},
    "caption_large_stage2": {"end_lr": 2e-7},
    "vqa_base": {"ema_decay": 0.9999},
    "vqa_large": {"ema_decay": 0.9999},
    "image_gen_large_stage1": {"allowed_range": (50265, 58457)},
} | {f"{data}_large_el": {"encouraging_log_end": 0.75} for data in ("refcoco", "refcocoplus", "refcocog")}
PARTS = {"caption": 4, "vqa": 4, "refcoco": 8, "snli_ve": 8, "image_gen": 4, "image_classify": 4, "gigaword": 2}
"""`accumulate`, by task."""
TUNED = {
    "refcoco_large_prompt": {"encoder_prompt_length": 100, "decoder_prompt_length": 100},
    "refcoco_large_adapter": {"adapter_dim": 100},
    "refcoco_large_bitfit": {"bitfit": True},
}

BOX = Box(1, 1, 2, 2)
TRUTHS = {
    "caption": ("a cat", ["a cat"]),
    "vqa": ("yes", {"yes": 1.0}),
    "refcoco": (BOX, Region((4, 4), BOX.xyxy, "cat")),
    "image_gen": ([1, 2], [1, 2]),
} | {task: ("yes", "yes") for task in ("snli_ve", "image_classify", "gigaword", *GLUE)}
"""Something that each task reads out, and the truth of it."""


@pytest.fixture
def answers(tmp_path):
    for name in ("answers", "labels"):
        (tmp_path / f"{name}.json").write_text('["yes", "no"]')
    return tmp_path


def test_there_is_a_recipe_for_each_script_of_the_original():
    assert set(FINETUNING) == set(ORIGINAL)
    assert set(RECIPES) - set(FINETUNING) == {"pretrain_base", "pretrain_large"}


@pytest.mark.parametrize("name", FINETUNING)
def test_a_recipe_has_the_original_values(name):
    settings = finetune_section(RECIPES[name], only_task(RECIPES[name]))
    config = train_config(RECIPES[name], settings, name, rows=100_000)
    length, lr, batch, warmup, smoothing, drop_path = ORIGINAL[name]
    assert (settings.epochs or config.steps) == length
    assert lr is None or config.lr == lr
    assert config.batch_size == batch
    assert (config.warmup_ratio if config.warmup_steps is None else config.warmup_steps) == warmup
    assert config.label_smoothing == smoothing
    assert settings.model["encoder_drop_path"] == settings.model["decoder_drop_path"] == drop_path
    assert (config.betas, config.eps, config.weight_decay, config.clip_norm) == ((0.9, 0.999), 1e-8, 0.01, 1.0)
    assert (config.schedule, config.power) == ("polynomial", 1.0)
    frozen = name.startswith(("caption", "vqa", "imagenet"))
    assert settings.model.get("freeze_embeddings", False) == frozen


@pytest.mark.parametrize("name", FINETUNING)
def test_a_recipe_has_the_original_switches(name, answers):
    key = only_task(RECIPES[name])
    settings = finetune_section(RECIPES[name], key)
    task = settings.make_task(key, answers)
    config = train_config(RECIPES[name], settings, name, rows=100_000)
    switches = ("drop_worst_ratio", "drop_worst_after", "encouraging_log_end", "end_lr", "ema_decay", "allowed_range")
    switches += ("rdrop_alpha", "sentence_average", "group_average")
    expected = {switch: getattr(TrainConfig, switch) for switch in switches} | TRAIN.get(name, {})
    assert {switch: getattr(config, switch) for switch in switches} == expected
    if task.name in PARTS:
        assert config.accumulate == PARTS[task.name]
    wanted = SETTINGS[task.name] | ({"patch_image_size": 480} if name in TUNED else {})
    assert {field: getattr(task.settings, field) for field in wanted} == wanted
    assert getattr(task.settings, "scst", False) == name.endswith("stage2")
    assert settings.model["dropout"] == (0.0 if name.endswith("stage2") else 0.1)
    tuned = {"encoder_prompt_length", "decoder_prompt_length", "adapter_dim", "bitfit"} & settings.model.keys()
    assert {field: settings.model[field] for field in tuned} == TUNED.get(name, {})


@pytest.mark.parametrize("name", FINETUNING)
def test_a_recipe_fits_its_task_and_the_network(name, answers):
    key = only_task(RECIPES[name])
    settings = finetune_section(RECIPES[name], key)
    task = settings.make_task(key, answers)
    OFAModel(OFAConfig.preset("nano", **settings.model))
    config = train_config(RECIPES[name], settings, name, rows=100_000)
    value, truth = TRUTHS[task.name]
    measured = task.score([Prediction("id", value, 0.0)], [truth])
    assert config.best_metric in measured or not settings.validation_rows


@pytest.mark.parametrize("size", ["base", "large"])
def test_the_recipes_of_pretraining_have_the_original_values(size):
    path = RECIPES[f"pretrain_{size}"]
    assert section(path, "model", ModelSettings).size == size
    settings = section(path, "pretrain", PretrainSection)
    config = train_config(path, settings, "pretrain", rows=12_000)
    assert config.steps == 50 * 1000
    assert (config.lr, config.warmup_ratio, config.clip_norm, config.label_smoothing) == (1e-4, 0.01, 5.0, 0.0)
    pictures = settings.tasks.vision_language
    assert (pictures.patch_image_size, pictures.sample_patch_num, pictures.max_image_size) == (384, 196, 512)
    assert settings.tasks.weights == {"vision_language": 8, "text": 2, "image": 1, "detection": 1}


def test_epochs_and_steps_exclude_each_other(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("finetune: {vqa: {epochs: 2, train: {steps: 5}}}\n")
    with pytest.raises(OFAError, match="finetune.vqa has both epochs and train.steps; keep one"):
        train_config(path, finetune_section(path, "vqa"), "finetune.vqa", rows=10)


def test_a_file_with_several_tasks_needs_a_name(root):
    with pytest.raises(OFAError, match=r"'finetune' has 4 keys \(caption, refcoco, vqa, region_caption\): name one"):
        only_task(root / "params.yaml")


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """The folder of a small network with random weights."""
    folder = tmp_path_factory.mktemp("start")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        checkpoint.save_folder(folder, OFAModel(OFAConfig.preset("nano")))
    return folder


def small(name: str, folder: Path) -> Path:
    """A recipe with the batches, pictures and tables of a test."""
    values = load_yaml(RECIPES[name])
    (settings,) = values["finetune"].values()
    settings["settings"] |= {"patch_image_size": 64}
    if "num_bins" in settings["settings"]:
        settings["settings"] |= {"max_image_size": 64, "num_bins": 16}
    del settings["epochs"]
    settings |= {"validation_rows": 8, "workers": 0}
    settings["train"] |= {"steps": 2, "batch_size": 8, "warmup_ratio": 0.0, "device": "cpu", "precision": "fp32"}
    settings["train"] |= {"drop_worst_after": 0, "accumulate": 2, "validate_every": 1}
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def trained(name: str, tables: Path, start: Path, folder: Path) -> tuple[dict, dict]:
    """The weights before and after a short run of a recipe."""
    path = small(name, folder)
    finetune(only_task(path), str(tables), str(start), f"{folder}/out", f"{folder}/work", str(path))
    return checkpoint.load_folder(start)[1], checkpoint.load_folder(folder / "out")[1]


def changed(before: dict, after: dict) -> set[str]:
    return {name for name in before.keys() & after.keys() if not torch.equal(before[name], after[name])}


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """MLflow's files go to the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["refcoco_large_prompt", "refcoco_large_adapter"])
def test_prompts_and_adapters_leave_the_network_as_it_was(workplace, small_tables, start, caplog, name):
    before, after = trained(name, small_tables, start, workplace)
    assert changed(before, after) == set()
    with torch.random.fork_rng():
        torch.manual_seed(1)
        _, again = trained(name, small_tables, start, workplace)
    assert "starts anew" not in caplog.text and changed(after, again) == set()
    assert all(key.endswith("num_batches_tracked") for key in before.keys() - after.keys())
    own = after.keys() - before.keys()
    assert own and all((".prompt." in key) or (".adapter." in key) for key in own)


def test_bitfit_changes_biases_alone(workplace, small_tables, start):
    before, after = trained("refcoco_large_bitfit", small_tables, start, workplace)
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    weights = {key for key in changed(before, after) if not key.endswith(statistics)}
    assert all(key.endswith(".bias") for key in weights)
    assert {f"{side}.layers.0.feed_forward.up.bias" for side in ("encoder", "decoder")} <= weights


@pytest.mark.parametrize("name", ["caption_base_stage1", "caption_base_stage2", "vqa_base"])
def test_frozen_embeddings_stay_and_the_rest_trains(workplace, small_tables, start, name):
    before, after = trained(name, small_tables, start, workplace)
    weights = changed(before, after)
    assert "embed_tokens.weight" not in weights
    assert {f"{side}.layers.0.feed_forward.up.weight" for side in ("encoder", "decoder")} <= weights


def test_a_recipe_starts_by_its_name(workplace, small_tables, start):
    (workplace / "params" / "recipes").mkdir(parents=True)
    small("refcoco_base", workplace / "params" / "recipes")
    command = ["train", "finetune", "--recipe", "refcoco_base", "--tables", str(small_tables), "--init", str(start)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "models/refcoco_base: 2 steps" in done.output
    assert checkpoint.load_folder("models/refcoco_base")[0].encoder_drop_path == 0.1
    kept, run = (
        mlflow.MlflowClient(),
        (workplace / "runs" / "refcoco_base" / "checkpoints" / "mlflow_run_id").read_text(),
    )
    assert [file.path for file in kept.list_artifacts(run)] == ["curves.png", "images"]
    sheets = {re.search(r"step.(\d+).", file.path)[1] for file in kept.list_artifacts(run, "images")}
    assert sheets == {"1", "2"}
    wrong = CliRunner().invoke(app, [*command[:2], "--recipe", "refcoco_bas"])
    assert wrong.exit_code == 1 and "did you mean 'refcoco_base'" in wrong.stderr
