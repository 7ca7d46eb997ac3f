"""A build that is killed leaves no table; run again it keeps its finished shards and ends with the same bytes."""

import os
import signal
import subprocess
import sys
import time

import pytest

from components.preprocess.assembly import SHARDS
from components.preprocess.tables import STATISTICS, TRAINING, tables


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != STATISTICS
    }


def children(pid):
    found = subprocess.run(["ps", "--ppid", str(pid), "-o", "pid="], capture_output=True, text=True).stdout
    return [int(child) for child in found.split()]


def is_alive(pid):
    try:
        return open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened in time"
        time.sleep(0.01)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_killed_build_goes_on(raw, root, tmp_path, processes):
    out = tmp_path / "tables"
    shards = out.with_name(".tables.partial") / SHARDS
    settings = f"kinds=['vqa'], rows_per_shard=1, processes={processes}"
    code = f"from components.preprocess.tables import tables; tables({str(out)!r}, {str(raw)!r}, {settings})"
    program = f"if __name__ == '__main__':\n    {code}\n"
    (tmp_path / "build.py").write_text(program)
    environment = os.environ | {"PYTHONPATH": str(root)}
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "build.py")], cwd=root, env=environment, stderr=subprocess.DEVNULL
    )
    wait_until(lambda: len(list(shards.glob("*.json"))) >= 5)
    workers = children(process.pid)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not out.exists()
    wait_until(lambda: not any(map(is_alive, workers)))

    # A mark in a finished shard, which is a row here, shows whether that shard is kept.
    marked = next(path for path in sorted(shards.glob("*.tsv")) if path.with_suffix(".json").exists())
    marked.write_bytes(b"X" + marked.read_bytes()[1:])
    tables(str(out), str(raw), kinds=["vqa"], rows_per_shard=1, processes=1)
    assert not shards.parent.exists()
    tables(str(tmp_path / "whole"), str(raw), kinds=["vqa"], processes=1)
    wanted = contents(tmp_path / "whole")
    name, number = marked.stem.rsplit("-", 1)
    lines = wanted[f"{name}.tsv"].splitlines(keepends=True)
    lines[int(number)] = b"X" + lines[int(number)][1:]
    made = contents(out)
    for files in (made, wanted):
        del files[TRAINING]  # hashes of the others
    assert made == wanted | {f"{name}.tsv": b"".join(lines)}


def test_the_number_of_processes_and_shards_changes_no_byte(raw, tmp_path):
    tables(str(tmp_path / "a"), str(raw), kinds=["caption", "refcoco", "text"], processes=1)
    tables(str(tmp_path / "b"), str(raw), kinds=["caption", "refcoco", "text"], processes=2, rows_per_shard=17)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
