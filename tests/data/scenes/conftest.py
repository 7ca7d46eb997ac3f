"""A small set of scenes, made once, and its files read plainly."""

import json
import pickle
from collections import defaultdict
from pathlib import Path

import pytest

from ofa.data.scenes import SceneConfig, write_scenes

SPLITS = ("train", "val", "test", "test_pairs")


class Data:
    """The files of a folder of scenes, by split."""

    def __init__(self, folder: Path, config: SceneConfig):
        self.folder, self.config = folder, config
        self.instances = {split: self._json(f"annotations/instances_{split}.json") for split in SPLITS}
        self.captions = {split: self._json(f"annotations/captions_{split}.json") for split in SPLITS}
        self.questions = {split: self._json(f"vqa/questions_{split}.json") for split in SPLITS}
        self.answers = {split: self._json(f"vqa/annotations_{split}.json") for split in SPLITS}
        with open(folder / "refcoco" / "refs(ofa).p", "rb") as file:
            self.refs = pickle.load(file)
        self.images, self.objects = {}, defaultdict(list)
        for content in self.instances.values():
            names = {category["id"]: category["name"] for category in content["categories"]}
            self.images |= {image["id"]: image for image in content["images"]}
            for record in content["annotations"]:
                x, y, width, height = record["bbox"]
                thing = {"id": record["id"], "name": names[record["category_id"]], "box": (x, y, x + width, y + height)}
                thing |= {"x": x + width / 2, "y": y + height / 2, "area": width * height}
                self.objects[record["image_id"]].append(thing)

    def _json(self, name: str) -> dict:
        return json.loads((self.folder / name).read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def scenes(tmp_path_factory) -> Data:
    """Scenes of every split, in two languages."""
    config = SceneConfig(seed=3, train=250, val=20, test=20, test_pairs=60, languages=("en", "zh"))
    folder = tmp_path_factory.mktemp("scenes") / "raw"
    write_scenes(folder, config, processes=1)
    return Data(folder, config)
