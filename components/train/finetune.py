"""The finetuning step: the pretrained network on one task."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

from components.tables import open_table
from components.train.network import new_network
from components.train.run import deliver, fit, origin_of
from components.train.samples import SHOWN, Samples
from components.train.settings import finetune_section, train_config
from components.train.tracking import log_samples
from components.train.vocabulary import used_ids
from ofa import checkpoint
from ofa.checkpoint.vqgan import FOLDER
from ofa.data import Table
from ofa.data.batch import Sample, collate
from ofa.data.loading import BadRows
from ofa.data.mixing import Source
from ofa.data.remote import below, local_folder
from ofa.data.table import RowError
from ofa.errors import OFAError
from ofa.model import OFAModel
from ofa.tasks import Task
from ofa.tasks.caption import Caption
from ofa.train.cider import CiderD
from ofa.train.distributed import World
from ofa.train.loop import TrainResult, Validate
from ofa.train.preemption import Pause
from ofa.train.scst import Pictures, SelfCritical

VALIDATION_BATCH = 32


def finetune(
    name: str,
    tables: str = "data/tables",
    init: str = "models/pretrain",
    out: str = "",
    work: str = "",
    params: str = "params.yaml",
) -> TrainResult:
    """Train a network on one task.

    Args:
        name: key of the section `finetune`.
        tables: folder of tables, as `ofa data build` makes it.
        init: the network to start from: a folder of ours or a `.pt` file of the original; empty: random weights, of
            the section `model`.
        out: folder for the network; empty: models/NAME. The VQ-GAN of tables of codes goes with it.
        work: folder for checkpoints and curves; a run that was interrupted there goes on. Empty: runs/NAME.
        params: file with the sections `train` and `finetune`, and `model` without `init`.

    Raises:
        OFAError: a table, a checkpoint or a setting cannot be used.
        Preempted: stopped on request; started again, it goes on.
    """
    settings = finetune_section(params, name)
    task = settings.make_task(name, tables)
    table: Sequence = open_table(tables, task, "train", settings.table)
    objective = None
    if isinstance(task, Caption) and task.settings.scst:
        table = Pictures(table)
        objective = SelfCritical(task, CiderD.from_corpus(table.references()).score)
    config = train_config(params, settings, f"finetune.{name}", len(table))
    validate, samples = None, Samples(log_samples)
    if settings.validation_rows:
        valid_table = open_table(tables, task, "val", settings.table)
        validate = validation(task, valid_table, settings.validation_rows, samples, settings.max_bad_rows)
    overrides = dict(settings.model)
    if settings.restrict_output:
        overrides["output_ids"] = used_ids([(table, task)])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)  # of prompts and adapters, which `init` lacks: a run that goes on starts alike
        net = checkpoint.load(init, **overrides) if init else new_network(params, **overrides)
    task.check_vocabulary(net.config.vocabulary_size)
    origin = origin_of(name, config, init, finetune=settings)
    result = fit(
        name,
        net,
        [Source(table=table, task=task, block=settings.block)],
        config,
        work or f"runs/{name}",
        {"finetune": settings, "init": init},
        step="finetune",
        workers=settings.workers,
        max_bad_rows=settings.max_bad_rows,
        pool=settings.pool,
        validate=validate,
        objective=objective,
        callbacks=[samples],
    )
    card = {"Training": {"stage": name, "steps": result.steps}, "Validation": result.metrics}
    vqgan = local_folder(below(tables, FOLDER))
    deliver(net, out or f"models/{name}", {task.name: task}, card, origin, vqgan if vqgan.is_dir() else None)
    return result


def validation(task: Task, table: Table, rows: int, samples: Samples, max_bad_rows: int = 0) -> Validate:
    """A function that measures a network on rows drawn once from a table, with greedy search; ranks share the work.

    Bad rows are reported and left out; it raises OFAError when all ranks together meet more than `max_bad_rows`, or
    nothing else.
    """
    order = list(range(len(table)))
    random.Random(0).shuffle(order)
    search = replace(task.search, beam=1)
    source = Source(table=table, task=task, train=False)
    bad_rows = BadRows(max_bad_rows)

    def measure(net: OFAModel, pause: Pause) -> Mapping[str, float]:
        device = next(net.parameters()).device
        world = World.connect(device.type)
        own = order[:rows][world.rank :: world.size]
        read, found, rejected = [], [], []
        rng = random.Random(0)
        for start in range(0, len(order[:rows][:: world.size]), VALIDATION_BATCH):  # rank 0 has most
            pause()
            numbers, made, errors = _good_rows(source, own[start : start + VALIDATION_BATCH], rng)
            rejected += errors
            if not made:
                continue
            batch = collate(made)
            with torch.inference_mode():
                predictions = task.predict(net, batch.to(device), search)
            read += numbers
            found += zip(predictions, batch.references, strict=True)
        if world.is_main and found:
            samples.keep([table[number] for number in read[:SHOWN]], *zip(*found[:SHOWN], strict=True))
        bad_rows.add(world.from_all(rejected), report=world.is_main)
        found = world.from_all(found)
        if not found:
            raise OFAError(f"{table.paths[0]}: none of the {len(order[:rows])} rows to validate on can be used")
        predictions, references = zip(*found, strict=True)
        return task.score(predictions, references)

    return measure


def _good_rows(
    source: Source, numbers: Sequence[int], rng: random.Random
) -> tuple[list[int], list[Sample], list[RowError]]:
    """For each sample its row, the samples of the rows that can be used, and what is wrong with the others."""
    source.ahead(numbers)
    rows, made, errors = [], [], []
    for number in numbers:
        try:
            samples = source.read(number, rng)
        except RowError as error:
            errors.append(error)
            continue
        made += samples
        rows += [number] * len(samples)
    return rows, made, errors
