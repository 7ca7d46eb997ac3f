"""Where numbers come from."""

import hashlib
import subprocess

import pytest

from components.lineage import checkpoint_hash, dvc_hash, git_commit, params_hash, table_hash, versions
from ofa.errors import OFAError


def test_a_checkpoint_is_its_configuration_and_weights(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"12345")
    before = checkpoint_hash(tmp_path)
    assert before[1] == 7
    (tmp_path / "README.md").write_text("a card")
    (tmp_path / "optimizer.pt").write_bytes(b"state")
    assert checkpoint_hash(tmp_path) == before
    (tmp_path / "model.safetensors").write_bytes(b"12346")
    assert checkpoint_hash(tmp_path)[0] != before[0]


def test_a_file_is_its_content(tmp_path):
    (tmp_path / "ofa.pt").write_bytes(b"weights")
    assert checkpoint_hash(tmp_path / "ofa.pt") == (hashlib.sha256(b"weights").hexdigest(), 7)


def test_a_missing_checkpoint_is_named(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(OFAError, match="no checkpoint there"):
        checkpoint_hash(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"the port's weights")
    assert checkpoint_hash(tmp_path)[1] == 20


def test_a_table_is_the_same_in_one_file_or_in_shards(tmp_path):
    for name, content in (("whole", b"1\n2\n3\n"), ("a", b"1\n"), ("b", b"2\n3\n")):
        (tmp_path / name).write_bytes(content)
    assert table_hash([tmp_path / "whole"]) == table_hash([tmp_path / "a", tmp_path / "b"])
    assert table_hash([tmp_path / "whole"]) == hashlib.sha256(b"1\n2\n3\n").hexdigest()


def test_parameters_are_what_the_file_says(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("a: 1\nb: {c: 2, d: 3}\n")
    first = params_hash(path)
    path.write_text("# a comment\nb:\n  d: 3\n  c: 2\na: 1\n")
    assert params_hash(path) == first
    path.write_text("a: 2\nb: {c: 2, d: 3}\n")
    assert params_hash(path) != first
    assert params_hash(tmp_path / "none.yaml") is None


def test_the_commit_tells_of_changed_code_only(tmp_path):
    def git(*arguments):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        subprocess.run(["git", "-C", str(tmp_path), *identity, *arguments], check=True, capture_output=True)

    assert git_commit(tmp_path) is None
    git("init")
    (tmp_path / "code.py").write_text("1")
    (tmp_path / "metrics.json").write_text("1")
    git("add", ".")
    git("commit", "-m", "first")
    commit = git_commit(tmp_path)
    assert len(commit) == 40
    (tmp_path / "metrics.json").write_text("2")
    assert git_commit(tmp_path) == commit
    (tmp_path / "code.py").write_text("2")
    assert git_commit(tmp_path) == f"{commit}-dirty"


def test_the_hash_that_dvc_knows(tmp_path):
    lock = tmp_path / "dvc.lock"
    lock.write_text(
        "stages:\n  tables:\n    cmd: x\n    outs:\n    - path: data/tables\n      md5: aaa.dir\n"
        "  other:\n    cmd: y\n    outs:\n    - path: data/one.tsv\n      md5: bbb\n"
    )
    assert dvc_hash("data/tables/caption_test.tsv", lock) == "aaa.dir"
    assert dvc_hash("data/one.tsv", lock) == "bbb"
    assert dvc_hash("data/two.tsv", lock) is None
    assert dvc_hash("data/one.tsv", tmp_path / "none.lock") is None


def test_versions_of_what_is_installed():
    assert set(versions(["torch", "no-such-package"])) == {"torch"}
