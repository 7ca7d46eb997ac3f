"""Dense pretraining of the encoder: which object covers each cell of the grid, where its box is, and which one a text
means.

The original's ResNet starts from ImageNet weights, and its transformer sees millions of pictures. A network that is
trained from nothing on a small set of pictures learns to see, and to bind words to what it sees, in minutes with this
objective, which tells it about every cell, and not within hours without it. The head is thrown away afterwards.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ofa.data.mixing import Source, Stream
from ofa.data.ordered import Ordered
from ofa.data.table import RowError
from ofa.errors import OFAError
from ofa.model import OFAModel
from ofa.train.compact import CompactVocabulary
from ofa.train.config import TrainConfig
from ofa.train.distributed import World
from ofa.train.loop import Callback, TrainResult, train
from ofa.train.stem.cells import STRIDE
from ofa.train.stem.network import StemLoss, StemNetwork, measure_objects, measure_regions
from ofa.train.stem.samples import ObjectCells, RegionCells, object_kinds

Table = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class StemTables:
    """The tables of one split."""

    objects: Table
    """Rows of detection."""
    regions: Table | None = None
    """Rows of visual grounding; without them the encoder learns nothing of texts."""


def pretrain_stem(
    net: OFAModel,
    tables: StemTables,
    config: TrainConfig,
    out_dir: str | Path,
    callbacks: Sequence[Callback] = (),
    *,
    image_size: int,
    regions: float = 0.75,
    block: int = 1,
    valid: StemTables | None = None,
    valid_rows: int = 1000,
    workers: int = 0,
    max_bad_rows: int = 0,
    report: Callable[[RowError], None] | None = None,
    identity: Mapping[str, Any] | None = None,
    restart: bool = False,
    world: World | None = None,
) -> TrainResult:
    """Train the encoder and the token matrix of `net` in place; the decoder stays as it is.

    Args:
        net: the network.
        tables: to learn from.
        config: settings; the fields about token losses have no meaning here.
        out_dir, callbacks, identity, restart, world: see `ofa.train.loop.train`.
        image_size: side in pixels that pictures are resized to, a multiple of 16; that of the training after this one.
        regions: share of rows of visual grounding in a batch.
        block: rows of visual grounding that are read together, see `ofa.data.mixing.Source`.
        valid: to measure `object_accuracy`, `cell_accuracy`, `box_iou` and `region_acc@0.5` on.
        valid_rows: the first so many rows of each table.
        workers, max_bad_rows, report: see `ofa.data.mixing.Stream`.

    Raises:
        OFAError: as `train`; also when the table holds no object.
    """
    if image_size % STRIDE:
        raise OFAError(f"image_size {image_size} must be a multiple of {STRIDE}")
    world = world or World.connect(config.device)
    kinds = object_kinds(tables.objects)
    tasks = ObjectCells(kinds, image_size), RegionCells(image_size)
    names = [tasks[1].task.encode(f" {kind}") for kind in kinds]
    compact = CompactVocabulary.of(net)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        whole = stem = StemNetwork(net, names)
        if compact is not None:
            stem = StemNetwork(compact.net, [compact.column[name] for name in names])
            whole.head = stem.head
    stream = Stream(
        _sources(tables, tasks, regions, block),
        config.batch_size // config.accumulate,
        config.seed,
        world.rank,
        world.size,
        workers,
        max_bad_rows,
        report,
    )

    def validate(_: nn.Module) -> dict[str, float]:
        metrics = {}
        sources = _sources(valid, tasks, regions, 1)
        for source, measure in zip(sources, (measure_objects, measure_regions), strict=False):
            rows = Ordered(source, config.batch_size, limit=valid_rows, max_bad_rows=max_bad_rows)
            metrics |= measure(whole.eval(), rows, world.device)
        return metrics

    result = train(
        stem,
        stream if compact is None else compact.stream(stream),
        config,
        out_dir,
        callbacks,
        None if valid is None else validate if compact is None else compact.validate(validate),
        objective=StemLoss(),
        identity={"image_size": image_size, "kinds": kinds, "regions": regions, "block": block} | dict(identity or {}),
        restart=restart,
        world=world,
    )
    if compact is not None:
        compact.write_back()
    return result


def _sources(tables: StemTables, tasks: tuple[ObjectCells, RegionCells], regions: float, block: int) -> list[Source]:
    objects = Source(table=tables.objects, task=tasks[0], weight=1 - regions)
    if tables.regions is None:
        return [objects]
    return [objects, Source(table=tables.regions, task=tasks[1], weight=regions, block=block)]
