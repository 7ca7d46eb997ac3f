"""The operations of a step, counted from shapes, are those that torch counts while it computes."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from ofa.data.batch import Batch
from ofa.train import loop
from ofa.train.flops import peak_flops, step_flops
from ofa.train.losses import SequenceLoss
from tests.train import toy


def batch(pictures: int = 3, **others) -> Batch:
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(4, 40, (4, 7), generator=generator)
    values = {
        "ids": list("abcd"),
        "source": ids,
        "previous": ids[:, :5],
        "target": torch.where(torch.arange(5) < 3, ids[:, 1:6], 1),
        "image_mask": torch.tensor([True, False, True, True]),
        "confidence": torch.ones(4),
    }
    if pictures:
        values["images"] = torch.randint(0, 255, (pictures, 3, 64, 48), dtype=torch.uint8, generator=generator)
        values["image_index"] = torch.tensor([0, 0, 1, pictures - 1])
    return Batch(**values | others)


def counted(net, batch) -> float:
    with FlopCounterMode(display=False) as counter:
        SequenceLoss(toy.settings(precision="fp32"))(net.train(), batch, 0).loss.backward()
    return counter.get_total_flops()


@pytest.mark.parametrize(
    ("network", "changes"),
    [
        ({}, {}),
        ({"resnet_blocks": (2, 3, 1), "encoder_layers": 3, "decoder_layers": 2}, {}),
        ({}, {"pictures": 0}),
        ({}, {"patch_sample": 5}),
        ({"image_bucket_size": 6}, {"code_mask": torch.tensor([True, False, False, True])}),
        ({"freeze_resnet": True}, {}),
        ({"freeze_embeddings": True}, {}),
        ({"output_ids": tuple(range(0, 40, 2))}, {"target": torch.full((4, 5), 6)}),
    ],
    ids=["plain", "deeper", "text", "sampled patches", "codes", "frozen resnet", "frozen tokens", "few outputs"],
)
def test_operations_are_those_that_torch_counts(network, changes):
    net, given = toy.network(**network), batch(**changes)
    assert step_flops(net, given) == pytest.approx(counted(net, given), rel=1e-9)


@pytest.mark.parametrize(
    ("name", "tera"),
    [
        ("NVIDIA H100 80GB HBM3", 989),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA H100 NVL", 836),
        ("NVIDIA A100-SXM4-80GB", 312),
        ("NVIDIA L40S", 362),
        ("NVIDIA L4", 121),
        ("NVIDIA A10G", None),
        ("Tesla T4", None),
    ],
)
def test_peaks_are_known_by_name(monkeypatch, name, tera):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: name)
    peak = peak_flops(torch.device("cuda"), "bf16")
    assert peak == (tera and tera * 1e12)
    assert peak_flops(torch.device("cuda"), "fp32") is None and peak_flops(torch.device("cpu"), "bf16") is None


def test_the_share_of_the_peak_is_recorded_where_it_is_known(tmp_path, monkeypatch):
    config = toy.settings(steps=4, log_every=2)
    loop.train(toy.network(), toy.stream(config), config, tmp_path / "unknown")
    assert "mfu" not in (tmp_path / "unknown" / "history.csv").read_text()
    monkeypatch.setattr(loop, "peak_flops", lambda device, precision: 1e12)
    loop.train(toy.network(), toy.stream(config), config, tmp_path / "known")
    (header, *lines) = [line.split(",") for line in (tmp_path / "known" / "history.csv").read_text().splitlines()]
    each = step_flops(toy.network(), next(iter(toy.stream(config)))) / 8
    for line in lines:
        row = dict(zip(header, map(float, line), strict=True))
        # Batches of the toy differ a little in length, so in operations.
        assert row["mfu"] == pytest.approx(row["samples_per_second"] * each / 1e12, rel=0.1)
