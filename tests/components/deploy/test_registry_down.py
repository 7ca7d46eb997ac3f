"""A registry that does not answer: asked again, then reported, nothing lost."""

import socket

import pytest
from typer.testing import CliRunner

from components.deploy import registry
from components.deploy.cli import app
from components.deploy.decision import load_decision


@pytest.fixture
def address(monkeypatch):
    """Where nobody listens."""
    monkeypatch.setattr(registry, "RETRIES", (0.0, 0.0))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def test_promotion_ends_with_exit_code_2(address, release, tmp_path):
    folder, decision = release(0)
    result = CliRunner().invoke(app, ["promote", folder, "--decision", decision, "--registry", address])
    assert result.exit_code == 2
    assert f"the model registry {address} does not answer" in result.stderr
    assert (tmp_path / "release-0" / "bundle.json").exists()


def test_the_gate_cannot_decide(address, finished, tmp_path):
    (tmp_path / "params.yaml").write_text("gate: {tasks: {caption: {}, refcoco: {}}}")
    out = tmp_path / "gate.json"
    options = ["--evaluations", str(finished(0)), "--params", str(tmp_path / "params.yaml"), "--out", str(out)]
    result = CliRunner().invoke(app, ["gate", *options, "--registry", address])
    assert result.exit_code == 2
    assert load_decision(out).decision == "undecided" and "does not answer" in load_decision(out).reason


def test_it_is_asked_again(address, monkeypatch):
    from mlflow.exceptions import MlflowException

    store, calls = registry.Registry(address), []

    def flaky():
        calls.append(1)
        if len(calls) < 3:
            raise MlflowException("API request failed")
        return "answer"

    assert store.call(flaky) == "answer" and len(calls) == 3
