"""Archives, as public data come, are unpacked into the layout that the steps read."""

import io
import shutil
import tarfile
import zipfile

import pytest

from components.preprocess.fetch import fetch
from components.preprocess.manifest import Manifest
from ofa.errors import OFAError


@pytest.fixture
def published(raw, tmp_path):
    """The raw data under the names under which COCO is published, in archives."""
    folder = tmp_path / "published"
    folder.mkdir()
    for split in ("train", "val"):
        with zipfile.ZipFile(folder / f"{split}2017.zip", "w") as archive:
            for path in (raw / "images" / split).iterdir():
                archive.write(path, f"{split}2017/{path.name}")
    with tarfile.open(folder / "annotations_trainval2017.tar.gz", "w:gz") as archive:
        for split in ("train", "val"):
            for kind in ("captions", "instances"):
                archive.add(raw / f"annotations/{kind}_{split}.json", f"annotations/{kind}_{split}2017.json")
    return folder


def test_published_archives_give_the_same_tables_as_the_folder(published, raw, tmp_path):
    out = tmp_path / "out"
    manifest = fetch(str(out), source=[str(path) for path in sorted(published.iterdir())])
    wanted = Manifest.load(raw).splits["train"]
    assert manifest.splits["train"] == {name: wanted[name] for name in ("pictures", "caption", "detection")}
    for path in (raw / "images" / "val").iterdir():
        assert (out / "val2017" / path.name).read_bytes() == path.read_bytes()
    assert not list(out.glob("*.zip"))


@pytest.mark.parametrize("name", ["../outside.txt", "/tmp/outside.txt", "a/../../outside.txt"])
def test_a_member_that_would_land_outside_is_refused(name, tmp_path):
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr(name, "evil")
    with pytest.raises(OFAError, match="outside the folder"):
        fetch(str(tmp_path / "data" / "raw"), source=str(tmp_path / "bad.zip"))
    assert not (tmp_path / "outside.txt").exists()
    assert not (tmp_path / "data" / "raw").exists()


@pytest.mark.parametrize(
    ("name", "link", "reason"),
    [("../outside.txt", "", "outside the folder"), ("inside", "..", "no file"), ("inside", "/etc", "no file")],
)
def test_a_tar_member_that_would_land_outside_is_refused(name, link, reason, tmp_path):
    with tarfile.open(tmp_path / "bad.tar", "w") as archive:
        info = tarfile.TarInfo(name)
        if link:
            info.type, info.linkname = tarfile.SYMTYPE, link
            archive.addfile(info)
            info = tarfile.TarInfo(f"{name}/outside.txt")
        info.size = 4
        archive.addfile(info, io.BytesIO(b"evil"))
    with pytest.raises(OFAError, match=rf"bad\.tar: cannot be unpacked: .*{reason}"):
        fetch(str(tmp_path / "data" / "raw"), source=str(tmp_path / "bad.tar"))
    assert not (tmp_path / "data" / "outside.txt").exists()


def test_a_damaged_archive_is_named(published, tmp_path):
    damaged = shutil.copy(published / "train2017.zip", tmp_path / "damaged.zip")
    content = bytearray((tmp_path / "damaged.zip").read_bytes())
    content[len(content) // 3 : len(content) // 3 + 50] = bytes(50)
    (tmp_path / "damaged.zip").write_bytes(content)
    with pytest.raises(OFAError, match=r"damaged\.zip: cannot be unpacked"):
        fetch(str(tmp_path / "raw"), source=str(damaged))
