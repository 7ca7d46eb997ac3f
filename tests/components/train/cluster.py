"""A stand-in for a cluster's API: it stores TrainJobs that the real client sends over HTTP, and plays how they go.

It is no cluster. It knows just the paths that the client asks for, and answers as the API's documentation says.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from kubeflow.trainer import KubernetesBackendConfig, TrainerClient
from kubernetes.client import Configuration

NAMESPACE = "ofa"
TIME = "2026-01-01T00:00:00Z"

RUNTIME = {
    "apiVersion": "trainer.kubeflow.org/v1alpha1",
    "kind": "ClusterTrainingRuntime",
    "metadata": {"name": "torch-distributed", "labels": {"trainer.kubeflow.org/framework": "torch"}},
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
        self.jobs, self.pods, self.events, self.log = {}, [], [], ""
        self.down = 0
        """So many requests are answered with an error."""
        self.deleted, self.made = [], []
        self.play = lambda name: None
        handler = type("Handler", (_Handler,), {"cluster": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def client(self) -> TrainerClient:
        configuration = Configuration(host=f"http://127.0.0.1:{self.server.server_port}")
        configuration.retries = False
        return TrainerClient(KubernetesBackendConfig(namespace=NAMESPACE, client_configuration=configuration))

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def end(self, name, kind):
        self.jobs[name]["status"] = {
            "conditions": [{"type": kind, "status": "True", "reason": "x", "message": "", "lastTransitionTime": TIME}]
        }

    def pod(self, phase="Running", state=None, last=None, reason=None, message=None):
        statuses = [{"name": "node", "image": "x", "imageID": "x", "ready": True, "restartCount": 0}]
        statuses[0] |= {"state": state or {"running": {"startedAt": TIME}}} | ({"lastState": last} if last else {})
        status = {"phase": phase, "containerStatuses": statuses, "reason": reason, "message": message}
        labels = {"jobset.sigs.k8s.io/replicatedjob-name": "node", "batch.kubernetes.io/job-completion-index": "0"}
        self.pods = [
            {
                "metadata": {"name": "job-node-0-0", "creationTimestamp": TIME, "labels": labels},
                "spec": {"containers": [{"name": "node", "image": "x"}]},
                "status": {key: value for key, value in status.items() if value is not None},
            }
        ]

    def event(self, reason, message):
        about = {"kind": "Pod", "name": "job-node-0-0", "namespace": NAMESPACE}
        meta = {"name": reason.lower(), "namespace": NAMESPACE}
        self.events.append(
            {"metadata": meta, "involvedObject": about, "reason": reason, "message": message, "firstTimestamp": TIME}
        )


class _Handler(BaseHTTPRequestHandler):
    cluster: Cluster
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def _send(self, content, status=200):
        text = content if isinstance(content, str) else json.dumps(content)
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if isinstance(content, str) else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _missing(self):
        self._send({"kind": "Status", "status": "Failure", "code": 404, "message": "not found"}, 404)

    def do_GET(self):
        cluster, path = self.cluster, self.path.partition("?")[0]
        name = path.rpartition("/")[2]
        if cluster.down > 0:
            cluster.down -= 1
            self._send({"message": "the server is down"}, 503)
        elif "/trainjobs/" in path:
            if name not in cluster.jobs:
                return self._missing()
            cluster.play(name)
            self._send(cluster.jobs[name])
        elif path.endswith("/clustertrainingruntimes/torch-distributed"):
            self._send(RUNTIME)
        elif path.endswith("/pods"):
            self._send({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": cluster.pods})
        elif path.endswith("/events"):
            self._send({"kind": "EventList", "apiVersion": "v1", "metadata": {}, "items": cluster.events})
        elif path.endswith("/log"):
            self._send(cluster.log)
        else:
            self._missing()

    def do_POST(self):
        job = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = job["metadata"]["name"]
        if name in self.cluster.jobs:
            return self._send({"kind": "Status", "code": 409, "message": f"{name} already exists"}, 409)
        job["metadata"] |= {"namespace": NAMESPACE, "creationTimestamp": TIME}
        self.cluster.jobs[name] = job
        self.cluster.made.append(job)
        self._send(job, 201)

    def do_DELETE(self):
        name = self.path.partition("?")[0].rpartition("/")[2]
        if self.cluster.jobs.pop(name, None) is None:
            return self._missing()
        self.cluster.deleted.append(name)
        self._send({"kind": "Status", "status": "Success"})
