"""Deploying: the service's objects on a cluster, for one version of the model; seen to work, or taken back.

What a cluster runs stands in manifests (`k8s/`). Here they get the version, are applied on the server's side, watched
until they are ready, and asked a question. Where that fails, what was there before is put back.
"""

import difflib
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from components.deploy.registry import CHAMPION, MODEL, Registry
from components.deploy.smoke import smoke
from components.kubernetes import Cluster, Object, title
from ofa.errors import OFAError

VERSION = "ofa/version"
"""Annotation of the objects with the version that they serve."""

KINDS = ("Deployment", "HorizontalPodAutoscaler", "InferenceService", "PodDisruptionBudget", "Service")
"""What makes up the service; other objects of its name, such as its namespace, are not a version's."""

_SERVERS = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid")
"""What the cluster adds to an object's metadata."""


@dataclass(frozen=True)
class Deployed:
    """What was done, or would be done."""

    version: str
    diff: str
    """How the cluster's objects change, as a unified diff of YAML; empty where nothing does."""
    applied: bool


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
        with _terminable():
            for found in wanted:
                cluster.apply(found)
                say(f"{title(found)}: applied for version {number}")
            _wait(cluster, wanted, timeout, pause, say)
            if service:
                say(smoke(service, number, name, key))
    except (OFAError, KeyboardInterrupt) as error:
        rest = _put_back(cluster, wanted, before)
        raise OFAError(f"version {number} was not deployed: {str(error) or 'stopped'}; {rest}") from error
    return Deployed(number, diff, applied=True)


@contextmanager
def _terminable() -> Iterator[None]:
    """Take SIGTERM as Ctrl-C, so that a job that is cancelled puts back what it changed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


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
        except UnicodeDecodeError as error:
            raise OFAError(f"{manifests}: not text, so no manifests; name a file of YAML or a folder") from error
    try:
        objects = [found for found in yaml.safe_load_all(text) if found]
    except yaml.YAMLError as error:
        raise OFAError(f"{manifests}: not YAML ({error})") from error
    for number, o in enumerate(objects, 1):
        if not (isinstance(o, dict) and "apiVersion" in o and "kind" in o and "name" in (o.get("metadata") or {})):
            raise OFAError(
                f"{manifests}: document {number} is no object of Kubernetes: apiVersion, kind, metadata.name"
            )
    found = [o for o in objects if o["kind"] in KINDS and o["metadata"]["name"] == name]
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
                say(f"{title(found)}: ready")
                break
            if ready is None or time.monotonic() >= end:
                raise OFAError(f"{title(found)} is not ready{'' if ready is None else f' after {timeout:g} s'}: {why}")
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


def _put_back(cluster: Cluster, wanted: Sequence[Object], before: Sequence[Object | None]) -> str:
    """Make every object what it was, or nothing where there was none; how the cluster is now, in words."""
    left = []
    for found, old in zip(wanted, before, strict=True):
        try:
            if old is None:
                cluster.delete(found)
            else:
                cluster.apply(_given(old))
        except OFAError as error:
            left.append(str(error))
    if left:
        return f"look after what could not be put back: {'; '.join(left)}"
    return "the objects are as they were before" if any(before) else "the new objects are gone again"


def _given(found: Object) -> Object:
    """An object without what the cluster adds."""
    kept = {key: value for key, value in found.items() if key != "status"}
    return kept | {"metadata": {key: value for key, value in found["metadata"].items() if key not in _SERVERS}}


def _diff(before: Object | None, after: Object) -> str:
    old, new = ("" if o is None else yaml.safe_dump(_given(o)) for o in (before, after))
    lines = difflib.unified_diff(
        old.splitlines(keepends=True), new.splitlines(keepends=True), f"{title(after)} (now)", f"{title(after)} (then)"
    )
    return "".join(lines)
