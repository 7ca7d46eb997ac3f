"""Finding tasks, settings that are checked, and a task from outside the package."""

import pickle
import sys

import pytest
import torch

from ofa import tasks
from ofa.data.mixing import Source, Stream
from ofa.data.schema import TABLES
from ofa.data.table import Table, TableWriter
from ofa.errors import OFAError
from ofa.model import OFAConfig, OFAModel

TOY = """
from dataclasses import dataclass

from ofa.tasks import Task, register
from ofa.tasks.base import TextSettings


@dataclass(frozen=True, kw_only=True)
class ReverseSettings(TextSettings):
    times: int = 1


@register
class Reverse(Task):
    name = "reverse"
    table = "reverse"
    columns = ("uniq_id", "text")
    Settings = ReverseSettings

    def sample(self, row, train, rng):
        text = row["text"]
        for _ in range(self.settings.times):
            text = text[::-1]
        source = self.source(self.encode(" " + row["text"]))
        return self.seq2seq(row["uniq_id"], source, self.encode(" " + text), reference=text)

    def read(self, tokens, reference):
        return self.tokenizer.decode(tokens).strip()

    def score(self, predictions, references):
        return {"exact_match": sum(p.value == r for p, r in zip(predictions, references)) / len(references)}
"""


@pytest.fixture
def outside(tmp_path, monkeypatch):
    """A module that is not part of this package."""
    (tmp_path / "my_reverse.py").write_text(TOY)
    monkeypatch.syspath_prepend(tmp_path)
    yield "my_reverse:Reverse"
    sys.modules.pop("my_reverse", None)
    tasks.base.registered.pop("reverse", None)


def test_a_task_from_outside_trains_and_predicts(outside, tmp_path):
    task = tasks.create(outside, {"times": 3})
    with TableWriter(tmp_path / "t.tsv", task.columns) as writer:
        for i in range(4):
            writer.write({"uniq_id": i, "text": f"abc {i}"})
    stream = Stream([Source(table=Table(tmp_path / "t.tsv", task.columns), task=task)], batch_size=2)
    batch = next(iter(stream))
    assert [task.read(tokens.tolist(), None) for tokens in batch.target] == batch.references
    net = OFAModel(OFAConfig.preset("nano")).eval()
    with torch.no_grad():
        assert net(previous_tokens=batch.previous, **batch.inputs()).shape[:2] == batch.previous.shape
    found = task.predict(net, batch)
    assert [p.id for p in found] == batch.ids and set(task.score(found, batch.references)) == {"exact_match"}
    assert tasks.get("reverse") is type(task)


def test_every_original_task_is_there():
    expected = {"caption", "refcoco", "vqa", "snli_ve", "image_gen", "image_classify", "ocr", "gigaword", "detection"}
    expected |= {"cola", "mnli", "mrpc", "qnli", "qqp", "rte", "sst2"}
    expected |= {"vision_language", "text_infilling", "image_infilling"}
    assert expected <= set(tasks.names())


@pytest.mark.parametrize("name", tasks.names())
def test_every_task_is_complete(name):
    task = tasks.create(name)
    assert task.columns and task.search.beam >= 1 and type(task).__doc__
    if task.table in TABLES:
        assert task.columns == TABLES[task.table]


def test_unknown_names_and_settings_say_what_is_near():
    with pytest.raises(OFAError, match="did you mean 'caption'"):
        tasks.get("captions")
    with pytest.raises(OFAError, match="did you mean 'patch_image_size'"):
        tasks.create("caption", {"patch_imagesize": 3})
    with pytest.raises(OFAError, match="cannot import task 'nowhere:Task'"):
        tasks.get("nowhere:Task")
    with pytest.raises(OFAError, match="patch_image_size must be a multiple of 16"):
        tasks.create("caption", {"patch_image_size": 100})


def test_a_name_can_be_taken_once():
    with pytest.raises(OFAError, match="'caption' is taken by ofa.tasks.caption"):

        @tasks.register
        class Other(tasks.Task):
            name = "caption"


def test_encoding_is_remembered_and_bounded(monkeypatch):
    monkeypatch.setattr(tasks.base, "MEMORY", 3)
    task = tasks.create("caption")
    first = task.encode(" a dog")
    assert task.encode(" a dog") is first
    for i in range(9):
        task.encode(f" {i}")
    assert task.encode(" a dog").tolist() == first.tolist() == task.tokenizer.encode(" a dog")


def test_tasks_travel_to_workers():
    task = tasks.create("vqa", {"answers": ["yes", "no"]})
    copy = pickle.loads(pickle.dumps(task))
    assert copy.settings == task.settings and copy.space.answers == task.space.answers
    assert copy.encode(" x").tolist() == task.encode(" x").tolist()
