"""Dense pretraining of the encoder: which cell gets which object, and that it learns them."""

import csv
import io
import random

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.ops import box_iou, generalized_box_iou_loss

from ofa.errors import OFAError
from ofa.model import OFAConfig, OFAModel
from ofa.text import Tokenizer
from ofa.train.config import TrainConfig
from ofa.train.stem import StemTables, pretrain_stem
from ofa.train.stem.cells import UNKNOWN, assign
from ofa.train.stem.network import giou_loss, paired_iou
from ofa.train.stem.samples import ObjectCells, RegionCells, object_kinds
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
        kind, box = assign(boxes, kinds, rows=4, columns=8)
        covering = 0
        for r in range(4):
            for c in range(8):
                y, x = (r + 0.5) / 4, (c + 0.5) / 8
                over = [b for b in range(4) if boxes[b, 0] <= x <= boxes[b, 2] and boxes[b, 1] <= y <= boxes[b, 3]]
                if over:
                    covering += 1
                    smallest = min(over, key=lambda b: float((boxes[b, 2:] - boxes[b, :2]).prod()))
                    assert kind[r, c] == kinds[smallest]
                    assert box[r, c].tolist() == boxes[smallest].tolist()
        assert covering > 0


def test_a_box_between_the_centers_gets_the_cell_it_lies_in():
    boxes = torch.tensor([[0.26, 0.01, 0.36, 0.05], [0.0, 0.0, 1.0, 1.0]])
    kind, box = assign(boxes, torch.tensor([1, 2]), rows=4, columns=4)
    assert kind[0].tolist() == [2, 1, 2, 2]
    assert box[0, 1].tolist() == boxes[0].tolist()


def test_mirrored_pictures_have_mirrored_cells():
    task = ObjectCells(sorted(COLORS), 64)
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
    torch.testing.assert_close(paired_iou(one, other), box_iou(one, other).diagonal())


@pytest.mark.parametrize("steps", [1 << 20, 4], ids=["anywhere", "often alike"])
def test_the_loss_of_boxes_is_that_of_torchvision_to_the_bit(steps):
    corners = torch.randint(steps, (2, 300, 2, 2), generator=torch.Generator().manual_seed(2)) / steps
    said, true = corners[0].flatten(1), corners[1].sort(dim=1).values.flatten(1)
    results = []
    for loss in (giou_loss, generalized_box_iou_loss):
        boxes = said.clone().requires_grad_()
        value = loss(boxes, true, reduction="sum")
        value.backward()
        results.append((value, boxes.grad, loss(said, true)))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0, equal_nan=True)


def regions(number: int) -> list[dict]:
    """Rows of visual grounding: each object of a picture by its name, where it is the only one of that name."""
    objects = row(number)["boxes"].split("&&")
    names = [text.split(",")[5] for text in objects]
    return [
        {"uniq_id": f"{number}_{i}", "image": row(number)["image"], "text": name, "box": ",".join(text.split(",")[:4])}
        for i, (text, name) in enumerate(zip(objects, names, strict=True))
        if names.count(name) == 1
    ]


def test_the_cells_of_a_region_are_those_of_its_box_alone():
    whole = ObjectCells(sorted(COLORS), 64).sample(row(1), train=False, rng=random.Random(0)).reference
    for region in regions(1):
        cells = RegionCells(64).sample(region, train=True, rng=random.Random(0)).reference
        assert (whole.meant == UNKNOWN).all() and (cells.kind == UNKNOWN).all()
        corners = torch.tensor([float(part) for part in region["box"].split(",")]) / 64
        same = np.isclose(whole.box, corners.numpy()).all(-1)
        assert same.any() and np.array_equal(cells.meant == 1, same)
        assert np.allclose(cells.box[same], corners.numpy()) and not cells.box[~same].any()


def test_the_encoder_learns_to_see_and_to_find_what_a_text_means(tmp_path):
    names = Tokenizer.english().encode(" " + " ".join([*COLORS, 'which region does the text " describe? what are the']))
    ids = tuple(sorted({*range(4), *names, *Tokenizer.english().encode(" objects in image?")}))
    torch.manual_seed(0)
    net = OFAModel(OFAConfig.preset("nano", d_model=64, ffn_dim=128, resnet_blocks=(1, 1, 1), output_ids=ids))
    before = toy.weights(net)
    tables, valid = (
        StemTables(
            objects=[row(i) for i in numbers], regions={"english": [region for i in numbers for region in regions(i)]}
        )
        for numbers in (range(150), range(1000, 1060))
    )
    config = TrainConfig(steps=150, batch_size=16, lr=4e-3, schedule="cosine", betas=(0.9, 0.98), device="cpu")
    result = pretrain_stem(net, tables, config, tmp_path, image_size=64, regions=0.5, block=2, valid=valid)
    assert result.metrics["object_accuracy"] > 0.8
    assert result.metrics["box_iou"] > 0.5
    assert result.metrics["region_acc@0.5"] > 0.7, "the first or the larger object would be right half of the time"
    after = toy.weights(net)
    changed = {name for name, value in before.items() if not torch.equal(after[name], value)}
    assert changed == {name for name in before if name.startswith("encoder.")} | {"embed_tokens.weight"}
    rows = (after["embed_tokens.weight"] != before["embed_tokens.weight"]).any(1).nonzero().flatten().tolist()
    assert set(rows) <= set(ids)


def test_detection_alone_is_enough(tmp_path):
    net, rows = toy.network(resnet_width=8, vocabulary_size=59457), [row(i) for i in range(16)]
    config = TrainConfig(steps=2, batch_size=4, device="cpu")
    result = pretrain_stem(
        net, StemTables(objects=rows), config, tmp_path, image_size=64, valid=StemTables(objects=rows)
    )
    assert result.steps == 2 and set(result.metrics) == {"object_accuracy", "cell_accuracy", "box_iou"}
    (record,) = csv.DictReader((tmp_path / "history.csv").read_text().splitlines())
    rates = [float(record[f"{unit}_per_second"]) for unit in ("cells", "samples")]
    assert rates[0] == pytest.approx(rates[1] * 16, rel=1e-4) and "tokens_per_second" not in record


def test_a_table_without_objects_is_an_error():
    with pytest.raises(OFAError, match="holds no object"):
        object_kinds([{"uniq_id": "0", "image": b"", "boxes": ""}])
