"""The pipeline at its smallest setting runs here from data to champion; a step that fails stops it."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from components.deploy.registry import Registry
from ofa.errors import OFAError
from ofa.settings import load_yaml
from pipelines.commands.pipeline import app
from pipelines.run import RUNNERS, run

TASKS = ("caption", "refcoco", "vqa")


def test_the_smallest_setting_ends_with_a_champion(tmp_path, root, monkeypatch):
    monkeypatch.chdir(root)
    result = CliRunner().invoke(app, ["run", "--profile", "smoke", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output[-5000:]
    said = dict(line.split(": ", 1) for line in result.stdout.splitlines()[-3:])
    assert said["gate"] == "promote"

    store = Registry(said["registry"])
    champion = store.alias("champion")
    assert champion.tags["pipeline_run"] and {f"{task}.checkpoint_sha256" for task in TASKS} <= champion.tags.keys()
    release = store.download(champion.number, ".", tmp_path / "release")
    assert {path.parent.name for path in release.glob("*/model.safetensors")} == set(TASKS)
    attached = {item.path for item in store.client.list_artifacts(champion.run_id)}
    assert {"page.html"} <= attached

    page = Path(said["report"]).read_text()
    assert all(f"{stage} loss" in page for stage in ("stem", "pretrain", *TASKS)), "curves of every training"
    assert "data:image/jpeg;base64" in page, "pictures of the tables"


def test_a_failed_step_stops_the_run(tmp_path, root):
    params = load_yaml(root / "params.yaml") | {"fetch": {"source": str(tmp_path / "nowhere")}}
    with pytest.raises(OFAError, match="a step failed"):
        run(params, "subprocess", str(tmp_path / "out"))
    assert not list((tmp_path / "out").glob("*/build-tables"))


def test_an_unknown_runner_is_refused(tmp_path):
    with pytest.raises(OFAError, match="did you mean 'docker'"):
        run({}, "doker", str(tmp_path))


@pytest.mark.parametrize("name", RUNNERS)
def test_kfp_takes_the_settings_of_a_runner(name):
    RUNNERS[name]()
