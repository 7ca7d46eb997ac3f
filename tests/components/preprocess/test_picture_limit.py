"""Pictures larger than `max_image_side` are made smaller in the tables, with their boxes; others stay as they are."""

import base64
import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from components.preprocess.manifest import NAME, describe
from components.preprocess.parts import build_part
from components.preprocess.tables import tables
from ofa.data import TABLES, Table
from ofa.data.images import decode, measure
from ofa.data.shrink import shrink
from ofa.errors import OFAError

LIMIT = 128  # most pictures are larger
KINDS = ("refcoco", "detection", "vision_language")


@pytest.fixture(scope="module")
def enlarged(raw, tmp_path_factory):
    """Raw data in which the largest picture of validation is four times as large, and so are its boxes."""
    folder = tmp_path_factory.mktemp("large") / "raw"
    shutil.copytree(raw, folder)
    path = folder / largest(raw)
    width, height = measure(path.read_bytes())
    Image.open(path).resize((4 * width, 4 * height)).save(path, quality=90)
    for name in ("annotations/instances_val.json", "refcoco/instances.json"):
        content = json.loads((folder / name).read_text())
        for annotation in content["annotations"]:
            if annotation["image_id"] == int(path.stem):
                annotation["bbox"] = [4 * edge for edge in annotation["bbox"]]
        (folder / name).write_text(json.dumps(content))
    manifest = json.loads((folder / NAME).read_text())
    manifest["files"] = describe(folder, manifest["files"])
    (folder / NAME).write_text(json.dumps(manifest))
    return folder


def side(path):
    return max(measure(path.read_bytes()))


def largest(raw):
    """The picture of validation with the longest side, relative to the raw data."""
    return max((raw / "images/val").iterdir(), key=side).relative_to(raw)


def rows(folder, kind):
    return {row["uniq_id"]: dict(row) for row in Table(folder / f"{kind}_val.tsv", TABLES[kind])}


def build(raw, out, **settings):
    tables(str(out), str(raw), kinds=list(KINDS), splits=["val"], processes=1, **settings)
    return out


def boxes(kind, row):
    text = row[{"refcoco": "box", "detection": "boxes", "vision_language": "answers"}[kind]]
    return np.array([[float(edge) for edge in part.split(",")[:4]] for part in text.split("&&")])


def test_without_a_limit_every_file_is_kept(enlarged, tmp_path):
    build(enlarged, tmp_path / "out")
    files = {path.read_bytes() for path in (enlarged / "images/val").iterdir()}
    found = {base64.b64decode(bytes(row["image"])) for row in rows(tmp_path / "out", "detection").values()}
    assert found == files
    statistics = json.loads((tmp_path / "out/statistics.json").read_text())["tables"]
    assert {table["statistics"]["shrunk"] for table in statistics.values()} == {0}


def test_larger_pictures_and_their_boxes_become_smaller(raw, enlarged, tmp_path):
    limit = side(raw / largest(raw))
    before, after = build(raw, tmp_path / "before"), build(enlarged, tmp_path / "after", max_image_side=limit)
    file = (raw / largest(raw)).read_bytes()
    statistics = json.loads((after / "statistics.json").read_text())["tables"]
    for kind in KINDS:
        wanted, found = rows(before, kind), rows(after, kind)
        assert list(wanted) == list(found)
        changed = 0
        for uniq_id, row in wanted.items():
            other = found[uniq_id]
            if base64.b64decode(bytes(row["image"])) != file:
                assert row == other, "a picture within the limit is the same file"
                continue
            changed += 1
            assert measure(other["image"]) == measure(file)
            if kind != "vision_language" or row["type"] == "visual_grounding":
                np.testing.assert_allclose(boxes(kind, other), boxes(kind, row), atol=0.011)
            # The picture is the same but for what two more JPEG files and resizing took.
            pixels = [np.asarray(decode(bytes(r["image"])), dtype=float) for r in (row, other)]
            assert np.abs(pixels[0] - pixels[1]).mean() < 8
        assert statistics[f"{kind}_val"]["statistics"]["shrunk"] == changed > 0
        sizes = statistics[f"{kind}_val"]["statistics"]["counts"]["picture_size"]
        assert all(max(map(int, size.split("x"))) <= limit for size in sizes)


def test_another_limit_builds_anew_and_parts_obey_it(enlarged, tmp_path):
    build(enlarged, tmp_path / "out")
    build(enlarged, tmp_path / "out", max_image_side=LIMIT)
    selection = {"kinds": list(KINDS), "splits": ["val"]}
    build_part(str(tmp_path / "part"), str(enlarged), max_image_side=LIMIT, processes=1, **selection)
    build(enlarged, tmp_path / "joined", max_image_side=LIMIT, parts=[str(tmp_path / "part")])
    for kind in KINDS:
        name = f"{kind}_val.tsv"
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "joined" / name).read_bytes()
        assert max(measure(row["image"])[0] for row in rows(tmp_path / "out", kind).values()) <= LIMIT


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_the_format_and_the_proportions_stay(format):
    file = io.BytesIO()
    Image.new("RGB", (300, 100), "red").save(file, format)
    content = file.getvalue()
    assert shrink(content, 300) is content
    smaller = Image.open(io.BytesIO(shrink(content, 150)))
    assert (smaller.format, smaller.size) == (format, (150, 50))
    assert np.abs(np.asarray(smaller, dtype=int) - [255, 0, 0]).max() < 8


def test_a_limit_that_leaves_nothing_to_see_is_refused(raw, tmp_path):
    with pytest.raises(OFAError, match=r"max_image_side is 10; it must be 0 \(no limit\) or at least 64 pixels"):
        tables(str(tmp_path / "out"), str(raw), max_image_side=10)
