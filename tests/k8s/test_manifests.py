"""Every overlay renders to what Kubernetes and Kubeflow Trainer accept, within the restricted Pod Security Standard."""

from functools import cache

import jsonschema
import kubernetes_validate
import pytest
import yaml
from kubeflow_trainer_api import models
from kubernetes.utils import parse_quantity

from components.images import TAG
from pipelines.placement import DATA, EVALUATE, LIGHT, TRAIN
from tests.k8s.crds import NOT_OF_A_POD, SPECS
from tests.k8s.kubectl import kubectl

OVERLAYS = ("local", "gpu", "production")
OF_THE_CLUSTER = {"ClusterQueue", "Namespace", "PriorityClass", "ResourceFlavor", "WorkloadPriorityClass"}
"""Kinds that stand in no namespace."""
VOLUMES = {"configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"}


@pytest.fixture(scope="session")
def render(root):
    """A function from an overlay to its objects."""

    @cache
    def made(overlay):
        return tuple(yaml.safe_load_all(kubectl("kustomize", root / "k8s/overlays" / overlay)))

    return made


def templates(objects):
    """Object, labels of its pods and their specification, of everything that starts pods."""
    for found in objects:
        spec = found.get("spec", {})
        made = []
        if found["kind"] in ("Deployment", "StatefulSet", "Job"):
            made = [spec["template"]]
        elif found["kind"] == "CronJob":
            made = [spec["jobTemplate"]["spec"]["template"]]
        elif found["kind"] == "InferenceService":  # KServe gives these labels to the pods
            made = [{"metadata": {"labels": spec["predictor"]["labels"]}, "spec": spec["predictor"]}]
        elif found["kind"] == "TrainingRuntime":
            made = [job["template"]["spec"]["template"] for job in spec["template"]["spec"]["replicatedJobs"]]
        for template in made:
            yield found, template["metadata"]["labels"], template["spec"]


def pods(objects):
    """Name and pod specification of everything that starts pods."""
    for found, _, spec in templates(objects):
        yield f"{found['kind']}/{found['metadata']['name']}", spec


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
            content = {key: value for key, value in found.items() if key not in ("apiVersion", "kind", "metadata")}
            jsonschema.validate(found.get("spec", content), schema)
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
        # Whatever else the standard asks of (sysctls, SELinux, AppArmor, Windows) is not set at all.
        assert context.keys() <= {"runAsNonRoot", "runAsUser", "runAsGroup", "fsGroup", "seccompProfile"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers", "ephemeralContainers"} & pod.keys(), name
        for volume in pod.get("volumes", ()):
            assert volume.keys() - {"name"} <= VOLUMES, f"{name}: {volume}"
        for container in pod["containers"]:
            own = container["securityContext"]
            assert own["allowPrivilegeEscalation"] is False and own["capabilities"] == {"drop": ["ALL"]}, name
            assert own["readOnlyRootFilesystem"] is True and len(own) == 3, name
            assert not [port for port in container.get("ports", ()) if "hostPort" in port], name
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
    for found in objects:
        places = {None} if found["kind"] in OF_THE_CLUSTER else {"ofa", "kubeflow"}
        assert found["metadata"].get("namespace") in places, f"{found['kind']}/{found['metadata']['name']}"
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
    chosen = {found["spec"]["podSelector"].get("matchLabels", {}).get("app.kubernetes.io/name") for found in policies}
    assert chosen >= {labels["app.kubernetes.io/name"] for _, labels, _ in templates(render("production"))}


def chosen(selector, labels):
    """Whether a selector of labels chooses an object with `labels`."""
    assert selector.keys() <= {"matchLabels"}
    return selector.get("matchLabels", {}).items() <= labels.items()


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_selector_finds_pods_with_the_port_that_is_meant(render, overlay):
    objects, checked = render(overlay), set()
    services = [found for found in objects if found["kind"] == "Service"]
    for found in objects:
        kind, spec, place = found["kind"], found.get("spec", {}), found["metadata"].get("namespace")
        there = [
            (labels, pod) for owner, labels, pod in templates(objects) if owner["metadata"].get("namespace") == place
        ]
        wanted, ports = None, []
        if kind == "Service":
            wanted = {"matchLabels": spec["selector"]}
            ports = [port.get("targetPort", port["port"]) for port in spec["ports"]]
        elif kind == "PodDisruptionBudget":
            wanted = spec["selector"]
        elif kind == "NetworkPolicy":
            wanted = spec["podSelector"]
            ports = [port["port"] for rule in spec.get("ingress", ()) for port in rule.get("ports", ())]
        elif kind == "ServiceMonitor":
            (service,) = (one for one in services if chosen(spec["selector"], one["metadata"].get("labels", {})))
            names = {port.get("name") for port in service["spec"]["ports"]}
            assert {endpoint["port"] for endpoint in spec["endpoints"]} <= names
            checked.add(kind)
        if wanted is not None:
            matching = [pod for labels, pod in there if chosen(wanted, labels)]
            assert matching, f"{kind}/{found['metadata']['name']} chooses no pod"
            open_ = {
                port["containerPort"] for pod in matching for one in pod["containers"] for port in one.get("ports", ())
            }
            assert set(ports) <= open_, f"{kind}/{found['metadata']['name']}: {ports}"
            checked.add(kind)
    assert checked >= {"Service", "PodDisruptionBudget", "NetworkPolicy"}
    assert overlay != "production" or "ServiceMonitor" in checked


def test_the_queue_has_room_for_steps_beside_trainings_on_all_of_its_gpus(render):
    (queue,) = (found for found in render("gpu") if found["kind"] == "ClusterQueue")
    ((flavor,),) = (group["flavors"] for group in queue["spec"]["resourceGroups"])
    quota = {one["name"]: parse_quantity(one["nominalQuota"]) for one in flavor["resources"]}
    for needs in (LIGHT, DATA, EVALUATE):
        for name, trained, asked in (("cpu", TRAIN.cpu, needs.cpu), ("memory", TRAIN.memory, needs.memory)):
            left = quota[name] - quota["nvidia.com/gpu"] * parse_quantity(trained)
            assert left >= 3 * parse_quantity(asked), f"{name} for three steps of {needs.priority}"


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
