"""Training, evaluation and the commands that look at tables take them from an S3 store as from the disk."""

import json

import pytest
import torch
from typer.testing import CliRunner

from components.evaluate.stage import evaluate_stage
from components.lineage import table_hash
from components.train.finetune import finetune
from components.train.pretrain import pretrain
from ofa import checkpoint
from pipelines.cli import app


@pytest.fixture
def address(small_tables, bucket, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return bucket.put_folder(small_tables, "tables")


def weights(folder):
    return checkpoint.load_folder(folder)[1]


def test_training_and_evaluation_are_those_of_the_local_tables(small_tables, address, params):
    for name, tables in {"here": str(small_tables), "there": address}.items():
        finetune("vqa", tables, "", f"models/{name}", f"runs/{name}", str(params))
        evaluate_stage("vqa", "models/here", tables, "val", f"evaluations/{name}", params="", limit=6, skip=["METEOR"])
    there = weights("models/there")
    assert all(torch.equal(value, there[name]) for name, value in weights("models/here").items())
    here, there = (
        [json.loads(line) for line in open(f"evaluations/{name}/predictions.jsonl")] for name in ("here", "there")
    )
    for row in (*here, *there):
        del row["seconds"]
    assert here == there and len(here) == 6
    here, there = (json.load(open(f"evaluations/{name}/evaluation.json")) for name in ("here", "there"))
    assert here["lineage"]["table_sha256"] == there["lineage"]["table_sha256"]
    assert there["lineage"]["table"] == [f"{address}/vqa_val.tsv"] and there["baseline"] == here["baseline"]
    assert there["notes"] == here["notes"] == ["Types of questions and answers: those of vqa_val_annotations.json."]


def test_pretraining_takes_its_wrong_captions_from_the_store_too(small_tables, address, params):
    for name, tables in {"here": str(small_tables), "there": address}.items():
        pretrain(tables, f"models/{name}", f"runs/{name}", "", str(params))
    there = weights("models/there")
    assert all(torch.equal(value, there[name]) for name, value in weights("models/here").items())


def test_the_hash_of_shards_is_that_of_the_whole(small_tables, bucket):
    content = (small_tables / "refcoco_val.tsv").read_bytes()
    shards = [bucket.put("0.tsv", content[:5000]), bucket.put("1.tsv", content[5000:])]
    whole = table_hash([small_tables / "refcoco_val.tsv"])
    assert table_hash(shards) == whole == table_hash([bucket.put("all.tsv", content)])
    bucket.put("1.tsv", b"other")
    assert table_hash(shards) != whole


def test_the_commands_show_remote_tables(small_tables, address, tmp_path):
    def run(*words):
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, done.output
        return done.output

    places = (str(small_tables), address)
    shown = [run("data", "show", f"{place}/refcoco_val.tsv", "3", "--out", "r.png") for place in places]
    assert shown[0] == shown[1] and (tmp_path / "r.png").exists()
    assert "6 tables" in run("data", "stats", f"{address}/*_val.tsv", "--out", "some.html")
    counted = [run("data", "stats", place, "--out", "all.html") for place in places]
    assert counted[0] == counted[1]
