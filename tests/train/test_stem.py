"""Dense pretraining of the encoder: which cell gets which object, and that it learns them."""

import io
import random

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.ops import box_iou

from ofa.errors import OFAError
from ofa.train.config import TrainConfig
from ofa.train.stem import StemTask, _iou, assign, object_kinds, pretrain_stem
from tests.train import toy

COLORS = {"cherry": (220, 30, 30), "leaf": (30, 200, 40), "sea": (20, 60, 220)}


def row(number: int, side: int = 64) -> dict:
    """A picture with one or two colored rectangles."""
    rng = random.Random(number)
    picture, objects = Image.new("RGB", (side, side), (120, 120, 120)), []
    for half in range(rng.randint(1, 2)):
        name = rng.choice(list(COLORS))
        x0, y0 = rng.randrange(0, side // 3), half * side // 2
        x1, y1 = x0 + rng.randrange(side // 3, side // 2), y0 + rng.randrange(side // 4, side // 2)
        picture.paste(COLORS[name], (x0, y0, x1, y1))
        objects.append(f"{x0},{y0},{x1},{y1},{half},{name}")
    data = io.BytesIO()
    picture.save(data, "PNG")
    return {"uniq_id": str(number), "image": data.getvalue(), "boxes": "&&".join(objects)}


def test_each_cell_gets_the_smallest_box_over_its_center():
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        corners = torch.rand(4, 2, 2, generator=generator).sort(dim=1).values
        boxes = corners.flatten(1) * 0.8 + torch.tensor([0.0, 0.0, 0.2, 0.2])
        kinds = torch.arange(1, 5)
        cells = assign(boxes, kinds, rows=4, columns=8)
        covering = 0
        for r in range(4):
            for c in range(8):
                y, x = (r + 0.5) / 4, (c + 0.5) / 8
                over = [b for b in range(4) if boxes[b, 0] <= x <= boxes[b, 2] and boxes[b, 1] <= y <= boxes[b, 3]]
                if over:
                    covering += 1
                    smallest = min(over, key=lambda b: float((boxes[b, 2:] - boxes[b, :2]).prod()))
                    assert cells.kind[r, c] == kinds[smallest]
                    assert cells.box[r, c].tolist() == boxes[smallest].tolist()
        assert covering > 0


def test_a_box_between_the_centers_gets_the_cell_it_lies_in():
    boxes = torch.tensor([[0.26, 0.01, 0.36, 0.05], [0.0, 0.0, 1.0, 1.0]])
    cells = assign(boxes, torch.tensor([1, 2]), rows=4, columns=4)
    assert cells.kind[0].tolist() == [2, 1, 2, 2]
    assert cells.box[0, 1].tolist() == boxes[0].tolist()


def test_mirrored_pictures_have_mirrored_cells():
    task = StemTask(sorted(COLORS), 64)
    mirrored = next(seed for seed in range(9) if random.Random(seed).random() < 0.5)
    plain = task.sample(row(3), train=False, rng=random.Random(mirrored))
    other = task.sample(row(3), train=True, rng=random.Random(mirrored))
    assert torch.equal(other.image, plain.image.flip(2))
    assert np.array_equal(other.reference.kind, plain.reference.kind[:, ::-1])
    seen = plain.reference.kind != 0
    expected = plain.reference.box.copy()
    expected[..., [0, 2]] = 1 - expected[..., [2, 0]]
    assert np.allclose(other.reference.box[:, ::-1][seen], expected[seen])


def test_overlap_is_that_of_torchvision():
    corners = torch.rand(2, 30, 2, 2, generator=torch.Generator().manual_seed(1)).sort(dim=2).values
    one, other = corners.flatten(2)
    torch.testing.assert_close(_iou(one, other), box_iou(one, other).diagonal())


def test_the_encoder_learns_and_nothing_else_changes(tmp_path):
    train_rows, valid_rows = [row(i) for i in range(64)], [row(i) for i in range(1000, 1020)]
    net = toy.network(resnet_width=8)
    before = toy.weights(net)
    config = TrainConfig(steps=80, batch_size=8, lr=5e-3, schedule="cosine", betas=(0.9, 0.98), device="cpu")
    result = pretrain_stem(net, train_rows, config, tmp_path, image_size=64, valid_table=valid_rows)
    assert result.metrics["object_accuracy"] > 0.8
    assert result.metrics["box_iou"] > 0.5
    after = toy.weights(net)
    changed = {name for name, value in before.items() if not torch.equal(after[name], value)}
    assert changed == {name for name in before if name.startswith("encoder.")}


def test_a_table_without_objects_is_an_error():
    with pytest.raises(OFAError, match="holds no object"):
        object_kinds([{"uniq_id": "0", "image": b"", "boxes": ""}])
