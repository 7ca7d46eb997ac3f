"""Rows that cannot be written are counted and noted; too many of them, or a full disk, stop the build."""

import json
import os
import subprocess

import pytest

from components.preprocess.quarantine import read_rejected
from components.preprocess.tables import tables
from ofa.errors import OFAError


@pytest.fixture
def bad(spoiled, edit, sign):
    """Raw data with a picture that is none and a box beside its picture."""
    (spoiled / "images/val/000000000014.jpg").write_bytes(b"no picture")

    def move(content):
        for annotation in content["annotations"]:
            if annotation["image_id"] == 13:
                annotation["bbox"][0] = 5000

    edit(spoiled / "refcoco/instances.json", move)
    return sign(spoiled)


def test_rows_that_cannot_be_written_are_noted(bad, tmp_path):
    settings = {"kinds": ["caption", "refcoco"], "splits": ["val"], "processes": 1}
    statistics = tables(str(tmp_path / "t"), bad, max_bad_rows=100, **settings)
    rejected = read_rejected(tmp_path / "t")
    assert rejected["caption_val"] == {"14": "000000000014.jpg: not a readable JPEG, PNG or WEBP picture"}
    reasons = set(rejected["refcoco_val"].values())
    assert any("lies in the picture of" in reason for reason in reasons)
    assert statistics["rejected_rows"] == sum(map(len, rejected.values()))
    counted = statistics["tables"]["refcoco_val"]
    assert [tuple(entry[1:]) for entry in counted["rejected"]] == list(rejected["refcoco_val"].items())


def test_too_many_of_them_stop_with_examples(bad, tmp_path):
    with pytest.raises(OFAError, match=r"1 rows cannot be written \(caption_val/14\), max_bad_rows is 0"):
        tables(str(tmp_path / "t"), bad, kinds=["caption"], processes=1)
    assert not (tmp_path / "t").exists()


def test_a_picture_that_is_gone_is_named(spoiled, tmp_path):
    (spoiled / "images/val/000000000014.jpg").unlink()
    with pytest.raises(OFAError, match=r"000000000014.jpg: is missing.*fetch the data again"):
        tables(str(tmp_path / "t"), str(spoiled), processes=1)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 300 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_too_small_is_told_before_anything_is_built(raw, small_disk):
    with pytest.raises(OFAError, match="not enough disk space for .*needed"):
        tables(str(small_disk / "tables"), str(raw), processes=1)
    assert [name for name in os.listdir(small_disk) if not name.startswith(".")] == []


def test_a_disk_that_fills_up_meanwhile_leaves_nothing_half_written(raw, small_disk, tmp_path, monkeypatch):
    # Others may fill the disk after the check, so the check is passed over here.
    monkeypatch.setattr("components.preprocess.assembly.ensure_space", lambda path, needed: None)
    with pytest.raises(OFAError, match="no space left on the disk while writing"):
        tables(str(small_disk / "tables"), str(raw), processes=1, rows_per_shard=20)
    assert not (small_disk / "tables").exists()
    shards = small_disk / ".tables.partial" / "shards"
    for description in shards.glob("*.json"):
        size = json.loads(description.read_text())["statistics"]["bytes"]
        assert description.with_suffix(".tsv").stat().st_size == size


def test_a_place_that_cannot_be_written_is_named(raw, tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OFAError, match="cannot write .*file"):
        tables(str(tmp_path / "file" / "tables"), str(raw), processes=1)
