"""Dense pretraining of the encoder on pictures: which object covers each cell of the grid, and where its box is.

The original's ResNet starts from ImageNet weights. A network that is trained from nothing on a small set of pictures
learns to find things in minutes with this dense objective, and not within hours without it. The heads are thrown away
afterwards; the table is the one of detection.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import FloatTensor, LongTensor, Tensor, nn
from torchvision.ops import generalized_box_iou_loss

from ofa.data.batch import Batch, Sample
from ofa.data.geometry import flip, stretch
from ofa.data.images import open_image
from ofa.data.mixing import Source, Stream
from ofa.data.ordered import Ordered
from ofa.data.table import RowError
from ofa.data.transforms import to_tensor
from ofa.errors import OFAError
from ofa.model import OFAModel
from ofa.model.encoder import Encoder
from ofa.tasks.detection import parse_objects
from ofa.train.config import TrainConfig
from ofa.train.distributed import World
from ofa.train.loop import Callback, TrainResult, train
from ofa.train.losses import Objective, TokenLoss

STRIDE = 16
"""Pixels of a cell's side: the ResNet's output stride."""
BACKGROUND = 0
L1_WEIGHT, GIOU_WEIGHT = 5.0, 2.0
"""Weights of the two parts of the box loss beside the cross-entropy of the kinds (those of DETR, arXiv 2005.12872)."""


@dataclass(frozen=True)
class Cells:
    """What each cell of a picture should say. R x C cells."""

    kind: np.ndarray
    """(R, C) number of the object's kind, 0 where there is none."""
    box: np.ndarray
    """(R, C, 4) x0, y0, x1, y1 of the object as shares of the picture's width and height, float32."""


def assign(boxes: FloatTensor, kinds: LongTensor, rows: int, columns: int) -> Cells:
    """Give each cell the smallest box over its center. A box over no center gets the cell that holds its own.

    Args:
        boxes: (N, 4) shares of the picture's width and height.
        kinds: (N,) numbers from 1 on.
    """
    kind = torch.full((rows, columns), BACKGROUND)
    box = torch.zeros(rows, columns, 4)
    y, x = _centers(rows, columns)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    for i in area.argsort(descending=True).tolist():
        x0, y0, x1, y1 = boxes[i].tolist()
        inside = (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)
        if not inside.any():
            row, column = int((y0 + y1) / 2 * rows), int((x0 + x1) / 2 * columns)
            inside[min(row, rows - 1), min(column, columns - 1)] = True
        kind[inside], box[inside] = kinds[i], boxes[i]
    return Cells(kind.numpy(), box.numpy())


def _centers(rows: int, columns: int, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
    """y and x (R, C) of the cells' centers as shares of the picture."""
    y = (torch.arange(rows, device=device) + 0.5) / rows
    x = (torch.arange(columns, device=device) + 0.5) / columns
    return torch.meshgrid(y, x, indexing="ij")


class StemTask:
    """Makes samples without text of detection rows; pictures are mirrored half of the time in training."""

    name = "stem"

    def __init__(self, kinds: Sequence[str], image_size: int):
        self.numbers = {kind: number for number, kind in enumerate(kinds, start=BACKGROUND + 1)}
        self.image_size = image_size

    def sample(self, row: Mapping[str, Any], train: bool, rng: random.Random) -> Sample:
        """The picture as a square, and its `Cells` as the reference."""
        picture = open_image(row["image"])
        boxes, labels = parse_objects(row["boxes"])
        if train and rng.random() < 0.5:
            picture, boxes = flip(picture, boxes)
        picture, boxes = stretch(picture, boxes, self.image_size, self.image_size)
        unknown = sorted(set(labels) - self.numbers.keys())
        if unknown:
            raise OFAError(f"object kind {unknown[0]!r} does not occur in the training table")
        kinds = torch.tensor([self.numbers[label] for label in labels], dtype=torch.long)
        cells = self.image_size // STRIDE
        nothing = torch.empty(0, dtype=torch.long)
        return Sample(
            id=row["uniq_id"],
            source=nothing,
            previous=nothing,
            target=nothing,
            image=to_tensor(picture),
            reference=assign(boxes / self.image_size, kinds, cells, cells),
        )


class StemNetwork(nn.Module):
    """An encoder with a linear head that says, for each cell, an object's kind and where its box is in the picture.

    The head reads the encoder's last states, so that these come to hold kind and place in a form that a decoder can
    copy from.
    """

    def __init__(self, encoder: Encoder, width: int, kinds: int):
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(width, BACKGROUND + 1 + kinds + 4)
        self.width = width

    def forward(self, images: FloatTensor) -> tuple[FloatTensor, FloatTensor]:
        """Normalized images (B, 3, H, W) -> logits (B, R, C, 1 + kinds) and boxes (B, R, C, 4), as in `Cells`."""
        rows, columns = images.shape[2] // STRIDE, images.shape[3] // STRIDE
        no_text = images.new_zeros(len(images), 1, self.width)
        states, _, _ = self.encoder(no_text, torch.zeros_like(no_text[..., 0], dtype=torch.bool), images)
        out = self.head(states[:, : rows * columns]).float().unflatten(1, (rows, columns))
        center, half = out[..., -4:].sigmoid().split(2, dim=-1)
        return out[..., :-4], torch.cat([center - half, center + half], dim=-1)


class StemLoss(Objective):
    """Cross-entropy of the kinds over all cells, plus L1 and GIoU loss of the boxes over cells with an object."""

    def size(self, batch: Batch, updates: int) -> int:
        """The number of cells."""
        return sum(cells.kind.size for cells in batch.references)

    def __call__(self, net: nn.Module, batch: Batch, updates: int) -> TokenLoss:
        """The batch's loss, summed over cells."""
        logits, boxes = net(batch.images_normalized)
        kind, target = _targets(batch, logits.device)
        nll = F.cross_entropy(logits.flatten(0, -2), kind.flatten(), reduction="sum")
        seen = kind != BACKGROUND
        boxes, target = boxes[seen], target[seen]
        distance = F.l1_loss(boxes, target, reduction="sum")
        overlap = generalized_box_iou_loss(boxes, target, reduction="sum")
        return TokenLoss(nll + L1_WEIGHT * distance + GIOU_WEIGHT * overlap, nll.detach(), kind.numel())


def _targets(batch: Batch, device: torch.device) -> tuple[LongTensor, FloatTensor]:
    kind = np.stack([cells.kind for cells in batch.references])
    box = np.stack([cells.box for cells in batch.references])
    return torch.from_numpy(kind).to(device), torch.from_numpy(box).to(device)


@torch.inference_mode()
def measure(net: StemNetwork, batches: Ordered, device: torch.device) -> dict[str, float]:
    """Share of right kinds among cells with an object and among all cells; mean IoU of the boxes of the former."""
    right = right_seen = seen_cells = all_cells = overlap = 0.0
    for batch in batches:
        batch = batch.to(device)
        logits, boxes = net(batch.images_normalized)
        kind, target = _targets(batch, device)
        correct, seen = logits.argmax(-1) == kind, kind != BACKGROUND
        right += correct.sum().item()
        right_seen += correct[seen].sum().item()
        all_cells += kind.numel()
        seen_cells += seen.sum().item()
        overlap += _iou(boxes[seen], target[seen]).sum().item()
    return {
        "object_accuracy": right_seen / max(seen_cells, 1),
        "cell_accuracy": right / max(all_cells, 1),
        "box_iou": overlap / max(seen_cells, 1),
    }


def _iou(boxes: FloatTensor, others: FloatTensor) -> FloatTensor:
    """(N,) intersection over union of box i and other i."""
    common = (torch.minimum(boxes[:, 2:], others[:, 2:]) - torch.maximum(boxes[:, :2], others[:, :2])).clamp(min=0)
    areas = [(b[:, 2:] - b[:, :2]).prod(1) for b in (boxes, others)]
    common = common.prod(1)
    return common / (areas[0] + areas[1] - common)


def object_kinds(table: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names of all objects of a detection table, sorted; rows that cannot be read are left to the stream."""
    kinds: set[str] = set()
    for index in range(len(table)):
        try:
            kinds.update(parse_objects(table[index]["boxes"])[1])
        except OFAError:
            continue
    if not kinds:
        raise OFAError("the detection table holds no object: stem pretraining has nothing to learn from")
    return sorted(kinds)


def pretrain_stem(
    net: OFAModel,
    table: Sequence[Mapping[str, Any]],
    config: TrainConfig,
    out_dir: str | Path,
    callbacks: Sequence[Callback] = (),
    *,
    image_size: int,
    valid_table: Sequence[Mapping[str, Any]] | None = None,
    workers: int = 0,
    max_bad_rows: int = 0,
    report: Callable[[RowError], None] | None = None,
    identity: Mapping[str, Any] | None = None,
    restart: bool = False,
    world: World | None = None,
) -> TrainResult:
    """Train the encoder of `net` in place; the rest of the network stays as it is.

    Args:
        net: its `encoder` is trained.
        table: detection rows.
        config: settings; the fields about token losses have no meaning here.
        image_size: side in pixels that pictures are resized to, a multiple of 16; that of the training after this one.
        valid_table: rows to measure `object_accuracy`, `cell_accuracy` and `box_iou` on.
        workers, max_bad_rows, report: see `ofa.data.mixing.Stream`.
        out_dir, callbacks, identity, restart, world: see `ofa.train.loop.train`.

    Raises:
        OFAError: as `train`; also when the table holds no object.
    """
    if image_size % STRIDE:
        raise OFAError(f"image_size {image_size} must be a multiple of {STRIDE}")
    world = world or World.connect(config.device)
    kinds = object_kinds(table)
    task = StemTask(kinds, image_size)
    stem = _with_heads(net, len(kinds), config.seed)
    stream = Stream(
        [Source(table=table, task=task)],
        config.batch_size // config.accumulate,
        config.seed,
        world.rank,
        world.size,
        workers,
        max_bad_rows,
        report,
    )

    def validate(measured: nn.Module) -> dict[str, float]:
        source = Source(table=valid_table, task=task, train=False)
        return measure(measured, Ordered(source, config.batch_size, max_bad_rows=max_bad_rows), world.device)

    return train(
        stem,
        stream,
        config,
        out_dir,
        callbacks,
        validate if valid_table is not None else None,
        objective=StemLoss(),
        identity={"image_size": image_size, "kinds": kinds} | dict(identity or {}),
        restart=restart,
        world=world,
    )


def _with_heads(net: OFAModel, kinds: int, seed: int) -> StemNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return StemNetwork(net.encoder, net.config.d_model, kinds)
