"""The page about new tasks, block by block: files in an empty folder, then its commands."""

import json
import re
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from ofa import tasks
from ofa.checkpoint import save_folder
from ofa.model import OFAConfig, OFAModel
from pipelines.cli import app


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """An empty folder with a network to start from."""
    monkeypatch.chdir(tmp_path)
    save_folder(tmp_path / "models" / "pretrain", OFAModel(OFAConfig.preset("nano", d_model=32, ffn_dim=64)))
    yield tmp_path
    sys.modules.pop("task_light", None)
    tasks.base.registered.pop("light", None)


def test_the_documented_task_is_trained_and_scored(workplace, root, monkeypatch):
    text = (root / "docs" / "new-task.md").read_text(encoding="utf-8")
    for name, block in re.findall(r"`([\w.]+)`(?:, anywhere)?:\n\n```\w+\n(.*?)```", text, re.DOTALL):
        (workplace / name).write_text(block, encoding="utf-8")
    assert {path.name for path in workplace.iterdir()} == {"make_tables.py", "light.py", "light.yaml", "models"}
    monkeypatch.setenv("PYTHONPATH", str(root))
    subprocess.run([sys.executable, "make_tables.py"], check=True)
    commands = re.findall(r"^\$ ofa (.*)$", text, re.MULTILINE)
    printed = [_run(command) for command in commands]
    assert [command.split()[0] for command in commands] == ["train", "evaluate", "generate"]
    assert "models/light: 30 steps, accuracy " in printed[0]
    assert "8 rows, 0 unreadable" in printed[1]
    assert "light.jsonl: 8 predictions" in printed[2]
    evaluation = json.loads((workplace / "evaluations" / "val" / "light" / "evaluation.json").read_text())
    assert evaluation["metric"] == "accuracy" and evaluation["lineage"]["settings"]["patch_image_size"] == 64


def test_a_file_that_holds_no_task_is_named(workplace):
    (workplace / "light.py").write_text("Light = 3\n")
    for name, message in (("light.py:Light", "is no task"), ("light.py:Dark", "Dark"), ("dark.py:Light", "dark.py")):
        done = CliRunner().invoke(app, ["evaluate", "run", name, "--checkpoint", "models/pretrain", "--params", ""])
        assert done.exit_code == 1 and message in done.stderr, (done.output, done.exception)


def _run(command: str) -> str:
    done = CliRunner().invoke(app, command.split())
    assert done.exit_code == 0, (command, done.output, done.exception)
    return done.output
