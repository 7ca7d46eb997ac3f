"""Fetching makes a folder whose manifest says exactly what is in it, and names what is missing."""

import hashlib
import json
import shutil

import pytest

from components.preprocess.fetch import fetch
from components.preprocess.manifest import NAME, Manifest
from ofa.errors import OFAError


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_manifest_has_every_file_with_its_size_and_hash(raw):
    manifest = Manifest.load(raw)
    found = contents(raw)
    del found[NAME]
    assert manifest.files == {
        path: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()} for path, content in found.items()
    }


def test_the_manifest_counts_what_is_in_the_annotations(raw):
    manifest = Manifest.load(raw)
    captions = json.loads((raw / "annotations/captions_train.json").read_text())
    questions = json.loads((raw / "vqa/questions_val.json").read_text())
    assert manifest.splits["train"]["caption"] == len(captions["annotations"])
    assert manifest.splits["train"]["pictures"] == 12
    assert manifest.splits["val"]["vqa"] == len(questions["questions"])
    assert "CC BY-SA" in (raw / manifest.license).read_text()


def test_the_same_settings_give_the_same_bytes(raw, tmp_path):
    manifest = Manifest.load(raw)
    again = fetch(str(tmp_path / "raw"), scenes={"train": 12, "val": 4, "test": 3, "test_pairs": 2})
    assert again == manifest
    assert contents(tmp_path / "raw") == contents(raw)


def test_a_folder_takes_the_same_path_as_the_built_in_data(raw, tmp_path):
    source = shutil.copytree(raw, tmp_path / "source")
    assert (source / NAME).is_file(), "the folder of another fetch is a source like any other"
    (source / ".DS_Store").write_text("hidden")
    manifest = fetch(str(tmp_path / "copy"), source=str(source), license="CC BY 4.0")
    assert manifest.files == Manifest.load(raw).files
    assert manifest.splits == Manifest.load(raw).splits
    assert manifest.license == "CC BY 4.0"
    assert not (tmp_path / "copy" / ".DS_Store").exists()


def test_what_is_whole_and_unchanged_is_not_copied_again_but_a_change_is(raw, tmp_path):
    source = shutil.copytree(raw, tmp_path / "source")
    copy = tmp_path / "copy"
    fetch(str(copy), source=str(source))
    before = (copy / "LICENSE-artwork").stat().st_ino
    fetch(str(copy), source=str(source))
    assert (copy / "LICENSE-artwork").stat().st_ino == before
    (source / "LICENSE-artwork").write_text("other terms")
    fetch(str(copy), source=str(source))
    assert (copy / "LICENSE-artwork").read_text() == "other terms"


def test_a_copy_that_lost_a_file_is_made_again(raw, tmp_path):
    source = shutil.copytree(raw, tmp_path / "source")
    copy = tmp_path / "copy"
    fetch(str(copy), source=str(source))
    (copy / "LICENSE-artwork").unlink()
    fetch(str(copy), source=str(source))
    assert (copy / "LICENSE-artwork").exists()


@pytest.mark.parametrize(
    "source, named",
    [
        ("/no/such/folder", "/no/such/folder"),
        ("nowhere://bucket/data", "nowhere://bucket/data"),
        (["/no/such/folder", "scenes"], "/no/such/folder"),
    ],
)
def test_a_missing_source_is_named(source, named, tmp_path):
    with pytest.raises(OFAError, match=named):
        fetch(str(tmp_path / "raw"), source=source)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_known_annotations_is_refused(tmp_path):
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "notes.txt").write_text("nothing")
    with pytest.raises(OFAError, match="no annotations of a known name"):
        fetch(str(tmp_path / "raw"), source=str(tmp_path / "source"))
    assert not (tmp_path / "raw").exists()


def test_a_mistyped_scene_setting_is_named_with_the_nearest_one(tmp_path):
    with pytest.raises(OFAError, match="unknown key 'trian', did you mean 'train'"):
        fetch(str(tmp_path / "raw"), scenes={"trian": 3})


def test_a_folder_with_other_content_is_not_replaced(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter.txt").write_text("dear")
    with pytest.raises(OFAError, match="was not made by this step"):
        fetch(str(tmp_path / "home"), scenes={"train": 4, "val": 0, "test": 0, "test_pairs": 0})
    assert (tmp_path / "home" / "letter.txt").read_text() == "dear"


def test_two_sources_with_a_file_of_one_name_are_refused(raw, tmp_path):
    with pytest.raises(OFAError, match="the same name"):
        fetch(str(tmp_path / "out"), source=[str(raw), str(raw)])


def test_a_file_that_changed_since_is_noticed(spoiled):
    (spoiled / "LICENSE-artwork").write_text("short")
    with pytest.raises(OFAError, match="LICENSE-artwork: has 5 bytes"):
        Manifest.load(spoiled)
