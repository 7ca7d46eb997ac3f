"""Evaluation pixels equal the original's."""

import hashlib
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from ofa.data import TABLES, Table
from ofa.data.images import decode
from ofa.data.transforms import IMAGENET_MEAN, IMAGENET_STD, MEAN, STD, normalize, resize

CASES = [
    "caption_train_480",
    "caption_train_scst_256_imagenet",
    "caption_valid_480",
    "image_classify_val_480",
    "refcoco_384",
    "refcoco_480",
    "refcoco_512",
    "snli_ve_prev_output_caption0",
    "vqa_none_object_trie",
    "vqa_prev_output_plain_480",
]
COLUMNS = TABLES | {"image_classify": ("image", "label", "name")}


@pytest.fixture(scope="module")
def recorded(golden):
    return json.loads((golden / "dataset/datasets.json").read_text())


@pytest.fixture(scope="module")
def pixels(golden):
    with np.load(golden / "dataset/patch_images_f16.npz") as arrays:
        yield arrays


@pytest.mark.parametrize("case", CASES)
def test_pixels_equal_the_originals(golden, recorded, pixels, tmp_path, case):
    run = recorded[case]
    shutil.copy(golden / "dataset/data" / run["tsv"], tmp_path)
    table = Table(tmp_path / run["tsv"], COLUMNS[run["tsv"].removesuffix(".tsv")])
    imagenet = run["kwargs"].get("imagenet_default_mean_and_std")
    mean, std = (IMAGENET_MEAN, IMAGENET_STD) if imagenet else (MEAN, STD)
    for row, sample in zip(table, run["samples"], strict=False):
        expected = sample["patch_image"]
        image = normalize(resize(decode(row["image"]), run["kwargs"]["patch_image_size"]), mean, std)
        assert list(image.shape) == expected["shape"] and image.dtype == torch.float32
        assert image.flatten()[expected["flat_index"]].tolist() == expected["flat_value"]
        levels = image.mul(127.5).add(127.5).round().to(torch.int16).contiguous()
        assert hashlib.sha256(levels.numpy().tobytes()).hexdigest() == expected["sha256_u8"]
        if "npz_key" in expected:
            assert np.array_equal(image.half().numpy(), pixels[expected["npz_key"]])


def test_every_recorded_array_is_compared(recorded, pixels):
    keys = {s["patch_image"].get("npz_key") for case in CASES for s in recorded[case]["samples"]}
    assert keys >= set(pixels.files)


def test_batches_normalize_like_single_pictures():
    images = torch.randint(0, 256, (2, 3, 5, 7), dtype=torch.uint8)
    batch = normalize(images, IMAGENET_MEAN, IMAGENET_STD)
    for image, expected in zip(images, batch, strict=True):
        for channel in range(3):
            value = (image[channel].double() / 255 - IMAGENET_MEAN[channel]) / IMAGENET_STD[channel]
            torch.testing.assert_close(expected[channel].double(), value, atol=1e-6, rtol=1e-6)


def test_the_fast_way_stays_close_on_smooth_pictures():
    y, x = np.mgrid[0:300, 0:400].astype(np.float32)
    waves = np.stack([np.sin(x / 15), np.cos(y / 12), np.sin((x + y) / 20)], -1) * 100 + 128
    image = Image.fromarray(waves.astype(np.uint8))
    exact, fast = resize(image, 256), resize(image, 256, fast=True)
    assert exact.shape == fast.shape == (3, 256, 256)
    assert (exact.int() - fast.int()).abs().max() <= 2
