"""Deploying: the service's objects on a cluster, for one version of the model; seen to work, or taken back.

What a cluster runs stands in manifests (`k8s/`). Here they get the version, are applied on the server's side, watched
until they are ready, and asked a question. Where that fails, what was there before is put back.
"""

import difflib
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from components.deploy.registry import CHAMPION, MODEL, Registry
from components.deploy.smoke import smoke
from ofa.errors import OFAError

VERSION = "ofa/version"
"""Annotation of the objects with the version that they serve."""

MANAGER = "ofa"

PATHS = {
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments/{}",
    "HorizontalPodAutoscaler": "/apis/autoscaling/v2/namespaces/{}/horizontalpodautoscalers/{}",
    "InferenceService": "/apis/serving.kserve.io/v1beta1/namespaces/{}/inferenceservices/{}",
    "PodDisruptionBudget": "/apis/policy/v1/namespaces/{}/poddisruptionbudgets/{}",
    "Service": "/api/v1/namespaces/{}/services/{}",
}
"""Kinds that make up the service, and where the cluster keeps them."""

_SERVERS = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid")
"""What the cluster adds to an object's metadata."""

Object = dict[str, Any]


@dataclass(frozen=True)
class Deployed:
    """What was done, or would be done."""

    version: str
    diff: str
    """How the cluster's objects change, as a unified diff of YAML; empty where nothing does."""
    applied: bool


class Cluster:
    """The service's objects in one cluster.

    Args:
        client: `kubernetes.client.ApiClient`; by default one of the current context or of the pod that this runs in.
    """

    def __init__(self, client: Any = None):
        if client is None:
            from kubernetes import client as api
            from kubernetes import config

            try:
                config.load_config()
            except config.ConfigException as error:
                raise OFAError(f"no cluster: {error}; set KUBECONFIG, or run it in a pod") from error
            client = api.ApiClient()
        self._client = client

    def get(self, found: Object) -> Object | None:
        """The object as the cluster has it; None where it has none."""
        return self._call("GET", found, missing=None)

    def apply(self, found: Object, dry: bool = False) -> Object:
        """Make the object as it is given; what it comes to."""
        query = [("fieldManager", MANAGER), ("force", "true"), *([("dryRun", "All")] if dry else [])]
        return self._call("PATCH", found, query, found)

    def delete(self, found: Object) -> None:
        """Take the object away."""
        self._call("DELETE", found, missing=None)

    def _call(self, method: str, found: Object, query: Sequence = (), body: Any = None, missing: Any = OFAError) -> Any:
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        path = PATHS[found["kind"]].format(found["metadata"]["namespace"], found["metadata"]["name"])
        headers = {"Accept": "application/json", "Content-Type": "application/apply-patch+yaml"}
        try:
            return self._client.call_api(
                path, method, query_params=list(query), header_params=headers, body=body, response_type="object",
                auth_settings=["BearerToken"], _return_http_data_only=True,
            )  # fmt: skip
        except ApiException as error:
            if error.status == 404 and missing is None:
                return None
            raise OFAError(f"{_name(found)}: the cluster refuses to {method}: {error.status} {error.reason}") from error
        except HTTPError as error:
            raise OFAError(f"the cluster does not answer: {error}") from error


def deploy(
    manifests: str | Path,
    registry: str,
    version: str = "",
    service: str = "",
    *,
    image: str = "",
    name: str = MODEL,
    dry_run: bool = False,
    timeout: float = 900.0,
    pause: float = 5.0,
    key: str = "",
    cluster: Cluster | None = None,
    say: Callable[[str], None] = print,
) -> Deployed:
    """Let a cluster serve a version of the model.

    Args:
        manifests: a folder for kustomize, such as "k8s/overlays/production", or a file of rendered objects.
        registry: MLflow tracking address.
        version: of the registered model; by default the champion.
        service: address where the service answers, such as "http://ofa.ofa.svc:8000", for the smoke request; empty:
            readiness must do.
        image: of the container, instead of the manifests'.
        name: of the registered model, of the service in the protocols, and of the cluster's objects.
        dry_run: ask the cluster what would change, and change nothing.
        timeout: seconds to become ready.
        pause: seconds between two looks.
        key: that the service asks for.
        cluster: where; by default the current one.
        say: gets what happens, line by line.

    Raises:
        OFAError: the cluster refuses, or the service did not become ready or did not answer; then the objects are as
            they were before.
    """
    number = version or _champion(registry, name)
    wanted = [_for_version(found, number, name, image) for found in render(manifests, name)]
    cluster = cluster or Cluster()
    before = [cluster.get(found) for found in wanted]
    after = [cluster.apply(found, dry=True) for found in wanted]
    diff = "".join(map(_diff, before, after))
    if dry_run:
        return Deployed(number, diff, applied=False)
    try:
        for found in wanted:
            cluster.apply(found)
            say(f"{_name(found)}: applied for version {number}")
        _wait(cluster, wanted, timeout, pause, say)
        if service:
            say(smoke(service, number, name, key))
    except (OFAError, KeyboardInterrupt) as error:
        _put_back(cluster, wanted, before)
        rest = "the objects are as they were before" if any(before) else "the new objects are gone again"
        raise OFAError(f"version {number} was not deployed: {str(error) or 'stopped'}; {rest}") from error
    return Deployed(number, diff, applied=True)


def render(manifests: str | Path, name: str = MODEL) -> list[Object]:
    """The objects of the service in manifests, in their order.

    Raises:
        OFAError: there are none, or kubectl, which renders a folder, is missing.
    """
    path = Path(manifests)
    if path.is_dir():
        if not shutil.which("kubectl"):
            raise OFAError(f"{manifests}: kubectl renders it and is not here; install it, or name a rendered file")
        done = subprocess.run(["kubectl", "kustomize", str(path)], capture_output=True, text=True)
        if done.returncode:
            raise OFAError(f"{manifests}: {done.stderr.strip()}")
        text = done.stdout
    else:
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise OFAError(f"cannot read the manifests {manifests}: {error.strerror}") from error
    try:
        objects = [found for found in yaml.safe_load_all(text) if found]
    except yaml.YAMLError as error:
        raise OFAError(f"{manifests}: not YAML ({error})") from error
    found = [o for o in objects if o.get("kind") in PATHS and o["metadata"]["name"] == name]
    if not any(_container(o) for o in found):
        raise OFAError(f"{manifests}: no Deployment or InferenceService '{name}' that runs `ofa serve`")
    for o in found:
        o["metadata"].setdefault("namespace", "default")
    return found


def _champion(registry: str, name: str) -> str:
    champion = Registry(registry, name).alias(CHAMPION)
    if champion is None:
        raise OFAError(f"{registry}: no version of '{name}' is the champion; promote one, or name one with --version")
    return champion.number


def _container(found: Object) -> Object | None:
    """The container that serves, where the object starts one."""
    spec = found.get("spec", {})
    pod = spec.get("predictor") or spec.get("template", {}).get("spec") or {}
    return next((c for c in pod.get("containers", ()) if "serve" in (*c.get("command", ()), *c.get("args", ()))), None)


def _for_version(found: Object, number: str, name: str, image: str) -> Object:
    """The object with the version in its command, and as an annotation."""
    found = deepcopy(found)
    container = _container(found)
    if container is not None:
        found["metadata"].setdefault("annotations", {})[VERSION] = number
        for words in (container.get("command", []), container.get("args", [])):
            words[:] = [f"models:/{name}/{number}" if word.startswith("models:/") else word for word in words]
        if image:
            container["image"] = image
    return found


def _wait(cluster: Cluster, wanted: Sequence[Object], timeout: float, pause: float, say: Callable) -> None:
    end = time.monotonic() + timeout
    for found in filter(_container, wanted):
        while True:
            ready, why = _state(cluster.get(found) or {})
            if ready:
                say(f"{_name(found)}: ready")
                break
            if ready is None or time.monotonic() >= end:
                raise OFAError(f"{_name(found)} is not ready{'' if ready is None else f' after {timeout:g} s'}: {why}")
            time.sleep(min(pause, max(0.0, end - time.monotonic())))


def _state(found: Mapping[str, Any]) -> tuple[bool | None, str]:
    """Whether an object is ready, None where it never will be; and what it says."""
    status = found.get("status") or {}
    conditions = {condition["type"]: condition for condition in status.get("conditions") or ()}
    if status.get("observedGeneration", 0) < found.get("metadata", {}).get("generation", 1):
        return False, "the cluster has not looked at it yet"
    if found["kind"] == "InferenceService":
        ready = conditions.get("Ready", {})
        failed = (status.get("modelStatus") or {}).get("transitionStatus") in ("BlockedByFailedLoad", "InvalidSpec")
        return (None if failed else ready.get("status") == "True"), _words(ready)
    progress = conditions.get("Progressing", {})
    if progress.get("reason") == "ProgressDeadlineExceeded":
        return None, _words(progress)
    replicas = found["spec"].get("replicas", 1)
    counts = [status.get(f"{kind}Replicas", 0) for kind in ("updated", "available")]
    ready = min(counts) >= replicas and status.get("replicas", 0) <= counts[0]
    return ready, f"{counts[1]} of {replicas} replicas are available, {counts[0]} are new"


def _words(condition: Mapping[str, Any]) -> str:
    return " ".join(filter(None, (condition.get("reason"), condition.get("message")))) or "no condition says why"


def _put_back(cluster: Cluster, wanted: Sequence[Object], before: Sequence[Object | None]) -> None:
    for found, old in zip(wanted, before, strict=True):
        if old is None:
            cluster.delete(found)
        else:
            cluster.apply(_given(old))


def _given(found: Object) -> Object:
    """An object without what the cluster adds."""
    kept = {key: value for key, value in found.items() if key != "status"}
    return kept | {"metadata": {key: value for key, value in found["metadata"].items() if key not in _SERVERS}}


def _diff(before: Object | None, after: Object) -> str:
    old, new = ("" if o is None else yaml.safe_dump(_given(o)) for o in (before, after))
    lines = difflib.unified_diff(
        old.splitlines(keepends=True), new.splitlines(keepends=True), f"{_name(after)} (now)", f"{_name(after)} (then)"
    )
    return "".join(lines)


def _name(found: Object) -> str:
    return f"{found['kind']} {found['metadata']['name']}"
