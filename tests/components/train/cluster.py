"""A cluster's API as `kmock` plays it: it keeps the objects that the real client sends over HTTP.

A test plays how a job goes.
"""

import asyncio
import copy
import re
import threading

import kmock
from kubeflow.trainer import KubernetesBackendConfig, TrainerClient
from kubernetes.client import Configuration

NAMESPACE = "ofa"
TIME = "2026-01-01T00:00:00Z"
JOBS, RUNTIMES = "trainer.kubeflow.org/v1alpha1/trainjobs", "trainer.kubeflow.org/v1alpha1/trainingruntimes"

RUNTIME = {
    "apiVersion": "trainer.kubeflow.org/v1alpha1",
    "kind": "TrainingRuntime",
    "metadata": {"name": "ofa-torch", "labels": {"trainer.kubeflow.org/framework": "torch"}},
    "spec": {
        "mlPolicy": {"numNodes": 1, "torch": {}},
        "template": {
            "spec": {
                "replicatedJobs": [
                    {
                        "name": "node",
                        "template": {
                            "metadata": {"labels": {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}},
                            "spec": {"template": {"spec": {"containers": [{"name": "node", "image": "x"}]}}},
                        },
                    }
                ]
            }
        },
    },
}


class Cluster:
    """Holds what was sent, and what is to be seen. `play` is called at each look at a job, with its name."""

    def __init__(self):
        self.made, self.log = [], ""
        self.down = 0
        """So many requests are answered with an error."""
        self.play = lambda name: None
        started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(started)), daemon=True)
        self._thread.start()
        assert started.wait(30)

    async def _serve(self, started):
        self._loop, self._closing = asyncio.get_running_loop(), asyncio.Event()
        async with kmock.KubernetesEmulator() as self.api, kmock.Server(self.api) as server:
            for kind in (JOBS, RUNTIMES, "v1/pods", "v1/events"):
                self.api.resources[kind] = {"namespaced": True}
            self.api.objects[RUNTIMES, NAMESPACE, "ofa-torch"] = RUNTIME
            self.api[re.compile("/.*")] << self._break_down
            self.api[kmock.action.CREATE, kmock.resource(JOBS)] << self._create
            self.api[kmock.action.FETCH, kmock.resource(JOBS)] << self._look
            self.api[kmock.subresource("log")] << (lambda request: self.log.encode())
            self.url = str(server.url)
            started.set()
            await self._closing.wait()

    def client(self) -> TrainerClient:
        configuration = Configuration(host=self.url.rstrip("/"))
        configuration.retries = False
        return TrainerClient(KubernetesBackendConfig(namespace=NAMESPACE, client_configuration=configuration))

    def close(self):
        self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join(10)

    def end(self, name, kind, reason="x"):
        """Let a job be Complete or Failed."""
        condition = {"type": kind, "status": "True", "reason": reason, "message": "", "lastTransitionTime": TIME}
        self._job(name).patch({"status": {"conditions": [condition]}})

    def restart(self, name):
        """Forget how a job ended."""
        self._job(name).patch({"status": {"conditions": []}})

    def remove(self, name):
        """Delete a job, as somebody else would."""
        self._job(name).delete()

    def pod(self, phase="Running", state=None, last=None, reason=None, message=None):
        """Let the first node's pod be so."""
        container = {"name": "node", "image": "x", "imageID": "x", "ready": True, "restartCount": 0}
        container |= {"state": state or {"running": {"startedAt": TIME}}} | ({"lastState": last} if last else {})
        status = {"phase": phase, "containerStatuses": [container], "reason": reason, "message": message}
        labels = {"jobset.sigs.k8s.io/replicatedjob-name": "node", "batch.kubernetes.io/job-completion-index": "0"}
        self.api.objects["v1/pods", NAMESPACE, "job-node-0-0"] = {
            "metadata": {"name": "job-node-0-0", "creationTimestamp": TIME, "labels": labels},
            "spec": {"containers": [{"name": "node", "image": "x"}]},
            "status": {key: value for key, value in status.items() if value is not None},
        }

    def event(self, reason, message):
        """Let the cluster tell of something."""
        self.api.objects["v1/events", NAMESPACE, reason.lower()] = {
            "metadata": {"name": reason.lower(), "namespace": NAMESPACE},
            "involvedObject": {"kind": "Pod", "name": "job-node-0-0", "namespace": NAMESPACE},
            "reason": reason,
            "message": message,
            "firstTimestamp": TIME,
        }

    @property
    def deleted(self):
        """Names of the jobs that were to be deleted, each time."""
        return [request.name for request in self.api[kmock.action.DELETE]]

    @property
    def asked(self):
        """Group, resource and verb of every request about the namespace, as rights name them."""
        return {
            (
                request.resource.group,
                "/".join(filter(None, (request.resource.plural, request.subresource))),
                request.action.value.lower().replace("fetch", "get"),
            )
            for request in self.api[kmock.namespace(NAMESPACE)]
        }

    def _objects(self):
        return list(self.api.objects.items())

    def _job(self, name):
        return self.api.objects[JOBS, NAMESPACE, name]

    def _break_down(self, request):
        if not self.down:
            raise NotImplementedError  # kmock goes on to its next answer
        self.down -= 1
        return 503

    def _create(self, request):
        self.made.append(copy.deepcopy(dict(request.data)))
        job = self._job(request.data["metadata"]["name"])
        job.patch({"metadata": {"namespace": NAMESPACE, "creationTimestamp": TIME}})
        return job.raw

    def _look(self, request):
        if all(key[2] != request.name or found.deleted for key, found in self._objects()):
            raise kmock.KubernetesObjectNotFoundError
        self.play(request.name)
        if self._job(request.name).deleted:
            raise kmock.KubernetesObjectNotFoundError
        return self._job(request.name).raw
