"""What continuous integration runs on a pull request: scripts that are there, with options that the program has."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from pipelines.catalog import PIPELINES
from pipelines.cli import app
from tests.pipelines.github_server import PROJECT, GitHub

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
    commands = [shlex.split(line) for line in re.findall(r"^ofa .*?(?= \||$)", text, re.MULTILINE)]
    assert [command[1:3] for command in commands] == [["check"], ["pipeline", "run"], ["evaluate", "report"]]
    for command in commands:
        known = CliRunner().invoke(app, [*command[1:3], "--help"], env={"COLUMNS": "200", "TERM": "dumb"}).stdout
        missing = [word for word in command if word.startswith("--") and word not in known]
        assert "Usage" in known and not missing
    parameters = re.findall(r"\b(networks|tables|champion)=", text)
    assert set(parameters) <= set(PIPELINES["evaluate-gate"].parameters) and len(parameters) == 3
    assert "--registry" in CliRunner().invoke(app, ["pipeline", "run", "--help"], env={"COLUMNS": "200"}).stdout


@pytest.fixture
def judge(root, tmp_path):
    """A function that runs the script in a repository where `ofa` and `dvc` are programs of the test, but `dvc metrics`
    is the real one at DVC; what the pipeline says and its exit code are the arguments."""
    place = tmp_path / "project"
    programs = place / ".venv" / "bin"
    programs.mkdir(parents=True)
    (place / ".ci").mkdir()
    shutil.copy(root / ".ci" / "pull-request", place / ".ci")
    (tmp_path / "decision.json").write_text("{}")
    (tmp_path / "decision.md").write_text("")
    (programs / "dvc").write_text('#!/bin/sh\n[ "$1" != metrics ] || [ -z "$DVC" ] || exec "$DVC" "$@"\n')
    (programs / "ofa").write_text(
        '#!/bin/sh\n[ "$1" = evaluate ] && touch "$OUT/report.md"\n'
        '[ "$1" = pipeline ] || exit 0\necho "$@" >"$ASKED"\necho "$SAID"\nexit "$CODE"\n'
    )
    for program in programs.iterdir():
        program.chmod(0o755)
    git = ["git", "-C", place, "-c", "user.name=x", "-c", "user.email=x@localhost"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "--message", "x"], check=True)

    def run(said, code, **environment):
        own = {"SAID": said, "CODE": str(code), "OUT": str(tmp_path / "out"), "INSTALL": "true"}
        own |= {"ASKED": str(tmp_path / "asked")} | environment
        script = subprocess.run([place / ".ci" / "pull-request", "HEAD"], env=os.environ | own)
        return script.returncode, {path.name for path in (tmp_path / "out").iterdir()}

    return run


def test_the_exit_code_is_that_of_the_pipeline_that_came_to_its_end(judge, tmp_path):
    said = f"evaluation: {tmp_path}\ndecision: x\ngate: {tmp_path}/decision.json"
    for code in (0, 1, 2):
        assert judge(said, code) == (code, {"report.md", "gate.json", "gate.md"})


@pytest.mark.parametrize("code", [0, 1, 2, 137])
def test_without_a_decision_nothing_is_promoted_and_nothing_reported(judge, code):
    assert judge("", code) == (2, set())


def test_the_champion_is_that_of_the_registry_where_one_is_named(judge, tmp_path):
    judge("", 2)
    assert "--registry" not in (tmp_path / "asked").read_text()
    judge("", 2, REGISTRY="http://mlflow:5000")
    assert "tables=data/tables --registry http://mlflow:5000 --out" in (tmp_path / "asked").read_text()


def test_what_changed_is_told_in_order_with_its_parts_folded_away(judge, tmp_path):
    project, dvc = tmp_path / "project", Path(sys.executable).with_name("dvc")
    before = {"vqa": {"accuracy": 0.86}, "caption": {"METEOR": 0.4, "CIDEr": 3.9, "interval": {"low": 3.8}}}
    now = {"vqa": {"accuracy": 0.86}, "caption": {"METEOR": 0.5, "CIDEr": 3.9004, "interval": {"low": 3.7}}}
    (project / "metrics").mkdir()

    def write(values):
        for task, numbers in values.items():
            (project / "metrics" / f"{task}.json").write_text(json.dumps(numbers))

    write(before)
    (project / "dvc.yaml").write_text("metrics: [metrics/vqa.json, metrics/caption.json]\n")
    subprocess.run([dvc, "init", "--quiet"], cwd=project, check=True)
    git = ["git", "-C", project, "-c", "user.name=x", "-c", "user.email=x@localhost"]
    subprocess.run([*git, "add", ".dvc", "dvc.yaml", "metrics"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--message", "y"], check=True)
    said = f"evaluation: {tmp_path}\ngate: {tmp_path}/decision.json"
    assert judge(said, 0, DVC=str(dvc))[0] == 0
    assert "No metric changed." in (tmp_path / "out" / "report.md").read_text()
    write(now)
    assert judge(said, 1, DVC=str(dvc))[0] == 1
    _, shown, folded = (tmp_path / "out" / "report.md").read_text().split("<details")
    rows = [[cell.strip() for cell in line.split("|")[2:-1]] for line in shown.splitlines() if "json" in line]
    assert rows == [["CIDEr", "3.9", "3.9004", "0.0004"], ["METEOR", "0.4", "0.5", "0.1"]]
    assert shown.startswith(" open>") and "interval.low" in folded and folded.count("json") == 1


@pytest.fixture
def github(tmp_path):
    if shutil.which("gh") is None:
        pytest.skip("gh is not installed: `make programs`, as root")
    server = GitHub(tmp_path)
    yield server
    server.close()


def test_reports_are_posted_with_their_pictures(root, tmp_path, github):
    """Of several pull requests at the same time, twice: each has one comment with what was said last."""
    environment = os.environ | github.environment
    of_people = [(7, "What does it do?"), (8, "Well done"), (7, "It lowers the rate."), (7, "I see.")]
    github.comments += of_people
    for time in ("first", "second"):
        running = {}
        for number in ("7", "8", "9"):
            place = tmp_path / number
            (place / "pictures").mkdir(parents=True, exist_ok=True)
            (place / "pictures" / "caption.jpg").write_text(f"{time} picture of {number}")
            (place / "report.md").write_text(f"# {time} of {number}\n\n![Captions](pictures/caption.jpg)\n")
            own = {"OUT": place, "PULL_REQUEST": number, "GITHUB_STEP_SUMMARY": place / "summary"}
            running[number] = subprocess.Popen([root / ".ci" / "post-report"], env=environment | own)
        assert [process.wait(100) for process in running.values()] == [0, 0, 0]
        assert github.comments[:4] == of_people and len(github.comments) == 7
        for number, text in github.comments[4:]:
            shown = text.partition("-->\n")[2]
            assert shown.startswith(f"# {time} of {number}\n")
            assert shown in (tmp_path / str(number) / "summary").read_text()
            (link,) = re.findall(rf"\({github.url}/{PROJECT}/raw/(.*)\)", text)
            commit, _, path = link.partition("/")
            picture = ["git", "-C", github.repository, "show", f"{commit}:{path}"]
            assert subprocess.check_output(picture, text=True) == f"{time} picture of {number}"
    count = ["git", "-C", github.repository, "rev-list", "--count", "reports"]
    assert subprocess.check_output(count) == b"6\n"


def test_a_wrong_token_is_no_success(root, tmp_path, github):
    (tmp_path / "report.md").write_text("# Report\n")
    environment = os.environ | github.environment | {"GH_TOKEN": "wrong"}
    own = {"OUT": str(tmp_path), "PULL_REQUEST": "7", "GITHUB_STEP_SUMMARY": str(tmp_path / "summary")}
    done = subprocess.run([root / ".ci" / "post-report"], env=environment | own, stderr=subprocess.PIPE, text=True)
    assert done.returncode != 0 and "Authentication failed" in done.stderr and not github.comments
