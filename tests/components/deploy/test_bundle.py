"""A bundle holds everything of a release, and nothing that changed since it was judged."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from components.deploy.bundle import bundle, load_bundle
from components.evaluate.evaluate import evaluate
from components.evaluate.record import load, load_predictions
from components.lineage import checkpoint_hash
from ofa import checkpoint
from ofa.checkpoint.vqgan import load_vqgan, save_vqgan
from ofa.errors import OFAError
from ofa.model.vqgan import VQGAN, VQGANConfig
from ofa.tasks.store import load_task

QUICK = {"latency_samples": 1, "resamples": 200, "params": None, "search": {"beam": 1}}


def test_it_holds_checkpoints_and_evaluations(tmp_path, finished, network):
    content = bundle(str(finished(0)), str(tmp_path / "release"))
    assert set(content.tasks) == {"caption", "refcoco"}
    for task, member in content.tasks.items():
        assert checkpoint_hash(tmp_path / "release" / task) == checkpoint_hash(network(0))
        assert member.checkpoint_sha256 == checkpoint_hash(network(0))[0]
        assert load_task(tmp_path / "release" / task, task).settings.patch_image_size == 64
        kept = tmp_path / "release" / "evaluations" / task
        assert load(kept).scores[member.metric] == member.score
        assert len(load_predictions(kept)) == 3
    assert load_bundle(tmp_path / "release") == content


def test_the_same_release_has_the_same_hash(tmp_path, finished):
    first = bundle(str(finished(0)), str(tmp_path / "a")).sha256
    assert bundle([str(finished(0) / task) for task in ("refcoco", "caption")], str(tmp_path / "b")).sha256 == first
    assert bundle(str(finished(1)), str(tmp_path / "a")).sha256 != first


def test_a_checkpoint_that_changed_is_refused(tmp_path, finished):
    evaluations = tmp_path / "evaluations" / "caption"
    evaluations.mkdir(parents=True)
    record = json.loads((finished(0) / "caption" / "evaluation.json").read_text())
    record["lineage"]["checkpoint_sha256"] = "0" * 64
    (evaluations / "evaluation.json").write_text(json.dumps(record))
    with pytest.raises(OFAError, match="changed after it was evaluated for caption"):
        bundle(str(tmp_path / "evaluations"), str(tmp_path / "release"))
    assert not (tmp_path / "release").exists()


def test_checkpoints_are_found_elsewhere_by_their_hash(tmp_path, finished, network):
    evaluations = tmp_path / "evaluations" / "caption"
    evaluations.mkdir(parents=True)
    record = json.loads((finished(0) / "caption" / "evaluation.json").read_text())
    record["lineage"]["checkpoint"] = "/gone"
    (evaluations / "evaluation.json").write_text(json.dumps(record))
    (evaluations / "predictions.jsonl").write_text("")
    with pytest.raises(OFAError, match="/gone: no checkpoint there"):
        bundle(str(tmp_path / "evaluations"), str(tmp_path / "release"))
    bundle(str(tmp_path / "evaluations"), str(tmp_path / "release"), checkpoints=[network(1), network(0)])
    assert checkpoint_hash(tmp_path / "release" / "caption") == checkpoint_hash(network(0))


def test_answers_come_along(tmp_path, network, write_table):
    """A list of answers that a task reads from a file is inside the bundle."""
    (tmp_path / "answers.json").write_text('["yes", "no"]')
    settings = {"answers_file": str(tmp_path / "answers.json")}
    out = tmp_path / "evaluations" / "vqa"
    evaluate("vqa", network(), write_table("vqa", [{}]), str(out), settings=settings, **QUICK)
    bundle(str(tmp_path / "evaluations"), str(tmp_path / "release"))
    (tmp_path / "answers.json").unlink()
    assert load_task(tmp_path / "release" / "vqa", "vqa").settings.answers == ("yes", "no")


def test_the_originals_checkpoint_is_converted(tmp_path, golden, write_table):
    original, out = golden / "ofa_micro_random.pt", tmp_path / "evaluations" / "refcoco"
    small = {"settings": {"patch_image_size": 64}, **QUICK}
    evaluate("refcoco", str(original), write_table("refcoco", [{}]), str(out), **small)
    content = bundle(str(tmp_path / "evaluations"), str(tmp_path / "release"))
    assert content.tasks["refcoco"].checkpoint_sha256 == checkpoint_hash(original)[0]
    released, state = (checkpoint.load(path).state_dict() for path in (tmp_path / "release" / "refcoco", original))
    assert released.keys() == state.keys() and all(torch.equal(released[name], state[name]) for name in state)


def test_other_folders_are_left_alone(tmp_path, finished):
    (tmp_path / "thesis").mkdir()
    with pytest.raises(OFAError, match="is no bundle"):
        bundle(str(finished(0)), str(tmp_path / "thesis"))
    assert Path(tmp_path / "thesis").is_dir()
    with pytest.raises(OFAError, match="expected a bundle"):
        load_bundle(tmp_path / "thesis")


def test_a_vqgan_comes_along(tmp_path, finished, network):
    """A network that paints has the VQ-GAN of its codes in its folder."""
    source = Path(shutil.copytree(network(0), tmp_path / "network"))
    save_vqgan(source / "vqgan", VQGAN(VQGANConfig.preset("nano", channels=8, code_dim=8, codes=8)))
    evaluations = tmp_path / "evaluations" / "caption"
    shutil.copytree(finished(0) / "caption", evaluations)
    record = json.loads((evaluations / "evaluation.json").read_text())
    record["lineage"]["checkpoint"] = str(source)
    (evaluations / "evaluation.json").write_text(json.dumps(record))
    bundle(str(tmp_path / "evaluations"), str(tmp_path / "release"))
    shutil.rmtree(source)
    assert load_vqgan(tmp_path / "release" / "caption" / "vqgan").config.codes == 8
