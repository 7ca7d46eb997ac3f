"""The same settings give the same bytes."""

import hashlib
from pathlib import Path

from ofa.data.scenes import SceneConfig, write_scenes
from ofa.data.scenes.composition import compose


def digest(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_bytes_do_not_depend_on_the_number_of_processes(tmp_path):
    config = SceneConfig(seed=5, train=130, val=3, test=4, test_pairs=5, languages=("en", "zh"))
    write_scenes(tmp_path / "one", config, processes=1)
    write_scenes(tmp_path / "two", config, processes=2)
    made = digest(tmp_path / "one")
    assert made == digest(tmp_path / "two")
    assert len(made) == 142 + 4 + 2 * (4 + 4 + 4 + 1) + 1 + 1  # images, instances, languages, RefCOCO's, license


def test_an_image_depends_on_its_own_place_alone():
    few, many = SceneConfig(train=10), SceneConfig(train=1000, val=7)
    assert compose(few, "train", 4)[1].tobytes() == compose(many, "train", 4)[1].tobytes()
    pictures = {compose(few, split, index)[1].tobytes() for split in ("train", "val", "test") for index in range(10)}
    assert len(pictures) == 30
    assert compose(few, "train", 4)[1].tobytes() != compose(SceneConfig(seed=1), "train", 4)[1].tobytes()
