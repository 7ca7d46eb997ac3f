"""Dense pretraining of the encoder: which object covers each cell of the grid, where its box is, and which one a text
means.

The original's ResNet starts from ImageNet weights, and its transformer sees millions of pictures. A network that is
trained from nothing on a small set of pictures learns to see, and to bind words to what it sees, in minutes with this
objective, which tells it about every cell, and not within hours without it. The head is thrown away afterwards.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ofa.data.mixing import Source, Stream
from ofa.data.ordered import Ordered
from ofa.data.table import RowError
from ofa.errors import OFAError
from ofa.model import OFAModel
from ofa.tasks.base import Language
from ofa.text import Tokenizer
from ofa.train.compact import CompactVocabulary
from ofa.train.config import TrainConfig
from ofa.train.distributed import World
from ofa.train.loop import Callback, TrainResult, train
from ofa.train.preemption import Pause, pausing
from ofa.train.stem.cells import STRIDE
from ofa.train.stem.network import StemLoss, StemNetwork, measure_objects, measure_regions
from ofa.train.stem.samples import ObjectCells, RegionCells, object_kinds

Table = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class StemTables:
    """The tables of one split."""

    objects: Table
    """Rows of detection."""
    regions: Mapping[Language, Table] = field(default_factory=dict)
    """Rows of visual grounding by language; without them the encoder learns nothing of texts."""


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
        regions: share of rows of visual grounding in a batch; languages have equal parts of it.
        block: rows of visual grounding that are read together, see `ofa.data.mixing.Source`.
        valid: to measure `object_accuracy`, `cell_accuracy`, `box_iou` and `region_acc@0.5` on; the last is that of
            all languages' rows.
        valid_rows: the first so many rows of each table.
        workers, max_bad_rows, report: see `ofa.data.mixing.Stream`.

    Raises:
        OFAError: as `train`; also when the table holds no object.
    """
    if image_size % STRIDE:
        raise OFAError(f"image_size {image_size} must be a multiple of {STRIDE}")
    world = world or World.connect(config.device)
    kinds = object_kinds(tables.objects)
    vocabulary = Tokenizer.of_size(net.config.vocabulary_size).name
    objects = ObjectCells(kinds, image_size, vocabulary)
    meant = {language: RegionCells(image_size, language, vocabulary) for language in tables.regions}
    names = [objects.task.encode(f" {kind}") for kind in kinds]
    compact = CompactVocabulary.of(net)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        whole = stem = StemNetwork(net, names)
        if compact is not None:
            stem = StemNetwork(compact.net, [compact.column[name] for name in names])
            whole.head, whole.sharpness = stem.head, stem.sharpness
            whole.names = whole.names.to(world.device)

    def sources(tables: StemTables, block: int) -> list[Source]:
        found = [Source(table=tables.objects, task=objects, weight=1 - regions if meant else 1)]
        for language, table in tables.regions.items():
            found.append(Source(table=table, task=meant[language], weight=regions / len(meant), block=block))
        return found

    def rows(source: Source) -> Ordered:
        return Ordered(source, config.batch_size, limit=valid_rows, max_bad_rows=max_bad_rows)

    stream = Stream(
        sources(tables, block),
        config.batch_size // config.accumulate,
        config.seed,
        world.rank,
        world.size,
        workers,
        max_bad_rows,
        report,
        pin=world.device.type == "cuda",
    )

    def validate(_: nn.Module, pause: Pause) -> dict[str, float]:
        pictures, *texts = sources(valid, 1)
        metrics = measure_objects(whole.eval(), pausing(rows(pictures), pause), world.device)
        if texts:
            regions_of_all = itertools.chain.from_iterable(map(rows, texts))
            metrics |= measure_regions(whole, pausing(regions_of_all, pause), world.device)
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
