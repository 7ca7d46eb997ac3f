"""Deploying a version: applied, waited for, asked; what fails is put back; a dry run changes nothing."""

import copy
import os
import signal
import sys
from pathlib import Path

import pytest
import yaml

from components.deploy.deployment import VERSION, deploy, render
from components.deploy.registry import Registry
from components.kubernetes import Cluster
from ofa.errors import OFAError
from tests.components.service.cluster import FakeCluster

SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "ofa", "namespace": "ofa"},
    "spec": {"ports": [{"port": 8000}]},
}
CONTAINER = {"name": "ofa", "image": "ofa:1", "command": ["ofa", "serve", "models:/ofa@champion", "--port", "8000"]}
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "ofa", "namespace": "ofa"},
    "spec": {"replicas": 2, "template": {"spec": {"containers": [CONTAINER]}}},
}
OTHER = DEPLOYMENT | {"metadata": {"name": "mlflow", "namespace": "ofa"}}
INFERENCE = {
    "apiVersion": "serving.kserve.io/v1beta1",
    "kind": "InferenceService",
    "metadata": {"name": "ofa", "namespace": "ofa"},
    "spec": {"predictor": {"containers": [CONTAINER]}},
}


@pytest.fixture
def cluster():
    found = FakeCluster()
    yield found
    found.close()


@pytest.fixture
def put(tmp_path, cluster):
    """A function that deploys objects."""

    def run(*objects, version="1", **options):
        path = tmp_path / "objects.yaml"
        path.write_text(yaml.safe_dump_all(objects))
        said = []
        options = {"pause": 0.01, "timeout": 5, "say": said.append} | options
        return deploy(path, "", version, cluster=Cluster(cluster.client()), **options), said

    return run


def ready(found):
    generation = found["metadata"]["generation"]
    if found["kind"] == "Deployment":
        counts = {"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}
        found["status"] = {"observedGeneration": generation} | counts
    elif found["kind"] == "InferenceService":
        conditions = [{"type": "Ready", "status": "True"}]
        found["status"] = {"observedGeneration": generation, "conditions": conditions}


def command(cluster, kind="Deployment"):
    spec = cluster.of(kind)["spec"]
    return (spec.get("predictor") or spec["template"]["spec"])["containers"][0]["command"][2]


@pytest.mark.parametrize("workload", [DEPLOYMENT, INFERENCE], ids=["Deployment", "InferenceService"])
def test_the_version_is_applied_and_waited_for(put, cluster, workload):
    looks = []

    def play(found):
        looks.append(found["kind"])
        if len(looks) > 3:  # at first the cluster is still at work
            ready(found)

    cluster.play = play
    done, said = put(SERVICE, workload, OTHER, version="7", image="ofa:2")
    kind = workload["kind"]
    assert (done.version, done.applied) == ("7", True) and len(looks) > 3
    assert command(cluster, kind) == "models:/ofa/7" and cluster.of(kind)["metadata"]["annotations"] == {VERSION: "7"}
    assert "ofa:2" in str(cluster.of(kind)) and len(cluster.objects) == 2, "what is not the service is left alone"
    assert said[-1] == f"{kind} ofa: ready"


def test_a_dry_run_prints_the_difference_and_changes_nothing(put, cluster):
    cluster.play = ready
    put(SERVICE, DEPLOYMENT, version="1")
    before = copy.deepcopy(cluster.objects)
    done, said = put(SERVICE, DEPLOYMENT, version="2", dry_run=True)
    assert cluster.objects == before and said == [] and not done.applied
    changed = [line for line in done.diff.splitlines() if line[0] in "+-"]
    assert [line for line in changed if "models" in line] == ["-        - models:/ofa/1", "+        - models:/ofa/2"]
    assert "Service ofa" not in done.diff and "uid" not in done.diff
    assert put(SERVICE, DEPLOYMENT, version="1", dry_run=True)[0].diff == ""


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (
            {"replicas": 3, "updatedReplicas": 1, "availableReplicas": 2},
            "after 0.3 s: 2 of 2 replicas are available, 1",
        ),
        (
            {"conditions": [{"type": "Progressing", "reason": "ProgressDeadlineExceeded", "message": "too late"}]},
            "Deployment ofa is not ready: ProgressDeadlineExceeded too late",
        ),
    ],
)
def test_what_does_not_become_ready_is_put_back(put, cluster, status, reason):
    cluster.play = ready
    put(SERVICE, DEPLOYMENT, version="1")
    before = {path: found["spec"] for path, found in cluster.objects.items()}
    cluster.play = lambda found: found.update(status={"observedGeneration": 9} | status)
    with pytest.raises(OFAError, match=f"version 2 was not deployed: .*{reason}.*the objects are as they were before"):
        put(SERVICE, DEPLOYMENT, version="2", timeout=0.3)
    assert {path: found["spec"] for path, found in cluster.objects.items()} == before
    assert cluster.of("Deployment")["metadata"]["annotations"] == {VERSION: "1"}


def test_a_first_deployment_that_fails_leaves_nothing(put, cluster):
    cluster.refuse = {"Deployment"}
    reason = "Deployment ofa: the cluster refuses to apply it: 403 deployments is forbidden.*; the new objects are"
    with pytest.raises(OFAError, match=reason):
        put(SERVICE, DEPLOYMENT)
    assert cluster.objects == {}
    assert cluster.requests[:2] == [("Service", True), ("Deployment", True)], "asked before anything is changed"


def test_what_cannot_be_put_back_is_told_and_the_rest_is(put, cluster):
    cluster.play = ready
    put(SERVICE, DEPLOYMENT, version="1")

    def play(found):
        cluster.refuse = {"Service"} if found["metadata"].get("annotations") == {VERSION: "2"} else set()
        found["status"] = {
            "observedGeneration": 9,
            "conditions": [{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}],
        }

    cluster.play = play
    with pytest.raises(OFAError, match="Exceeded; look after what could not be put back: Service ofa: "):
        put(SERVICE, DEPLOYMENT, version="2")
    assert command(cluster) == "models:/ofa/1"


def test_a_kind_that_the_cluster_does_not_know_is_told_before_anything_changes(put, cluster):
    del cluster.kinds["serving.kserve.io/v1beta1"]
    reason = "InferenceService ofa: the cluster knows no InferenceService of serving.kserve.io/v1beta1; install"
    with pytest.raises(OFAError, match=reason):
        put(SERVICE, INFERENCE)
    assert cluster.objects == {}


def test_an_object_is_asked_for_at_the_version_that_it_names(put, cluster):
    cluster.kinds["apps/v2"] = {"Deployment": "deployments"}
    cluster.play = ready
    put(SERVICE, DEPLOYMENT | {"apiVersion": "apps/v2"})
    assert set(cluster.objects) == {
        "/api/v1/namespaces/ofa/services/ofa",
        "/apis/apps/v2/namespaces/ofa/deployments/ofa",
    }


def test_kinds_are_asked_for_once_and_kept_in_no_file(put, cluster, tmp_path, monkeypatch):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    cluster.play = ready
    put(SERVICE, DEPLOYMENT)
    discovered = [path for path in cluster.looks if "/namespaces/" not in path]
    assert discovered == ["/version", "/apis", "/api/v1", "/apis/apps/v1"]
    assert not list(temporary.iterdir())


def test_the_service_is_asked_and_must_answer_as_that_version(put, cluster, launch, store):
    server = launch(model="models:/ofa@champion", registry=store.uri)
    cluster.play = ready
    _, said = put(DEPLOYMENT, version="1", service=server.url)
    assert "version 1 answers caption in" in said[-1]
    with pytest.raises(OFAError, match="serves version 1 of ofa, not 2 of ofa; the objects are as they were before"):
        put(DEPLOYMENT, version="2", service=server.url)
    assert command(cluster) == "models:/ofa/1"
    with pytest.raises(OFAError, match=r"does not answer \(.*refused"):
        put(DEPLOYMENT, version="2", service="http://127.0.0.1:9")


def test_the_champion_is_what_is_deployed(tmp_path, cluster, store):
    (tmp_path / "objects.yaml").write_text(yaml.safe_dump(DEPLOYMENT))
    options = {"cluster": Cluster(cluster.client()), "dry_run": True}
    assert deploy(tmp_path / "objects.yaml", store.uri, **options).version == "1"
    Registry(store.uri).drop_alias("champion")
    with pytest.raises(OFAError, match="no version of 'ofa' is the champion; promote one"):
        deploy(tmp_path / "objects.yaml", store.uri, **options)


def test_a_deployment_that_is_told_to_stop_puts_everything_back(put, cluster):
    cluster.play = ready
    put(SERVICE, DEPLOYMENT, version="1")
    before, handler = command(cluster), signal.getsignal(signal.SIGTERM)
    cluster.play = lambda found: None

    def say(line):
        if "Deployment" in line:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(OFAError, match="version 2 was not deployed: stopped; the objects are as they were before"):
        put(SERVICE, DEPLOYMENT, version="2", say=say)
    assert command(cluster) == before and signal.getsignal(signal.SIGTERM) == handler


def test_manifests_without_a_service(tmp_path):
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(OTHER))
    with pytest.raises(OFAError, match="no Deployment or InferenceService 'ofa' that runs `ofa serve`"):
        render(tmp_path / "a.yaml")
    with pytest.raises(OFAError, match="cannot read the manifests .*none.yaml: No such file"):
        render(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"- 1", "document 1 is no object of Kubernetes"),
        (b"text", "document 1 is no object of Kubernetes"),
        (b"kind: Deployment", "document 1 is no object of Kubernetes"),
        (b"a: [", "not YAML"),
        (b"\xff", "not text"),
    ],
)
def test_files_that_are_no_manifests(tmp_path, content, reason):
    (tmp_path / "a.yaml").write_bytes(content)
    with pytest.raises(OFAError, match=f"a.yaml: {reason}"):
        render(tmp_path / "a.yaml")


@pytest.mark.parametrize(("overlay", "kind"), [("local", "Deployment"), ("production", "InferenceService")])
def test_the_projects_manifests(root, cluster, overlay, kind, monkeypatch):
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    monkeypatch.setenv("PATH", programs)  # the environment brings kubectl
    done = deploy(root / "k8s/overlays" / overlay, "", "5", dry_run=True, cluster=Cluster(cluster.client()))
    assert f"+++ {kind} ofa (then)" in done.diff and "models:/ofa/5" in done.diff and "champion" not in done.diff
