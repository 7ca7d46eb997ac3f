"""Files are whole or absent."""

import hashlib
import os
from pathlib import Path

import pytest

from ofa.errors import OFAError
from ofa.files import atomic_write, ensure_space, sha256_file


def test_the_file_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with atomic_write(path) as file:
        file.write("über\n")
        assert not path.exists()
    assert path.read_bytes() == "über\n".encode()
    assert list(path.parent.iterdir()) == [path]


def test_an_error_keeps_the_old_content_and_leaves_nothing_beside(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(KeyError), atomic_write(path, "wb") as file:
        file.write(b"half")
        raise KeyError("stop")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_permissions_follow_the_umask(tmp_path):
    with atomic_write(tmp_path / "a") as file:
        file.write("x")
    (tmp_path / "b").write_text("x")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_a_full_disk_names_the_file_and_the_space(tmp_path):
    path = tmp_path / "a.bin"
    with pytest.raises(OFAError, match=r"a\.bin: more than 2 kB needed, .* available"):
        with atomic_write(path, "wb") as file, open("/dev/full", "wb", buffering=0) as full:
            file.write(bytes(2000))
            file.flush()
            full.write(b"x")
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_callers_own_files_passes_unchanged(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "a"):
        (tmp_path / "missing").read_text()


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OFAError, match=r"cannot write .*file/a\.txt"), atomic_write(tmp_path / "file" / "a.txt"):
        pass


def test_ensure_space(tmp_path):
    ensure_space(tmp_path / "not" / "there", 1)
    with pytest.raises(OFAError, match=r"not/there: 1e\+06 TB needed"):
        ensure_space(tmp_path / "not" / "there", 10**18)


def test_sha256(tmp_path):
    content = os.urandom(3_000_000)
    Path(tmp_path / "a").write_bytes(content)
    assert sha256_file(tmp_path / "a") == hashlib.sha256(content).hexdigest()
