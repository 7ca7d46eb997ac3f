"""What did not change is not built again: tables are taken over, but for those that show a changed picture."""

import json

from PIL import Image

from components.preprocess import shards
from components.preprocess.tables import STATISTICS, tables


def inodes(folder):
    return {path.name: path.stat().st_ino for path in folder.glob("*_*.tsv")}


def test_a_second_build_takes_all_tables_over(raw, tmp_path):
    out = tmp_path / "tables"
    first = tables(str(out), str(raw), processes=1)
    before = inodes(out)
    assert tables(str(out), str(raw), processes=1) == first
    assert inodes(out) == before


def test_a_changed_picture_rebuilds_the_tables_that_show_it(spoiled, sign, tmp_path):
    out = tmp_path / "tables"
    tables(str(out), str(spoiled), processes=1)
    before = inodes(out)
    Image.new("RGB", (128, 128), "red").save(spoiled / "images/val/000000000013.jpg")
    tables(str(out), sign(spoiled), processes=1)
    after = inodes(out)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {f"{kind}_val.tsv" for kind in ("caption", "refcoco", "vqa", "vision_language", "detection")}


def test_other_code_builds_all_tables_again(raw, tmp_path, monkeypatch):
    out = tmp_path / "tables"
    tables(str(out), str(raw), kinds=["caption"], processes=1)
    before = inodes(out)
    monkeypatch.setattr(shards, "_code", lambda: "other")
    tables(str(out), str(raw), kinds=["caption"], processes=1)
    after = inodes(out)
    assert all(after[name] != inode for name, inode in before.items())


def test_a_table_that_was_damaged_is_built_again(raw, tmp_path):
    out = tmp_path / "tables"
    tables(str(out), str(raw), kinds=["caption"], processes=1)
    whole = (out / "caption_val.tsv").read_bytes()
    (out / "caption_val.tsv").write_bytes(whole[:-10])
    tables(str(out), str(raw), kinds=["caption"], processes=1)
    assert (out / "caption_val.tsv").read_bytes() == whole


def test_other_limits_leave_nothing_of_the_old_build(raw, tmp_path):
    out = tmp_path / "tables"
    tables(str(out), str(raw), processes=1)
    tables(str(out), str(raw), kinds=["caption"], splits=["val"], processes=1)
    assert [path.name for path in out.glob("*_*.tsv")] == ["caption_val.tsv"]
    assert list(json.loads((out / STATISTICS).read_text())["tables"]) == ["caption_val"]
