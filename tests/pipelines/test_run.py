"""Pipelines at their smallest setting run here from data to champion; a step that fails stops them, and it is told."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from components.deploy.registry import Registry
from ofa.checkpoint import load_folder
from ofa.errors import OFAError
from ofa.settings import load_yaml
from pipelines.commands.pipeline import app
from pipelines.run import RUNNERS, run

TASKS = ("caption", "refcoco", "vqa", "region_caption")


@pytest.fixture(scope="module")
def start(root):
    """A function that runs `ofa pipeline run` at the smallest setting and returns what it said, by key."""

    def command(*arguments, code=0):
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(root)
            result = CliRunner().invoke(app, ["run", *map(str, arguments), "--profile", "smoke"])
        assert result.exit_code == code, result.output[-5000:]
        return dict(re.findall(r"^(decision|gate|report|end|registry|error): (.*)$", result.output, re.MULTILINE))

    return command


@pytest.fixture(scope="module")
def released(start, tmp_path_factory):
    """Folder and words of a run of `finetune`."""
    out = tmp_path_factory.mktemp("run")
    return out, start("finetune", "--out", out)


def test_finetuning_ends_with_a_champion_that_knows_its_data(released, tmp_path):
    assert print.__module__ == "builtins", "steps side by side left nothing behind"
    out, said = released
    assert said["decision"] == "promote"
    store = Registry(said["registry"])
    champion = store.alias("champion")
    assert champion.tags["pipeline_run"] and {f"{task}.checkpoint_sha256" for task in TASKS} <= champion.tags.keys()
    (manifest,) = out.glob("*/fetch-data/raw/manifest.json")
    assert json.loads(manifest.read_text())["settings"]["train"] == 60
    assert {champion.tags[f"{task}.data_source"] for task in TASKS} == {"scenes"}
    assert len({champion.tags[f"{task}.data_version"] for task in TASKS}) == 1
    release = store.download(champion.number, ".", tmp_path / "release")
    assert {path.parent.name for path in release.glob("*/model.safetensors")} == set(TASKS)
    attached = {item.path for item in store.client.list_artifacts(champion.run_id)}
    assert {"page.html"} <= attached


def test_its_pages_show_the_scores_and_how_it_ended(released):
    _, said = released
    page = Path(said["report"]).read_text()
    assert all(f"{stage} loss" in page for stage in ("stem", "pretrain", *TASKS)), "curves of every training"
    assert "data:image/jpeg;base64" in page, "pictures of the tables"
    end = Path(said["end"]).read_text()
    assert "SUCCEEDED" in end and "Version 1 of ofa" in end


def test_retraining_ends_at_once_where_the_data_are_known(released, start):
    out, said = released
    again = start("retrain", "--out", out, "--registry", said["registry"])
    (folder,) = out.glob("ofa-retrain-*")
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == [
        "close-run",
        "find-version",
        "look-for-news",
    ]
    assert "decision" not in again and "SUCCEEDED" in Path(again["end"]).read_text()


@pytest.mark.slow
def test_pretraining_ends_with_a_network_and_a_page_of_its_scores_and_curves(start, tmp_path):
    said = start("pretrain", "--out", tmp_path)
    assert "decision" not in said and "SUCCEEDED" in Path(said["end"]).read_text()
    (network,) = tmp_path.glob("*/pretrain-network/network")
    load_folder(network)
    found = tmp_path.glob("*/*/evaluate-network/evaluation/evaluation.json")
    assert sorted(json.loads(path.read_text())["task"] for path in found) == sorted(TASKS)
    page = Path(said["report"]).read_text()
    assert all(f"{word} loss" in page for word in ("stem", "pretrain")) and all(task in page for task in TASKS)
    assert not Registry(said["registry"]).client.search_model_versions("name = 'ofa'"), "nothing is registered"


def test_networks_that_exist_are_judged_without_being_registered(released, start, tmp_path):
    out, said = released
    store = Registry(said["registry"])
    release = store.download(store.alias("champion").number, ".", tmp_path / "release")
    (tables,) = out.glob("*/build-tables/tables")
    given = [f"networks={release}", f"tables={tables}", f"champion={release / 'evaluations'}"]
    judged = start("evaluate-gate", *given, "--out", tmp_path / "out", "--registry", said["registry"])
    assert judged["decision"] == "promote", "as good as itself"
    decision = json.loads(Path(judged["gate"]).read_text())
    assert decision["champion"] == decision["challenger"] and decision["champion_version"] is None
    assert len(store.client.search_model_versions("name = 'ofa'")) == 1


def test_a_failed_step_stops_the_run_and_the_last_page_says_so(start, tmp_path, monkeypatch):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    said = start("finetune", f"fetch.source={tmp_path / 'nowhere'}", "--out", tmp_path / "out", code=2)
    assert said.keys() == {"error"}, "1 would say that the gate rejected"
    (end,) = (tmp_path / "out").glob("*/close-run/page.html")
    assert "a step failed" in said["error"] and said["error"].endswith(str(end))
    assert "FAILED" in end.read_text()
    assert not list((tmp_path / "out").glob("*/build-tables"))
    assert not list(temporary.iterdir()), "nothing of the steps is left where temporary files go"
    assert os.environ["TMPDIR"] == str(temporary)


def test_a_run_that_is_told_to_stop_stops_its_step_and_leaves_no_temporary_files(root, tmp_path):
    temporary, out = tmp_path / "temporary", tmp_path / "out"
    temporary.mkdir()
    command = [sys.executable, "-m", "pipelines.cli", "pipeline", "run", "finetune", "--profile", "smoke"]
    environment = os.environ | {"PYTHONPATH": str(root), "TMPDIR": str(temporary)}
    with subprocess.Popen([*command, "--out", str(out)], cwd=root, env=environment, stdout=subprocess.DEVNULL) as run:
        try:
            end = time.monotonic() + 120
            while not list(temporary.glob("*/*/ephemeral_component.py")):
                assert run.poll() is None and time.monotonic() < end, "no step began"
                time.sleep(0.1)
            steps = psutil.Process(run.pid).children(recursive=True)
            run.terminate()
            assert run.wait(90) == 128 + signal.SIGTERM
        finally:
            run.kill()
    assert steps and not psutil.wait_procs(steps, 5)[1]
    assert not list(temporary.iterdir())


def test_what_cannot_be_run_is_refused(tmp_path, root):
    params = load_yaml(root / "params.yaml")
    with pytest.raises(OFAError, match="did you mean 'docker'"):
        run("finetune", params, "doker", str(tmp_path))
    with pytest.raises(OFAError, match="no pipeline 'finetunee', did you mean 'finetune'"):
        run("finetunee", params, "subprocess", str(tmp_path))
    with pytest.raises(OFAError, match="pipeline 'evaluate-gate' needs networks, tables: give it as networks=VALUE"):
        run("evaluate-gate", params, "subprocess", str(tmp_path))


@pytest.mark.parametrize("place", ["models", "/models", "out/models"])
def test_containers_are_not_given_what_they_do_not_see(tmp_path, root, place, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = {"networks": place, "tables": str(tmp_path / "out" / "tables")}
    with pytest.raises(OFAError, match=f"networks={place}: containers see nothing .* take --runner subprocess"):
        run("evaluate-gate", load_yaml(root / "params.yaml"), "docker", "out", given=given)


@pytest.mark.parametrize("name", RUNNERS)
def test_kfp_takes_the_settings_of_a_runner(name):
    RUNNERS[name]()
