"""One network in two languages: from tables in both to answers in each."""

import json
from pathlib import Path

import yaml
from PIL import Image

from components.evaluate.stage import evaluate_stage
from components.preprocess.fetch import fetch
from components.preprocess.tables import tables
from components.train.finetune import finetune
from components.train.pretrain import pretrain
from components.train.stem import stem
from ofa import OFA
from ofa.tasks.store import saved_settings

SCENES = {"train": 16, "val": 4, "test": 4, "test_pairs": 0, "kinds": 4, "unseen_pairs": 0, "sizes": [[64, 64]]}
BOXES = {"patch_image_size": 64, "num_bins": 16, "max_image_size": 64}
ANSWERS = {"add_object": False, "prompt_type": "none"}
CHINESE = {"vocabulary": "chinese"}
PARAMS = {
    "model": {"restrict_output": True},
    "train": {"steps": 2, "batch_size": 8, "precision": "fp32", "device": "cpu", "log_every": 1},
    "stem": {"patch_image_size": 64, "workers": 0, "languages": ["english", "chinese"]},
    "pretrain": {
        "tables": ["vision_language", "vision_language_zh", "detection"],
        "workers": 0,
        "tasks": {
            "vision_language": BOXES | CHINESE | {"augment": False},
            "vision_language_zh": BOXES | {"language": "chinese", "augment": False},
            "detection": BOXES | CHINESE | {"augment": False},
        },
    },
    "evaluate": {"latency_samples": 1, "resamples": 100},
    "finetune": {
        "caption_zh": {"settings": {"patch_image_size": 64}},
        "refcoco": {"settings": BOXES | CHINESE},
        "vqa_zh": {"settings": {"patch_image_size": 64, "answers_file": "answers_zh.json", **ANSWERS}},
    },
}


def test_one_network_learns_and_answers_in_both(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for section in PARAMS["finetune"].values():
        section |= {"validation_rows": 4, "workers": 0}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(PARAMS))
    fetch("raw", scenes=SCENES | {"languages": ["en", "zh"]})
    tables("data/tables", "raw", processes=1)
    stem()
    pretrain(init="models/stem")
    assert {"caption", "caption_zh", "refcoco_zh", "vqa"} <= saved_settings("models/pretrain").keys()
    for name in PARAMS["finetune"]:
        finetune(name)
        found = evaluate_stage(name, out=f"evaluations/{name}")
        (table,) = found.lineage.table
        assert table == f"data/tables/{name}_test.tsv" and found.rows > 0
        assert found.task == name and found.baseline

    picture = Image.new("RGB", (80, 60), "red")
    assert OFA.from_pretrained("models/caption_zh").task("caption").settings.language == "chinese"
    (answer,) = OFA.from_pretrained("models/vqa_zh").answer(picture, "图中有几只猫？")
    assert answer in json.loads(Path("data/tables/answers_zh.json").read_text())
    (box,) = OFA.from_pretrained("models/refcoco").ground(picture, "the cat")
    assert 0 <= box.x0 <= box.x1 <= 80
