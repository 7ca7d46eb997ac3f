"""A row of a table can be printed and drawn, and a table taken apart into what it was made of."""

import json

import pytest
from PIL import Image, ImageChops

from components.preprocess.show import ANNOTATIONS, show, unpack
from components.preprocess.tables import tables
from ofa.data import TABLES, RowError, Table, TableWriter
from ofa.data.images import encode_base64
from ofa.errors import OFAError


@pytest.fixture(scope="module")
def built(raw, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables") / "tables"
    tables(str(folder), str(raw), splits=["val"], processes=1)
    return folder


def test_a_row_is_given_with_a_description_of_its_picture(built):
    row = show(str(built / "vqa_val.tsv"), 2)
    wanted = Table(built / "vqa_val.tsv", TABLES["vqa"])[2]
    assert {name: value for name, value in row.items() if name != "image"} == {
        name: value for name, value in wanted.items() if name != "image"
    }
    assert " pixels, " in row["image"]
    assert show(str(built / "text_val.tsv"), -1)["text"]


def test_the_box_is_drawn_where_it_is(tmp_path):
    content = tmp_path / "gray.png"
    Image.new("RGB", (500, 500), "gray").save(content)
    with TableWriter(tmp_path / "refcoco_val.tsv", TABLES["refcoco"]) as writer:
        image = encode_base64(content.read_bytes())
        writer.write({"uniq_id": "1", "image_id": "1", "text": "", "box": "100,150,300,400", "image": image})
    show(str(tmp_path / "refcoco_val.tsv"), 0, str(tmp_path / "row.png"))
    drawn = Image.open(tmp_path / "row.png").convert("RGB")
    assert drawn.size == (500, 500)
    changed = ImageChops.difference(drawn, Image.new("RGB", (500, 500), "gray")).getbbox()
    assert changed == pytest.approx((100, 150, 300, 400), abs=3)


def test_texts_stand_below_the_picture(built, tmp_path):
    show(str(built / "caption_val.tsv"), 0, str(tmp_path / "row.png"))
    picture = Table(built / "caption_val.tsv", TABLES["caption"])[0]
    assert "caption" in picture
    width, height = Image.open(tmp_path / "row.png").size
    assert height > max(480, width)


@pytest.mark.parametrize("row", [4, 100, -5])
def test_a_row_that_is_not_there_is_named(built, row):
    with pytest.raises(OFAError, match=f"no row {row}; it has 4 rows"):
        show(str(built / "caption_val.tsv"), row)


def test_a_broken_picture_is_named_with_its_row(built, tmp_path):
    lines = (built / "caption_val.tsv").read_bytes().splitlines(keepends=True)
    fields = lines[1].split(b"\t")
    (tmp_path / "caption_val.tsv").write_bytes(lines[0] + b"\t".join(fields[:4]) + b"\tAAAA\n")
    with pytest.raises(RowError, match=r"row 1 \(uniq-id 14\): not a readable"):
        show(str(tmp_path / "caption_val.tsv"), 1)


def test_a_table_of_another_name_needs_its_kind(built, tmp_path):
    (tmp_path / "mine.tsv").write_bytes((built / "caption_val.tsv").read_bytes())
    with pytest.raises(OFAError, match="a table's name must be"):
        show(str(tmp_path / "mine.tsv"), 0)
    assert show(str(tmp_path / "mine.tsv"), 0, kind="caption")["caption"]


@pytest.mark.parametrize("kind", ["caption", "refcoco", "vqa", "vision_language", "detection", "text"])
def test_unpacking_gives_pictures_and_annotations_again(built, raw, tmp_path, kind):
    path = built / f"{kind}_val.tsv"
    count = unpack(str(path), str(tmp_path / "out"))
    records = [json.loads(line) for line in (tmp_path / "out" / ANNOTATIONS).read_text().splitlines()]
    table = Table(path, TABLES[kind])
    assert count == len(records) == len(table)
    sources = {file.read_bytes() for file in (raw / "images/val").iterdir()}
    for record, row in zip(records, table, strict=True):
        if kind != "text":
            content = (tmp_path / "out" / record.pop("image")).read_bytes()
            assert content in sources
            assert encode_base64(content).encode() == row["image"]
        assert record == {name: value for name, value in row.items() if name != "image"}


def test_two_pictures_of_one_id_do_not_overwrite_each_other(tmp_path):
    with TableWriter(tmp_path / "caption_val.tsv", TABLES["caption"]) as writer:
        for number, color in enumerate(("red", "blue")):
            Image.new("RGB", (32, 32), color).save(tmp_path / "picture.png")
            image = encode_base64((tmp_path / "picture.png").read_bytes())
            row = {"uniq_id": str(number), "image_id": "a/../b", "caption": color, "objects": "", "image": image}
            writer.write(row)
    unpack(str(tmp_path / "caption_val.tsv"), str(tmp_path / "out"))
    for line in (tmp_path / "out" / ANNOTATIONS).read_text().splitlines():
        record = json.loads(line)
        picture = Image.open(tmp_path / "out" / record["image"])
        assert picture.getpixel((0, 0)) == Image.new("RGB", (1, 1), record["caption"]).getpixel((0, 0))
    assert {path.parent.name for path in (tmp_path / "out").rglob("*.png")} == {"images"}
