"""The step "image codes": rows, crops and codes are what they should be, and a run goes on where it stopped."""

import io
import json

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from typer.testing import CliRunner

from components.preprocess.codes import codes
from ofa.checkpoint.vqgan import load_vqgan, save_vqgan
from ofa.data import TABLES, Table, TableWriter
from ofa.data.images import decode, encode_base64
from ofa.errors import OFAError
from ofa.model.vqgan import VQGAN, VQGANConfig
from ofa.tasks import create
from pipelines.cli import app


def picture(number, size=(48, 32)):
    image = Image.new("RGB", size, (number * 60 % 256, 200, 255 - number * 50 % 256))
    ImageDraw.Draw(image).ellipse((number, 2, number + 20, 22), (255, number * 80 % 256, 0))
    content = io.BytesIO()
    image.save(content, "PNG")
    return content.getvalue()


@pytest.fixture(scope="module")
def vqgan(tmp_path_factory):
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("vqgan")
    save_vqgan(folder, VQGAN(VQGANConfig.preset("nano", channels=8, code_dim=8, codes=64)))
    return folder


@pytest.fixture
def tables(tmp_path):
    """Three pictures with two captions each, and the same three in a table of detection; the last is square."""
    folder = tmp_path / "tables"
    sizes = {0: (48, 32), 1: (40, 64), 2: (32, 32)}
    images = {number: encode_base64(picture(number, size)) for number, size in sizes.items()}
    for split in ("train", "test"):
        with TableWriter(folder / f"caption_{split}.tsv", TABLES["caption"]) as writer:
            for number, image in images.items():
                for name in "ab":
                    caption = f"Picture {number}{name.upper()} "
                    values = (f"{number}{name}", str(number), caption, "", image)
                    writer.write(dict(zip(TABLES["caption"], values, strict=True)))
    with TableWriter(folder / "detection_train.tsv", TABLES["detection"]) as writer:
        for number, image in images.items():
            writer.write({"uniq_id": str(number), "image": image, "boxes": "0,0,9,9,1,ball"})
    return folder


def read(out, kind, split, suffix=""):
    return list(Table(out / f"{kind}_{split}{suffix}.tsv", TABLES[kind]))


def pixels(image):
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] / 127.5 - 1


def test_rows_of_text_to_image(tables, vqgan, tmp_path):
    out = tmp_path / "codes"
    described = codes(str(out), str(tables), str(vqgan), image_size=32)
    assert {name: file["rows"] for name, file in described.items()} == {
        "image_gen_train.tsv": 6, "image_gen_test.tsv": 3, "image_train.tsv": 3,
    }  # fmt: skip
    train, test = read(out, "image_gen", "train"), read(out, "image_gen", "test")
    assert [row["uniq_id"] for row in train] == ["0a", "0b", "1a", "1b", "2a", "2b"]
    assert [(row["uniq_id"], row["caption"]) for row in test] == [
        ("0a", "picture 0a"), ("1a", "picture 1a"), ("2a", "picture 2a"),
    ]  # fmt: skip
    net = load_vqgan(out / "vqgan")
    squares = [
        Image.open(io.BytesIO(picture(0))).crop((8, 0, 40, 32)),
        Image.open(io.BytesIO(picture(1, (40, 64)))).resize((32, 51), Image.Resampling.LANCZOS).crop((0, 9, 32, 41)),
    ]
    for row, square in zip(test, squares, strict=False):
        with torch.inference_mode():
            assert row["codes"] == " ".join(map(str, net.encode(pixels(square)).flatten().tolist()))
        assert create("image_gen", {"code_image_size": 32}).sample(row, True, None).target.shape == (17,)


def test_rows_of_image_infilling_have_the_codes_of_their_own_middle(tables, vqgan, tmp_path):
    out = tmp_path / "codes"
    codes(str(out), str(tables), str(vqgan), image_size=32, kinds=["image"])
    net = load_vqgan(vqgan)
    for row in read(out, "image", "train"):
        stored = decode(row["image"])
        assert stored.size == (32, 32)
        with torch.inference_mode():
            middle = net.encode(pixels(stored)[:, :, 8:24, 8:24])
        assert row["codes"] == " ".join(map(str, middle.flatten().tolist()))
    assert bytes(read(out, "image", "train")[2]["image"]).decode() == encode_base64(picture(2, (32, 32)))
    task = create("image_infilling", {"patch_image_size": 32})
    assert task.sample(row, True, None).reference == [int(code) for code in row["codes"].split()]


def test_shards_are_the_whole(tables, vqgan, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    codes(str(whole), str(tables), str(vqgan), image_size=32, kinds=["image_gen"], splits=["train"])
    for shard in range(4):
        codes(
            str(parts), str(tables), str(vqgan), image_size=32, kinds=["image_gen"], splits=["train"], shard=shard,
            shards=4,
        )  # fmt: skip
    joined = b"".join(path.read_bytes() for path in sorted(parts.glob("*.tsv")))
    assert joined == (whole / "image_gen_train.tsv").read_bytes()


def test_what_is_made_is_kept_until_something_changes(tables, vqgan, tmp_path):
    def run(size=32):
        codes(str(tmp_path / "codes"), str(tables), str(vqgan), image_size=size, kinds=["image"])
        return (tmp_path / "codes" / "image_train.tsv").stat().st_ino

    first = run()
    assert run() == first
    (tmp_path / "codes" / "image_train.json").unlink()  # as if interrupted between the two
    second = run()
    assert second != first
    assert run(16) != second


def test_bad_pictures_are_put_aside_up_to_a_limit(tables, vqgan, tmp_path):
    with open(tables / "detection_train.tsv", "a", encoding="utf-8") as file:
        file.write(f"bad\t{encode_base64(b'no picture')}\t0,0,1,1,1,ball\n")
    out = tmp_path / "codes"
    with pytest.raises(OFAError, match=r"detection_train.tsv, row 3 \(uniq-id bad\).*raise max_bad_rows"):
        codes(str(out), str(tables), str(vqgan), image_size=32, kinds=["image"])
    assert not (out / "image_train.tsv").exists()
    described = codes(str(out), str(tables), str(vqgan), image_size=32, kinds=["image"], max_bad_rows=1)
    assert described["image_train.tsv"]["rows"] == 3
    ((row, uniq_id, reason),) = described["image_train.tsv"]["rejected"]
    assert (row, uniq_id) == (3, "bad") and "not a readable" in reason
    assert json.loads((out / "image_train.json").read_text())["rows"] == 3


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--image-size", "40"], "image_size must be a multiple of 16, got 40"),
        (["--shard", "2", "--shards", "2"], "shard must be 0 to 1 of 2 shards, got 2"),
        (["--kind", "image_gn"], "no table of codes 'image_gn', did you mean 'image_gen'?"),
        (["--split", "val"], "no table to make codes of (caption_val.tsv or detection_val.tsv)"),
        (["--vqgan", "absent"], "no checkpoint at absent"),
    ],
)
def test_wrong_arguments_are_told_in_one_line(tables, vqgan, tmp_path, monkeypatch, arguments, reason):
    monkeypatch.chdir(tmp_path)
    given = ["data", "codes", "--tables", str(tables), "--vqgan", str(vqgan), "--image-size", "32", *arguments]
    result = CliRunner().invoke(app, given)
    assert result.exit_code == 1 and reason in result.stderr and result.stderr.count("\n") == 1


def test_the_command(tables, vqgan, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = ["data", "codes", "--tables", str(tables), "--vqgan", str(vqgan), "--image-size", "32", "--split", "test"]
    result = CliRunner().invoke(app, given)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("image_gen_test.tsv") and "3 rows        3 pictures" in result.stdout
