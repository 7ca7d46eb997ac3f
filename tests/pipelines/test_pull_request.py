"""What continuous integration runs on a pull request: scripts that are there, with options that the program has."""

import os
import re
import shlex
import subprocess

import pytest
import yaml
from typer.testing import CliRunner

from pipelines.cli import app

SCRIPTS = (".ci/run", ".ci/pull-request", ".ci/post-report")


def test_the_workflow_runs_the_scripts(root):
    workflow = yaml.safe_load((root / ".github" / "workflows" / "pull-request.yml").read_text())
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    runs = [step["run"].split()[0] for step in steps if "run" in step]
    assert tuple(runs) == SCRIPTS
    assert workflow["permissions"] == {"contents": "read"}, "what runs a change may not write"
    assert "permissions" not in workflow["jobs"]["evaluate"]


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_are_programs(root, script):
    assert os.access(root / script, os.X_OK)
    subprocess.run(["bash", "-n", root / script], check=True)


def test_commands_have_the_options_that_are_used(root):
    text = (root / ".ci" / "pull-request").read_text().replace("\\\n", " ")
    commands = [shlex.split(line) for line in re.findall(r"^ofa .*?(?= \|\|$| \|\| |$)", text, re.MULTILINE)]
    assert [command[1] for command in commands] == ["check", "gate", "evaluate"]
    for command in commands:
        words = [word for word in command[1:] if re.fullmatch("[a-z]+", word)][: 2 if command[1] == "evaluate" else 1]
        known = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "200", "TERM": "dumb"}).stdout
        missing = [word for word in command if word.startswith("--") and word not in known]
        assert "Usage" in known and not missing
    known = CliRunner().invoke(app, ["gate", "--help"], env={"COLUMNS": "200", "TERM": "dumb"}).stdout
    assert "--champion" in known and "--registry" in known
