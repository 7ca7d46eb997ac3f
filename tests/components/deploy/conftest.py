"""Evaluated networks, ready to be released."""

import shutil

import pytest

from components.deploy.bundle import bundle
from components.deploy.judge import judge
from components.deploy.policy import policy_from
from components.deploy.promote import register
from components.deploy.registry import Registry
from components.evaluate.evaluate import evaluate

QUICK = {"latency_samples": 1, "resamples": 200, "params": None, "skip": ["METEOR"], "search": {"beam": 1}}

LENIENT = policy_from({"tasks": {"caption": {}, "refcoco": {}}}, "gate")
"""Every model passes that was evaluated at all."""


@pytest.fixture(scope="session")
def tables(write_table):
    """Small tables of two tasks."""
    return {
        "caption": write_table("caption", [{"image_id": str(i)} for i in range(3)]),
        "refcoco": write_table("refcoco", [{} for _ in range(3)]),
    }


@pytest.fixture(scope="session")
def finished(tmp_path_factory, network, tables):
    """A function from a seed to the evaluations of that network."""
    folder = tmp_path_factory.mktemp("evaluated")

    def make(seed):
        path = folder / str(seed)
        if not path.exists():
            for task, table in tables.items():
                evaluate(task, network(seed), table, str(path / task), **QUICK)
        return path

    return make


@pytest.fixture(scope="session")
def stock(tmp_path_factory, finished):
    """A registry with versions 1, 2 and 3, of the networks 0, 1 and 2, and no champion."""
    folder = tmp_path_factory.mktemp("registry")
    store = Registry(f"sqlite:///{folder}/mlflow.db")
    for seed in range(3):
        bundle(str(finished(seed)), str(folder / f"release-{seed}"))
        register(str(folder / f"release-{seed}"), store, pipeline_run="run-7")
    return folder


@pytest.fixture
def uri(tmp_path, stock):
    """The address of a copy of that registry."""
    shutil.copyfile(stock / "mlflow.db", tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path}/mlflow.db"


@pytest.fixture
def release(tmp_path, finished):
    """A function from a seed to a bundle, and the gate's decision about it."""

    def make(seed, champion_version=None, policy=LENIENT):
        evaluations = shutil.copytree(finished(seed), tmp_path / f"evaluations-{seed}", dirs_exist_ok=True)
        folder, decision = tmp_path / f"release-{seed}", tmp_path / f"gate-{seed}.json"
        bundle(str(evaluations), str(folder))
        judge(str(evaluations), policy, champion_version=champion_version).save(decision)
        return str(folder), str(decision)

    return make
