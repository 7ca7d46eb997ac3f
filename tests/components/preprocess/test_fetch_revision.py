"""A git revision names the data: fetching gets exactly what DVC tracked there, out of a remote, and says which."""

import os
import shutil
import subprocess

import pytest

from components.preprocess.fetch import fetch
from components.preprocess.manifest import NAME, Manifest
from components.preprocess.origins import origin
from components.preprocess.revision import folder_md5
from ofa.errors import OFAError


@pytest.fixture(scope="module")
def repository(raw, tmp_path_factory):
    """A git repository whose data lie in a DVC remote only: tag `one` has them as they are, tag `two` changed."""
    root = tmp_path_factory.mktemp("repository")

    def run(*words):
        subprocess.run(words, cwd=root, check=True, capture_output=True)

    def publish(tag):
        run("dvc", "add", "data/raw")
        run("git", "add", ".")
        run("git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-m", tag)
        run("git", "tag", tag)
        run("dvc", "push")

    run("git", "init", "-q")
    run("dvc", "init", "-q")
    run("dvc", "remote", "add", "-d", "store", str(tmp_path_factory.mktemp("remote")))
    shutil.copytree(raw, root / "data/raw")
    publish("one")
    (root / "data/raw/LICENSE-artwork").write_text("other terms")
    publish("two")
    shutil.rmtree(root / "data/raw")
    shutil.rmtree(root / ".dvc/cache")
    return root


def test_each_revision_brings_its_own_data(repository, raw, tmp_path):
    one = fetch(str(tmp_path / "one"), source=str(repository), revision="one")
    two = fetch(str(tmp_path / "two"), source=str(repository), revision="two")
    assert one.files == Manifest.load(raw).files
    assert (tmp_path / "two/LICENSE-artwork").read_text() == "other terms"
    assert one.version != two.version
    head = subprocess.check_output(["git", "rev-parse", "two"], cwd=repository, text=True).strip()
    assert two.settings == {"version": two.version, "commit": head, "path": "data/raw"}


def test_the_version_is_known_before_anything_is_downloaded_and_is_that_of_dvc(repository, tmp_path):
    known = origin([str(repository)], revision="one").settings["version"]
    assert known in subprocess.check_output(["git", "show", "one:data/raw.dvc"], cwd=repository, text=True)
    assert fetch(str(tmp_path / "one"), source=str(repository), revision="one").version == known


def test_our_hash_of_a_folder_is_that_of_dvc(repository, raw):
    tracked = subprocess.check_output(["git", "show", "one:data/raw.dvc"], cwd=repository, text=True)
    assert folder_md5(raw) in tracked
    assert (raw / NAME).is_file()


def test_a_file_that_changed_in_the_remote_is_noticed(repository, tmp_path):
    copy = shutil.copytree(repository, tmp_path / "copy")
    store = subprocess.check_output(["dvc", "remote", "list"], cwd=copy, text=True).split()[1]
    remote = shutil.copytree(store, tmp_path / "remote")
    subprocess.run(["dvc", "remote", "modify", "store", "url", str(remote)], cwd=copy, check=True, capture_output=True)
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qam", "x"], cwd=copy, check=True)
    picture = max((path for path in remote.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    picture.chmod(0o644)
    picture.write_bytes(picture.read_bytes()[:-1] + b"?")
    with pytest.raises(OFAError, match="was asked for|cannot get"):
        fetch(str(tmp_path / "out"), source=str(copy), revision="HEAD")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "settings, reason",
    [
        ({"revision": "three"}, "cannot get data/raw at revision three"),
        ({"revision": "one", "path": "data/row"}, "cannot get data/row at revision one"),
    ],
)
def test_what_is_not_there_is_named(repository, tmp_path, settings, reason):
    with pytest.raises(OFAError, match=reason):
        fetch(str(tmp_path / "out"), source=str(repository), **settings)


@pytest.mark.parametrize("settings", ["[core\nbare = false\n", '[core]\n\tx = "y\n', "bare = false\n"])
def test_settings_of_git_that_cannot_be_read_are_named(repository, tmp_path, settings):
    copy = shutil.copytree(repository, tmp_path / "copy")
    (copy / ".git" / "config").write_text(settings)
    with pytest.raises(OFAError, match=rf"^{copy}/.git/config: cannot be read by git: .+; mend it, or clone"):
        fetch(str(tmp_path / "out"), source=str(copy), revision="one")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to somebody else")
def test_a_repository_of_somebody_else_is_named(tmp_path, monkeypatch):
    """Git reads it only where the settings of the user, here none, call it safe."""
    monkeypatch.setenv("HOME", str(tmp_path))
    subprocess.run(["git", "init", "-q", tmp_path / "other"], check=True)
    for path in [tmp_path / "other", *(tmp_path / "other").rglob("*")]:
        os.chown(path, 1234, 1234)
    with pytest.raises(OFAError, match=r"other: cannot get data/raw at revision one: .* not owned by current user"):
        fetch(str(tmp_path / "out"), source=str(tmp_path / "other"), revision="one")
