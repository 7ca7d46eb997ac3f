"""The encoder with a linear head, its loss, and how well it does."""

from collections.abc import Iterable

import numpy as np
import torch
import torch.nn.functional as F
from torch import BoolTensor, FloatTensor, LongTensor, nn
from torchvision.ops import generalized_box_iou_loss

from ofa.data.batch import Batch
from ofa.model import OFAModel
from ofa.train.losses import Objective, TokenLoss
from ofa.train.stem.cells import BACKGROUND, STRIDE

L1_WEIGHT, GIOU_WEIGHT = 5.0, 2.0
"""Weights of the two parts of the box loss beside the cross-entropies (those of DETR, arXiv 2005.12872)."""
HIT = 0.5
"""Intersection over union from which on a box counts as found."""

Answers = tuple[FloatTensor, FloatTensor, FloatTensor]


class StemNetwork(nn.Module):
    """A network's encoder with a linear head on its last states of the patches.

    For each cell the head says an object's kind, whether the text describes it, and where its box is in the picture.
    The states so come to hold these in a form that a decoder can copy from.
    """

    def __init__(self, net: OFAModel, kinds: int):
        super().__init__()
        self.net = net
        self.head = nn.Linear(net.config.d_model, BACKGROUND + 1 + kinds + 1 + 4)

    def forward(self, batch: Batch) -> Answers:
        """Logits of kinds (B, R, C, 1 + K) and of being meant (B, R, C), and boxes (B, R, C, 4) as in `Cells`."""
        rows, columns = (side // STRIDE for side in batch.images.shape[2:])
        states = self.net.encode(**batch.inputs()).states[:, : rows * columns]
        out = self.head(states).float().unflatten(1, (rows, columns))
        kind, meant, center, half = out.split([out.shape[-1] - 5, 1, 2, 2], dim=-1)
        center, half = center.sigmoid(), half.sigmoid()
        return kind, meant.squeeze(-1), torch.cat([center - half, center + half], dim=-1)


class StemLoss(Objective):
    """Cross-entropy of kinds and of being meant where they are known; L1 and GIoU loss of boxes where there is one."""

    def size(self, batch: Batch, updates: int) -> int:
        """The number of cells."""
        return sum(cells.kind.size for cells in batch.references)

    def __call__(self, net: nn.Module, batch: Batch, updates: int) -> TokenLoss:
        """The batch's loss, summed over cells."""
        kind, meant, box = net(batch)
        true_kind, true_meant, true_box = _truth(batch, box.device)
        known, asked = true_kind >= 0, true_meant >= 0
        classes = F.cross_entropy(kind[known], true_kind[known], reduction="sum")
        classes = classes + F.binary_cross_entropy_with_logits(meant[asked], true_meant[asked].float(), reduction="sum")
        seen = _seen(true_kind, true_meant)
        distance = F.l1_loss(box[seen], true_box[seen], reduction="sum")
        overlap = generalized_box_iou_loss(box[seen], true_box[seen], reduction="sum")
        loss = classes + L1_WEIGHT * distance + GIOU_WEIGHT * overlap
        return TokenLoss(loss, classes.detach(), true_kind.numel())


def _truth(batch: Batch, device: torch.device) -> tuple[LongTensor, LongTensor, FloatTensor]:
    stacked = (np.stack([getattr(cells, name) for cells in batch.references]) for name in ("kind", "meant", "box"))
    return tuple(torch.from_numpy(array).to(device) for array in stacked)


def _seen(kind: LongTensor, meant: LongTensor) -> BoolTensor:
    return (kind > BACKGROUND) | (meant > 0)


@torch.inference_mode()
def measure_objects(net: StemNetwork, batches: Iterable[Batch], device: torch.device) -> dict[str, float]:
    """Share of right kinds among cells with an object and among all cells; mean IoU of the boxes of the former."""
    right = right_seen = seen_cells = all_cells = overlap = 0.0
    for batch in batches:
        batch = batch.to(device)
        kind, _, box = net(batch)
        true_kind, true_meant, true_box = _truth(batch, device)
        correct, seen = kind.argmax(-1) == true_kind, _seen(true_kind, true_meant)
        right += correct.sum().item()
        right_seen += correct[seen].sum().item()
        all_cells += true_kind.numel()
        seen_cells += seen.sum().item()
        overlap += paired_iou(box[seen], true_box[seen]).sum().item()
    return {
        "object_accuracy": right_seen / max(seen_cells, 1),
        "cell_accuracy": right / max(all_cells, 1),
        "box_iou": overlap / max(seen_cells, 1),
    }


@torch.inference_mode()
def measure_regions(net: StemNetwork, batches: Iterable[Batch], device: torch.device) -> dict[str, float]:
    """Acc@0.5 of the box that the cell gives which most likely is meant."""
    hits = samples = 0
    for batch in batches:
        batch = batch.to(device)
        _, meant, box = net(batch)
        _, true_meant, true_box = _truth(batch, device)
        chosen, true = (logits.flatten(1).argmax(1) for logits in (meant, true_meant))
        rows = torch.arange(len(batch), device=device)
        overlap = paired_iou(box.flatten(1, 2)[rows, chosen], true_box.flatten(1, 2)[rows, true])
        hits += (overlap >= HIT).sum().item()
        samples += len(batch)
    return {"region_acc@0.5": hits / max(samples, 1)}


def paired_iou(boxes: FloatTensor, others: FloatTensor) -> FloatTensor:
    """(N,) intersection over union of box i and other i, of (N, 4) each."""
    common = (torch.minimum(boxes[:, 2:], others[:, 2:]) - torch.maximum(boxes[:, :2], others[:, :2])).clamp(min=0)
    areas = [(b[:, 2:] - b[:, :2]).prod(1) for b in (boxes, others)]
    common = common.prod(1)
    return common / (areas[0] + areas[1] - common)
