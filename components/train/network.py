"""The network that training starts from."""

import dataclasses
import logging
from pathlib import Path
from typing import Any

import torch

from components.params import section
from components.tables import negatives, open_table
from components.train.settings import ModelSettings, PretrainSection
from components.train.vocabulary import used_ids
from ofa import checkpoint
from ofa.model import OFAConfig, OFAModel
from ofa.tasks.pretrain import PretrainSettings, answering_tasks, make_tasks
from ofa.text import Tokenizer

logger = logging.getLogger(__name__)


def first_network(tables: str, params: str, init: str = "") -> OFAModel:
    """The network in `init`, a folder or a file of the original, with the section `model`'s overrides; or one with
    random weights.

    Args:
        tables: folder of tables: a restricted output covers their words.
        params: file with the sections `model` and `pretrain`.
        init: where to start from; empty, or nothing there: from scratch, which is logged.
    """
    model = section(params, "model", ModelSettings)
    if init and Path(init).exists():
        return checkpoint.load(init, **model.overrides)
    if init:
        logger.warning("no checkpoint at %s: training starts from scratch", init)
    pretraining = section(params, "pretrain", PretrainSection)
    settings = located_tasks(pretraining.tasks, tables)
    used = [*make_tasks(pretraining.tables, settings).values(), *answering_tasks(pretraining.tables, settings).values()]
    overrides = {"vocabulary_size": max(task.tokenizer.size for task in used)} | model.overrides
    if model.restrict_output:
        overrides["output_ids"] = used_ids((open_table(tables, task, "train"), task) for task in used)
    net = new_network(params, **overrides)
    if model.smooth_bins:
        tokenizer = Tokenizer.of_size(net.config.vocabulary_size)
        smooth_bins(net, tokenizer.bin_offset, settings.vision_language.num_bins, model.smooth_bins)
    return net


def new_network(params: str, **overrides: Any) -> OFAModel:
    """A network with random weights by the section `model`; `overrides` go before its own."""
    model = section(params, "model", ModelSettings)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(model.seed)
        return OFAModel(OFAConfig.preset(model.size, **model.overrides | overrides))


def located_tasks(tasks: PretrainSettings, tables: str) -> PretrainSettings:
    """The settings of pretraining with the negatives of the folder of tables, unless they name others."""
    shared = {kind: getattr(tasks, kind) for kind in ("vision_language", "vision_language_zh")}
    located = {
        kind: dataclasses.replace(settings, negatives=negatives(tables, settings.language))
        for kind, settings in shared.items()
        if settings.negatives is None
    }
    return dataclasses.replace(tasks, **located)


def smooth_bins(net: OFAModel, first: int, count: int, width: float) -> None:
    """Filter the rows of the coordinate bins along the coordinate with a Gaussian, keeping their mean norm."""
    rows = net.embed_tokens.weight.data[first : first + count]
    numbers = torch.arange(len(rows), dtype=rows.dtype)
    kernel = torch.exp(-((numbers[:, None] - numbers) ** 2) / (2 * width**2))
    smooth = kernel @ rows
    rows.copy_(smooth * (rows.norm() / smooth.norm()))
