"""Gates that race at an MLflow server, and one that it does not answer."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from components.deploy import registry
from components.deploy.cli import app
from components.deploy.decision import load_decision
from components.deploy.policy import policy_from
from components.deploy.registry import Registry
from components.deploy.succession import history
from tests.components.deploy.servers import free_port, mlflow_server

POLICY = policy_from({"tasks": {"caption": {"margin": 100.0}, "refcoco": {"margin": 1.0}}}, "gate")
"""Every model passes, compared with whichever."""

PROGRAM = "from pipelines.cli import app; app()"

CONTENDER = """
import random, sys
from components.deploy.registry import Registry
from components.deploy.succession import ChampionMoved, move_champion
uri, seed = sys.argv[1:]
store, rng, won = Registry(uri), random.Random(int(seed)), 0
for _ in range(12):
    champion = store.alias("champion").number
    try:
        move_champion(store, rng.choice([n for n in "123" if n != champion]), champion)
        won += 1
    except ChampionMoved:
        pass
print(won)
"""


def start(root, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", *arguments], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(processes):
    outputs = [process.communicate(timeout=500) for process in processes]
    return [(process.returncode, *output) for process, output in zip(processes, outputs, strict=True)]


@pytest.fixture
def promotion(root, release):
    """A function that starts `ofa promote` of a network whose gate knew a champion; the process."""

    def promote(uri, seed, champion_version):
        folder, decision = release(seed, champion_version, POLICY)
        return start(root, PROGRAM, "promote", folder, "--decision", decision, "--registry", uri)

    return promote


def test_gates_at_a_server(uri, tmp_path, release, promotion, root, monkeypatch):
    port = free_port()
    address = f"http://127.0.0.1:{port}"

    folder, decision = release(0)
    command = ["promote", folder, "--decision", decision, "--registry", address]
    monkeypatch.setattr(registry, "RETRIES", (0.1, 0.1))
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 2 and f"the model registry {address} does not answer" in result.stderr

    with mlflow_server(tmp_path, port, uri, str(tmp_path / "artifacts")):
        store = Registry(address)
        assert CliRunner().invoke(app, command).exit_code == 0, "nothing was lost"

        results = finish([start(root, PROGRAM, *command, "--name", "fresh") for _ in range(2)])
        assert [code for code, _, _ in results] == [0, 0], results
        assert len(store.client.search_model_versions("name = 'fresh'")) == 1, "the same release is registered once"
        assert [(move.after, move.version) for move in history(Registry(address, "fresh"))] == [(None, "1")]

        results = finish([promotion(address, 1, "1"), promotion(address, 2, "1")])
        assert [code for code, _, _ in results] == [0, 0], results
        moves = [(move.after, move.version) for move in history(store)]
        first, second = ("2", "3") if moves[1][1] == "2" else ("3", "2")
        assert moves == [(None, "1"), ("1", first), (first, second)], "the slower one was compared with the faster one"
        assert store.alias("champion").number == second and store.alias("previous").number == first
        kept = store.mlflow.artifacts.download_artifacts(
            run_id=store.alias("champion").run_id, artifact_path=f"gate-against-{first}", dst_path=str(tmp_path)
        )
        again = load_decision(Path(kept) / "gate.json")
        assert again.champion_version == first and again.champion == load_checkpoints(tmp_path, first)
        assert {finding.rule for finding in again.findings if finding.interval} == {"non-inferior"}

        results = finish([start(root, CONTENDER, address, str(seed)) for seed in range(2)])
        assert [code for code, _, _ in results] == [0, 0], results
        won = [int(output) for _, output, _ in results]
        order = history(store)
        assert len(order) == 3 + sum(won) and sum(won) >= 12
        assert all(later.after == earlier.version for earlier, later in zip(order, order[1:], strict=False))
        assert store.alias("champion").number == order[-1].version


def load_checkpoints(folder, version):
    """The checkpoints of the release that a version was made of."""
    tasks = json.loads((folder / f"release-{int(version) - 1}" / "bundle.json").read_text())["tasks"]
    return {task: member["checkpoint_sha256"] for task, member in tasks.items()}
