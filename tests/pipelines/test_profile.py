"""A profile changes the values that it names in params.yaml and nothing else."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from components.deploy.policy import policy_from
from components.evaluate.stage import EvaluateSection
from components.train.settings import FinetuneSection, ModelSettings, PretrainSection, StemSection
from ofa.errors import OFAError
from ofa.settings import build, load_yaml
from pipelines.arguments import arguments
from pipelines.catalog import pipeline
from pipelines.cli import app
from pipelines.commands.profile import overlay

PROFILES = sorted((Path(__file__).resolve().parents[2] / "params").glob("*.yaml"))


@pytest.fixture
def project(tmp_path, root, monkeypatch):
    (tmp_path / "params").mkdir()
    (tmp_path / "params.yaml").write_text((root / "params.yaml").read_text())
    (tmp_path / "params" / "quick.yaml").write_text("pretrain: {train: {steps: 7}}\nevaluate: {skip: [METEOR]}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_values_are_replaced_and_comments_stay(project, root):
    assert CliRunner().invoke(app, ["profile", "quick"]).exit_code == 0
    before, after = load_yaml(root / "params.yaml"), load_yaml("params.yaml")
    before["pretrain"]["train"]["steps"] = 7
    before["evaluate"]["skip"] = ["METEOR"]
    assert after == before
    written = (project / "params.yaml").read_text()
    assert written.splitlines()[0] == (root / "params.yaml").read_text().splitlines()[0]
    assert written.count("#") == (root / "params.yaml").read_text().count("#")


def test_an_unknown_profile_names_the_known_ones(project):
    result = CliRunner().invoke(app, ["profile", "quik"])
    assert result.exit_code == 1 and "did you mean 'quick'" in result.stderr


def test_an_unknown_section_is_refused():
    with pytest.raises(OFAError, match="small.yaml: unknown section 'pretrian', did you mean 'pretrain'"):
        overlay({"pretrain": {}}, {"pretrian": {"workers": 0}}, "small.yaml")


@pytest.mark.parametrize("profile", PROFILES, ids=lambda path: path.stem)
def test_committed_profiles_fit_the_settings(root, profile):
    params = load_yaml(root / "params.yaml")
    overlay(params, load_yaml(profile), profile.name)
    build(ModelSettings, params["model"], "model")
    build(StemSection, params["stem"], "stem")
    build(PretrainSection, params["pretrain"], "pretrain")
    for name, values in params["finetune"].items():
        build(FinetuneSection, values, name)
    build(EvaluateSection, params["evaluate"], "evaluate")
    policy_from(params["gate"], "gate")
    for name in ("pretrain", "finetune", "retrain"):
        arguments(pipeline(name), params)
