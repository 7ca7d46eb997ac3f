"""The encoder with heads that say what each cell shows, their loss, and how well they do."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import BoolTensor, FloatTensor, LongTensor, Tensor, nn

from ofa.data.batch import PAD, Batch, pad, send
from ofa.model import OFAModel
from ofa.train.losses import Objective, TokenLoss
from ofa.train.stem.cells import BACKGROUND, STRIDE

L1_WEIGHT, GIOU_WEIGHT = 5.0, 2.0
"""Weights of the two parts of the box loss beside the cross-entropy of kinds (those of DETR, arXiv 2005.12872)."""
MEANT_WEIGHT = 3.0
"""Weight of being meant beside the cross-entropy of kinds. It is learned last, and everything later needs it."""
HIT = 0.5
"""Intersection over union from which on a box counts as found."""


@dataclass(frozen=True)
class Answers:
    """What the network says about each cell; logits and boxes as in `Cells`."""

    word: FloatTensor
    """(B, R, C, K) logits of kinds, read off the embedded patch, before it has seen anything around it."""
    kind: FloatTensor
    """(B, R, C, 1 + K) logits of kinds, read off the patch's last state."""
    meant: FloatTensor
    """(B, R, C) logit of being what the text describes."""
    box: FloatTensor
    """(B, R, C, 4)"""


class StemNetwork(nn.Module):
    """A network's encoder, with heads that read off each patch what it shows.

    A linear head on the last states says an object's kind, whether the text describes it, and where its box is. The
    states so come to hold these in a form that a decoder can copy from. Before the first layer a patch is compared
    with the embeddings of the kinds' names: it comes to lie near the word for what it shows, so that attention finds
    one by the other.
    """

    def __init__(self, net: OFAModel, names: Sequence[LongTensor]):
        """Args:
        net: its encoder and its token matrix train.
        names: tokens of the name of each kind.
        """
        super().__init__()
        self.net, self.lengths = net, [len(name) for name in names]
        self.register_buffer("names", pad(names), persistent=False)
        self.head = nn.Linear(net.config.d_model, BACKGROUND + 1 + len(names) + 1 + 4)
        self.sharpness = nn.Parameter(torch.ones(()))

    def forward(self, batch: Batch) -> Answers:
        """Look at the pictures of a batch, given its texts."""
        rows, columns = (side // STRIDE for side in batch.images.shape[2:])
        encoder, inputs = self.net.encoder, batch.inputs()
        source = inputs.pop("source_tokens")
        embedded = encoder.embed(self.net.embed_tokens(source), source == PAD, **inputs)
        patches, states = (
            x[:, : rows * columns].float().unflatten(1, (rows, columns))
            for x in (embedded.embedded, encoder.transform(embedded))
        )
        names = (row[:length] for row, length in zip(self.names, self.lengths, strict=True))
        words = torch.stack([self.net.embed_tokens(name).mean(0) for name in names])
        out = self.head(states).float()
        kind, meant, center, half = out.split([BACKGROUND + 1 + len(words), 1, 2, 2], dim=-1)
        center, half = center.sigmoid(), half.sigmoid()
        box = torch.cat([center - half, center + half], dim=-1)
        return Answers((patches @ words.t() * self.sharpness).float(), kind, meant.squeeze(-1), box)


class StemLoss(Objective):
    """Cross-entropies of kinds and of being meant, where they are known; L1 and GIoU loss of boxes, where there are."""

    unit = "cells"

    def size(self, batch: Batch, updates: int) -> int:
        """The number of cells."""
        return sum(cells.kind.size for cells in batch.references)

    def __call__(self, net: nn.Module, batch: Batch, updates: int) -> TokenLoss:
        """The batch's loss, summed over cells."""
        said = net(batch)
        kind, meant, box = _truth(batch)

        def at(where: BoolTensor, answers: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
            """Both of some cells, which are looked up on the CPU: a GPU would have to be waited for."""
            cells = send(where.flatten().nonzero().squeeze(1), answers.device)
            return answers.flatten(0, 2)[cells], send(truth[where], answers.device)

        kinds = F.cross_entropy(*at(kind >= 0, said.kind, kind), reduction="sum")
        # What lies around objects has no word, and must not be made to look alike.
        words = F.cross_entropy(*at(kind > BACKGROUND, said.word, kind - BACKGROUND - 1), reduction="sum")
        means = F.binary_cross_entropy_with_logits(*at(meant >= 0, said.meant, meant.float()), reduction="sum")
        boxes = at(_seen(kind, meant), said.box, box)
        distance, overlap = (loss(*boxes, reduction="sum") for loss in (F.l1_loss, giou_loss))
        loss = kinds + words + MEANT_WEIGHT * means + L1_WEIGHT * distance + GIOU_WEIGHT * overlap
        return TokenLoss(loss, (kinds + means).detach(), kind.numel())


def _truth(batch: Batch) -> tuple[LongTensor, LongTensor, FloatTensor]:
    stacked = (np.stack([getattr(cells, name) for cells in batch.references]) for name in ("kind", "meant", "box"))
    return tuple(map(torch.from_numpy, stacked))


def _seen(kind: LongTensor, meant: LongTensor) -> BoolTensor:
    return (kind > BACKGROUND) | (meant > 0)


def giou_loss(boxes: FloatTensor, others: FloatTensor, reduction: str = "none", eps: float = 1e-7) -> FloatTensor:
    """1 - generalized IoU (arXiv 1902.09630) of box i and other i, of (N, 4) each: (N,), or their "sum".

    To the bit `torchvision.ops.generalized_box_iou_loss` and its gradient, which looks up which boxes overlap: a GPU
    would have to be waited for.
    """
    (x0, y0, x1, y1), (u0, v0, u1, v1) = boxes.unbind(-1), others.unbind(-1)
    left, top, right, bottom = torch.max(x0, u0), torch.max(y0, v0), torch.min(x1, u1), torch.min(y1, v1)
    overlap = (bottom > top) & (right > left)
    common = torch.where(overlap, (right - left) * (bottom - top), 0.0)
    union = (x1 - x0) * (y1 - y0) + (u1 - u0) * (v1 - v0) - common
    iou = common / (union + eps)
    (x0, y0, x1, y1), (u0, v0, u1, v1) = boxes.unbind(-1), others.unbind(-1)  # anew: gradients add up in this order
    hull = (torch.max(x1, u1) - torch.min(x0, u0)) * (torch.max(y1, v1) - torch.min(y0, v0))
    loss = 1 - (iou - (hull - union) / (hull + eps))
    return loss.sum() if reduction == "sum" else loss


@torch.inference_mode()
def measure_objects(net: StemNetwork, batches: Iterable[Batch], device: torch.device) -> dict[str, float]:
    """Share of right kinds among cells with an object and among all cells; mean IoU of the boxes of the former."""
    right = right_seen = seen_cells = all_cells = overlap = 0.0
    for batch in batches:
        batch = batch.to(device)
        said = net(batch)
        kind, meant, box = (truth.to(device) for truth in _truth(batch))
        correct, seen = said.kind.argmax(-1) == kind, _seen(kind, meant)
        right += correct.sum().item()
        right_seen += correct[seen].sum().item()
        all_cells += kind.numel()
        seen_cells += seen.sum().item()
        overlap += paired_iou(said.box[seen], box[seen]).sum().item()
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
        said = net(batch)
        _, meant, box = (truth.to(device) for truth in _truth(batch))
        chosen, true = (values.flatten(1).argmax(1) for values in (said.meant, meant))
        rows = torch.arange(len(batch), device=device)
        overlap = paired_iou(said.box.flatten(1, 2)[rows, chosen], box.flatten(1, 2)[rows, true])
        hits += (overlap >= HIT).sum().item()
        samples += len(batch)
    return {"region_acc@0.5": hits / max(samples, 1)}


def paired_iou(boxes: FloatTensor, others: FloatTensor) -> FloatTensor:
    """(N,) intersection over union of box i and other i, of (N, 4) each."""
    common = (torch.minimum(boxes[:, 2:], others[:, 2:]) - torch.maximum(boxes[:, :2], others[:, :2])).clamp(min=0)
    areas = [(b[:, 2:] - b[:, :2]).prod(1) for b in (boxes, others)]
    common = common.prod(1)
    return common / (areas[0] + areas[1] - common)
