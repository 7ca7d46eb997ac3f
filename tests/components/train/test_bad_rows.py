"""Rows of training and validation tables that cannot be used, up to `max_bad_rows` of them, stop no training."""

import io
import random
import shutil

import pytest
import yaml
from PIL import Image

from components.train.finetune import finetune, validation
from components.train.samples import Samples
from components.train.stem import stem
from ofa.errors import OFAError
from ofa.tasks.caption import Caption, CaptionSettings
from ofa.train.distributed import World
from tests.components.train.conftest import BOXES, PARAMS
from tests.train.launch import fork
from tests.train.toy import network

BROKEN, SHORT = 2, 5
"""Rows without a picture, and without all columns."""
ROWS = 24
"""Of a table, as many as the training reads."""


@pytest.fixture
def spoiled(small_tables, tmp_path, monkeypatch):
    """A function that copies the tables' first rows and spoils two of them in some tables."""
    monkeypatch.chdir(tmp_path)

    def make(*names: str) -> str:
        folder = tmp_path / "tables"
        shutil.copytree(small_tables, folder)
        for path in folder.glob("*.tsv"):
            lines = path.read_text().splitlines()[:ROWS]
            if path.stem in names:
                picture = max(lines[BROKEN].split("\t"), key=len)
                lines[BROKEN] = lines[BROKEN].replace(picture, "AAAA")
                lines[SHORT] = lines[SHORT].rsplit("\t", 2)[0]
            path.write_text("".join(f"{line}\n" for line in lines))
        return str(folder)

    return make


def settings(path, limit: int) -> str:
    """Settings that read all rows of a table of visual grounding."""
    common = {"workers": 0, "max_bad_rows": limit}
    values = PARAMS | {
        "stem": {"patch_image_size": 64} | common,
        "finetune": {"refcoco": {"settings": BOXES, "validation_rows": 1000, "restrict_output": True} | common},
    }
    values["train"] = values["train"] | {"steps": 3, "batch_size": 8}
    path.write_text(yaml.safe_dump(values))
    return str(path)


def reported(caplog) -> set[tuple[str, str]]:
    """Table and row of the bad rows that were told of, each once."""
    found = [record.args[0] for record in caplog.records if record.msg == "bad row: %s"]
    names = [(error.table.rsplit("/", 1)[1], error.row) for error in found]
    assert len(names) == len(set(names))
    return set(names)


def test_finetuning_replaces_them_and_validates_without_them(spoiled, tmp_path, caplog):
    tables = spoiled("refcoco_train", "refcoco_val")
    result = finetune("refcoco", tables, "", "out", "work", settings(tmp_path / "params.yaml", 2))
    assert result.steps == 3 and 0 <= result.metrics["acc@0.5"] <= 1
    assert reported(caplog) == {(f"refcoco_{split}.tsv", row) for split in ("train", "val") for row in (BROKEN, SHORT)}


def test_the_stem_does_so_too(spoiled, tmp_path, caplog):
    names = [f"{table}_{split}" for table in ("refcoco", "detection") for split in ("train", "val")]
    result = stem(spoiled(*names), "out", "work", settings(tmp_path / "params.yaml", 4))
    assert result.steps == 3 and "region_acc@0.5" in result.metrics
    assert {f"{table}_val.tsv" for table in ("refcoco", "detection")} <= {table for table, _ in reported(caplog)}


def test_those_that_several_processes_meet_in_a_validation_count_together(tmp_path):
    content = io.BytesIO()
    Image.new("RGB", (64, 64)).save(content, "PNG")
    table = [{"image": content.getvalue(), "caption": "black"} for _ in range(8)]
    task = Caption(CaptionSettings(patch_image_size=64))
    order = list(range(len(table)))
    random.Random(0).shuffle(order)
    for number in order[:2]:  # one of each process
        table[number]["image"] = b"no picture"

    def run() -> None:
        world = World.connect("cpu", timeout=60)
        measure = validation(task, table, len(table), Samples(lambda *_: None), max_bad_rows=1)
        with pytest.raises(OFAError, match="2 bad rows, more than max_bad_rows = 1; the last one: caption, row"):
            measure(network(vocabulary_size=59457, max_target_positions=32, resnet_width=8).eval(), lambda: None)
        world.disconnect()

    fork(2, run)


def test_one_too_many_stops_the_training_with_its_place(spoiled, tmp_path):
    with pytest.raises(OFAError, match=r"2 bad rows, more than max_bad_rows = 1; the last one: .*refcoco_val.tsv, row"):
        finetune("refcoco", spoiled("refcoco_val"), "", "out", "work", settings(tmp_path / "params.yaml", 1))
