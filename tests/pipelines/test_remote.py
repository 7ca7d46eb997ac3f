"""A version is uploaded once, a run names it, and a pipeline has one recurring run, whatever is asked for how often.

The client is the real one; the other side is a stand-in (`kfp_server.py`).
"""

import copy

import pytest
import yaml

from ofa.errors import OFAError
from ofa.settings import load_yaml
from pipelines.remote import Remote
from tests.pipelines.kfp_server import Installation

GIVEN = {"registry": "http://mlflow:5000"}
NIGHTLY, WEEKLY = "0 0 3 * * *", "0 0 3 * * 0"


@pytest.fixture
def installation():
    made = Installation()
    yield made
    made.close()


@pytest.fixture
def remote(installation):
    return Remote(installation.url)


@pytest.fixture(scope="module")
def params(root):
    return load_yaml(root / "params.yaml")


def test_a_version_is_uploaded_once_and_holds_every_setting(installation, remote, params):
    first, second = remote.submit("retrain", params, GIVEN), remote.submit("retrain", params, GIVEN)
    assert first.version == second.version and first.id != second.id
    (version,) = installation.kept["versions"]
    assert version["display_name"] == first.version
    assert len(installation.kept["pipelines"]) == len(installation.kept["experiments"]) == 1
    for run in installation.kept["runs"]:
        assert run["pipeline_version_reference"]["pipeline_version_id"] == version["pipeline_version_id"]
    spec = next(iter(yaml.safe_load_all(installation.packages[version["pipeline_version_id"]])))
    inputs = spec["root"]["inputDefinitions"]["parameters"]
    assert inputs["registry"]["defaultValue"] == GIVEN["registry"]
    assert all("defaultValue" in given for given in inputs.values())


def test_another_setting_is_another_version(installation, remote, params):
    other = copy.deepcopy(params)
    other["train"]["lr"] = 0.5
    assert remote.submit("retrain", params, GIVEN).version != remote.submit("retrain", other, GIVEN).version
    assert len(installation.kept["pipelines"]) == 1 and len(installation.kept["versions"]) == 2


def test_a_pipeline_has_one_recurring_run(installation, remote, params):
    assert remote.schedule("retrain", params, GIVEN, NIGHTLY).change == "made"
    assert remote.schedule("retrain", params, GIVEN, NIGHTLY).change == "unchanged"
    (run,) = installation.kept["recurringruns"]
    assert run["trigger"]["cron_schedule"]["cron"] == NIGHTLY
    assert (run["max_concurrency"], run["no_catchup"]) in ((1, True), ("1", True))
    assert remote.schedule("retrain", params, GIVEN, WEEKLY).change == "replaced"
    (run,) = installation.kept["recurringruns"]
    assert run["trigger"]["cron_schedule"]["cron"] == WEEKLY


def test_status_tells_of_runs_and_of_the_steps_that_failed(installation, remote, params):
    remote.submit("retrain", params, GIVEN)
    (run,) = installation.kept["runs"]
    run["state"] = "FAILED"
    task = {"display_name": "finetune-network", "state": "FAILED", "error": {"message": "no\n memory"}}
    run["run_details"] = {"task_details": [task, {"display_name": "fetch-data", "state": "SUCCEEDED"}]}
    (line,) = remote.status()
    assert line.split()[:2] == [run["run_id"], "FAILED"]
    assert remote.status(run["run_id"]) == [line, "  finetune-network failed: no memory"]


@pytest.mark.parametrize(
    "name, given, reason",
    [
        ("retrain", {}, "pipeline 'retrain' needs registry"),
        ("evaluate-gate", GIVEN, "needs networks, tables: give it as networks=VALUE"),
    ],
)
def test_what_is_missing_is_named(remote, params, name, given, reason):
    with pytest.raises(OFAError, match=reason):
        remote.submit(name, params, given)


def test_a_wrong_time_is_refused(remote, params):
    with pytest.raises(OFAError, match="must have six fields"):
        remote.schedule("retrain", params, GIVEN, "0 3 * * *")


def test_a_refusal_and_silence_are_told(installation, remote, params):
    installation.refuse = True
    with pytest.raises(OFAError, match="refuses: 403 no permission"):
        remote.status()
    installation.close()
    with pytest.raises(OFAError, match="127.0.0.1:9: Kubeflow Pipelines does not answer: .*refused; check --host"):
        Remote("http://127.0.0.1:9").status()
