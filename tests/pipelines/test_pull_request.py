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


@pytest.fixture
def github(tmp_path):
    """A repository in the place of GitHub's, and a `gh` that writes down what it is told to comment."""
    repository, programs = tmp_path / "github.git", tmp_path / "bin"
    subprocess.run(["git", "init", "--quiet", "--bare", repository], check=True)
    programs.mkdir()
    (programs / "gh").write_text('#!/bin/sh\necho "$@" >"$COMMENT.arguments"\ncp "${7}" "$COMMENT"\n')
    (programs / "gh").chmod(0o755)
    return repository, {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "GH_TOKEN": "token",
        "GITHUB_REPOSITORY": "owner/project",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{repository}.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://x-access-token:token@github.com/owner/project.git",
    }


def test_reports_are_posted_with_their_pictures(root, tmp_path, github):
    """Of several pull requests at the same time, twice."""
    repository, environment = github
    for time in ("first", "second"):
        running = {}
        for number in ("7", "8", "9"):
            place = tmp_path / number
            (place / "pictures").mkdir(parents=True, exist_ok=True)
            (place / "pictures" / "caption.jpg").write_text(f"{time} picture of {number}")
            (place / "report.md").write_text(f"# {time} of {number}\n\n![Captions](pictures/caption.jpg)\n")
            own = {"OUT": place, "PULL_REQUEST": number, "COMMENT": place / "comment"}
            own["GITHUB_STEP_SUMMARY"] = place / "summary"
            running[number] = subprocess.Popen([root / ".ci" / "post-report"], env=environment | own)
        assert [process.wait(100) for process in running.values()] == [0, 0, 0]
        for number in running:
            comment = (tmp_path / number / "comment").read_text()
            assert f"pr comment {number} " in (tmp_path / number / "comment.arguments").read_text()
            assert (
                comment.startswith(f"# {time} of {number}\n") and comment in (tmp_path / number / "summary").read_text()
            )
            (link,) = re.findall(r"\(https://github.com/owner/project/raw/(.*)\)", comment)
            commit, _, path = link.partition("/")
            shown = subprocess.run(
                ["git", "-C", repository, "show", f"{commit}:{path}"], stdout=subprocess.PIPE, check=True
            )
            assert shown.stdout.decode() == f"{time} picture of {number}"
    count = ["git", "-C", repository, "rev-list", "--count", "reports"]
    assert subprocess.run(count, stdout=subprocess.PIPE, check=True).stdout == b"6\n"
