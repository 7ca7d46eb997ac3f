"""The pretraining step: one network, all tasks."""

import dataclasses
from pathlib import Path

import torch

from components.tables import open_table
from components.train.run import deliver, fit
from components.train.settings import ModelSettings, PretrainSection, finetune_section, train_config
from components.train.vocabulary import used_ids
from ofa.checkpoint import load_folder
from ofa.model import OFAConfig, OFAModel
from ofa.settings import load_yaml, section
from ofa.tasks import create
from ofa.tasks.boxes import BoxSettings
from ofa.tasks.pretrain import TASKS, PretrainSettings, sources
from ofa.text import Tokenizer
from ofa.train.loop import TrainResult


def pretrain(
    tables: str = "data/tables",
    out: str = "models/pretrain",
    work: str = "runs/pretrain",
    stem: str = "",
    params: str = "params.yaml",
) -> TrainResult:
    """Pretrain a network on the mixture of the pretraining tables.

    Args:
        tables: folder of tables, as `ofa data build` makes it.
        out: folder for the network.
        work: folder for checkpoints and curves; a run that was interrupted there goes on.
        stem: folder with a network whose encoder to start from; empty starts from random weights.
        params: file with the sections `model`, `train` and `pretrain`.

    Raises:
        OFAError: a table or a setting cannot be used.
        Preempted: stopped on request; started again, it goes on.
    """
    model = section(params, "model", ModelSettings)
    settings = section(params, "pretrain", PretrainSection)
    config = train_config(params, settings.train, "pretrain")
    tasks = settings.tasks
    if tasks.vision_language.negatives is None:
        negatives = dataclasses.replace(tasks.vision_language, negatives=str(Path(tables) / "negatives"))
        tasks = dataclasses.replace(tasks, vision_language=negatives)
    opened = {kind: open_table(tables, TASKS[kind], "train") for kind in settings.tables}
    mixture = sources(opened, tasks)
    overrides = dict(model.overrides)
    if model.restrict_output:
        overrides["output_ids"] = used_ids(_all_tables(mixture, tables, params))
    with torch.random.fork_rng():
        torch.manual_seed(model.seed)
        net = OFAModel(OFAConfig.preset(model.size, **overrides))
    if model.smooth_bins:
        smooth_bins(net, tasks.vision_language, model.smooth_bins)
    if stem:
        _start_from_stem(net, stem)
    result = fit(
        "pretrain",
        net,
        mixture,
        config,
        work,
        {"model": model, "pretrain": settings, "stem": stem},
        workers=settings.workers,
        max_bad_rows=settings.max_bad_rows,
    )
    deliver(net, out, _known_tasks(tasks), {"Training": {"stage": "pretrain", "steps": result.steps}})
    return result


def smooth_bins(net: OFAModel, settings: BoxSettings, width: float) -> None:
    """Filter the rows of the coordinate bins along the coordinate with a Gaussian, keeping their mean norm."""
    first = Tokenizer.english().bin_offset
    rows = net.embed_tokens.weight.data[first : first + settings.num_bins]
    numbers = torch.arange(len(rows), dtype=rows.dtype)
    kernel = torch.exp(-((numbers[:, None] - numbers) ** 2) / (2 * width**2))
    smooth = kernel @ rows
    rows.copy_(smooth * (rows.norm() / smooth.norm()))


def _start_from_stem(net: OFAModel, folder: str) -> None:
    _, state = load_folder(folder)
    prefix = "encoder."
    net.encoder.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})


def _all_tables(mixture: list, tables: str, params: str) -> list:
    """The mixture's tables and those that finetuning will use, with their tasks."""
    pairs = [(source.table, source.task) for source in mixture]
    for name in load_yaml(params).get("finetune") or {}:
        task = finetune_section(params, name).make_task(name, tables)
        pairs.append((open_table(tables, task, "train"), task))
    return pairs


def _known_tasks(settings: PretrainSettings) -> dict:
    """The tasks that a pretrained network can be asked for, as it was trained on them."""
    shared = settings.vision_language
    size = {"patch_image_size": shared.patch_image_size, "language": shared.language}
    return {
        "caption": create("caption", size),
        "vqa": create("vqa", size | {"add_object": False, "prompt_type": "none"}),
        "refcoco": create("refcoco", size | {"num_bins": shared.num_bins, "max_image_size": shared.max_image_size}),
        "detection": create("detection", settings.detection),
    }
