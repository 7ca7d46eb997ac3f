"""A folder of scenes is whole or not there; wrong settings are named."""

import os
import signal
import subprocess
import sys
import time

import pytest

from ofa.data.scenes import SceneConfig, write_scenes
from ofa.errors import OFAError


def test_a_killed_run_leaves_nothing_half_written(tmp_path, root):
    out = tmp_path / "raw"
    code = (
        "from ofa.data.scenes import SceneConfig, write_scenes;"
        f"write_scenes({str(out)!r}, SceneConfig(train=20000), processes=1)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=root, stderr=subprocess.DEVNULL)
    try:
        partial = tmp_path / ".raw.partial" / "images" / "train"
        deadline = time.monotonic() + 60
        while not (partial.is_dir() and len(os.listdir(partial)) > 20):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not out.exists()
    write_scenes(out, SceneConfig(train=2, val=1, test=1, test_pairs=1), processes=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["raw"]
    assert len(list((out / "images").rglob("*.jpg"))) == 5


def test_an_older_folder_is_replaced(tmp_path):
    out = tmp_path / "raw"
    (out / "images").mkdir(parents=True)
    (out / "images" / "old.jpg").write_bytes(b"old")
    write_scenes(out, SceneConfig(train=1, val=0, test=0, test_pairs=0), processes=1)
    assert [path.name for path in (out / "images").rglob("*.jpg")] == ["000000000001.jpg"]
    assert (
        "OpenMoji" in (out / "LICENSE-artwork").read_text() and "CC BY-SA 4.0" in (out / "LICENSE-artwork").read_text()
    )


def test_an_impossible_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OFAError, match="file/raw"):
        write_scenes(tmp_path / "file" / "raw", SceneConfig(train=1, val=0, test=0, test_pairs=0))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kinds": 3}, "kinds is 3"),
        ({"unseen_pairs": 41}, "unseen_pairs is 41"),
        ({"unseen_pairs": 0}, "test_pairs is 500"),
        ({"sizes": ((128, 8),)}, "sizes is"),
        ({"objects": (0, 0)}, "objects is"),
        ({"size_range": (0.5, 0.4)}, "size_range is"),
        ({"overlap": 0.9}, "overlap is 0.9"),
        ({"backgrounds": ("photo",)}, "backgrounds is .*plain, gradient"),
        ({"languages": ("fr",)}, "languages is .*en, zh"),
        ({"jpeg_quality": 100}, "jpeg_quality is 100"),
        ({"annotator_noise": -1}, "annotator_noise is -1"),
        ({"train": -5}, "train is -5"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(OFAError, match=message):
        SceneConfig(**settings)


def test_settings_may_come_as_lists():
    config = SceneConfig(sizes=[[64, 64]], objects=[1, 1], languages=["zh"])
    assert config == SceneConfig(sizes=((64, 64),), objects=(1, 1), languages=("zh",)) and hash(config)
