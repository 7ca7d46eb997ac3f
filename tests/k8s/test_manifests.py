"""Every overlay renders to what Kubernetes and Kubeflow Trainer accept, within the restricted Pod Security Standard."""

from functools import cache

import jsonschema
import kubernetes_validate
import pytest
import yaml
from kubeflow_trainer_api import models

from components.images import TAG
from tests.k8s.crds import NOT_OF_A_POD, SPECS
from tests.k8s.kubectl import kubectl

OVERLAYS = ("local", "gpu", "production")
VOLUMES = {"configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"}


@pytest.fixture(scope="session")
def render(root):
    """A function from an overlay to its objects."""

    @cache
    def made(overlay):
        return tuple(yaml.safe_load_all(kubectl("kustomize", root / "k8s/overlays" / overlay)))

    return made


def pods(objects):
    """Name and pod specification of everything that starts pods."""
    for found in objects:
        name, spec = f"{found['kind']}/{found['metadata']['name']}", found.get("spec", {})
        if found["kind"] in ("Deployment", "StatefulSet", "Job"):
            yield name, spec["template"]["spec"]
        elif found["kind"] == "CronJob":
            yield name, spec["jobTemplate"]["spec"]["template"]["spec"]
        elif found["kind"] == "InferenceService":
            yield name, spec["predictor"]
        elif found["kind"] == "TrainingRuntime":
            for job in spec["template"]["spec"]["replicatedJobs"]:
                yield name, job["template"]["spec"]["template"]["spec"]


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("version", ["1.31", "1.35"])
def test_kubernetes_takes_them(render, overlay, version):
    objects = render(overlay)
    for found in objects:
        if found["kind"] != "TrainingRuntime" and (found["apiVersion"], found["kind"]) not in SPECS:
            kubernetes_validate.validate(found, version, strict=True)
    for _, pod in pods(objects):  # also those within objects that Kubernetes does not know itself
        spec = {key: value for key, value in pod.items() if key not in NOT_OF_A_POD}
        whole = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": spec}
        kubernetes_validate.validate(whole, version, strict=True)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_controllers_of_other_kinds_take_them(render, overlay):
    runtimes = 0
    for found in render(overlay):
        if found["kind"] == "TrainingRuntime":
            assert models.TrainerV1alpha1TrainingRuntime.from_dict(found).to_dict() == found
            runtimes += 1
        elif schema := SPECS.get((found["apiVersion"], found["kind"])):
            jsonschema.validate(found.get("spec", {}), schema)
    assert runtimes == 1


def test_production_holds_every_kind(render):
    kinds = {(found["apiVersion"], found["kind"]) for found in render("production")}
    assert kinds >= SPECS.keys()
    (runtime,) = (found for found in render("production") if found["kind"] == "TrainingRuntime")
    assert runtime["spec"]["podGroupPolicy"]["coscheduling"], "all nodes of a training start together"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_pod_is_restricted(render, overlay):
    found = list(pods(render(overlay)))
    assert len(found) >= 5
    for name, pod in found:
        context = pod["securityContext"]
        assert context["runAsNonRoot"] is True and context["runAsUser"] > 0, name
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys(), name
        for volume in pod.get("volumes", ()):
            assert volume.keys() - {"name"} <= VOLUMES, f"{name}: {volume}"
        for container in pod["containers"]:
            own = container["securityContext"]
            assert own["allowPrivilegeEscalation"] is False and own["capabilities"] == {"drop": ["ALL"]}, name
            assert own["readOnlyRootFilesystem"] is True, name
            assert container["resources"]["requests"] and container["resources"]["limits"]["memory"], name
            for entry in container.get("env", ()):
                if any(word in entry["name"] for word in ("PASSWORD", "SECRET", "KEY")):
                    assert "secretKeyRef" in entry["valueFrom"], f"{name}: {entry['name']} is no reference"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_images_have_one_tag_and_ours_is_that_of_the_project(render, overlay):
    for name, pod in pods(render(overlay)):
        for container in pod["containers"]:
            image, _, tag = container["image"].rpartition(":")
            assert image and tag not in ("", "latest"), f"{name}: {container['image']}"
            assert tag == TAG or not image.startswith("ofa-"), f"{name}: {container['image']}"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_objects_name_is_there(render, overlay):
    objects = render(overlay)
    known = {(found["kind"], found["metadata"]["name"]) for found in objects}
    assert {found["metadata"].get("namespace", "ofa") for found in objects} == {"ofa", "kubeflow"}
    for name, pod in pods(objects):
        account = pod.get("serviceAccountName")
        assert account is None or ("ServiceAccount", account) in known, name
        priority = pod.get("priorityClassName")
        assert priority is None or ("PriorityClass", priority) in known, name
        for volume in pod.get("volumes", ()):
            claim = volume.get("persistentVolumeClaim")
            assert claim is None or ("PersistentVolumeClaim", claim["claimName"]) in known, name
    assert not [found for found in objects if found["kind"] == "Secret"], "secrets are made by hand, docs/cluster.md"


def test_everything_is_denied_that_is_not_allowed(render):
    policies = [found for found in render("production") if found["kind"] == "NetworkPolicy"]
    (deny,) = (found["spec"] for found in policies if found["metadata"]["name"] == "default-deny")
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    labels = set()
    for found in render("local"):
        template = found.get("spec", {})
        if found["kind"] == "CronJob":
            template = template["jobTemplate"]["spec"]
        elif found["kind"] == "TrainingRuntime":
            template = template["template"]["spec"]["replicatedJobs"][0]["template"]["spec"]
        if found["kind"] in ("Deployment", "StatefulSet", "CronJob", "TrainingRuntime"):
            labels.add(template["template"]["metadata"]["labels"]["app.kubernetes.io/name"])
    assert labels == {"postgres", "mlflow", "objects", "ofa", "retrain", "ofa-training"}
    for found in policies:
        name = found["spec"]["podSelector"].get("matchLabels", {}).get("app.kubernetes.io/name")
        assert name is None or name in labels, f"{found['metadata']['name']} chooses no pod"


def test_steps_may_make_trainjobs_and_nothing_more(render):
    (role,) = (found for found in render("local") if found["kind"] == "Role")
    writes = {
        (resource, verb)
        for rule in role["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        if verb not in ("get", "list", "watch")
    }
    assert writes == {("trainjobs", "create"), ("trainjobs", "delete")}
    assert not [found for found in render("production") if found["kind"].startswith("ClusterRole")]
