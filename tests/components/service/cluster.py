"""A stand-in for a cluster's API: it keeps the objects that the real client applies over HTTP, and plays how they go.

It is no cluster. Applying replaces what is given and counts generations, as the API's documentation says; which kinds
it knows it says as a real one does, and those alone it takes.
"""

import json
import threading
from http.server import ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from kubernetes.client import ApiClient, Configuration

from tests.json_handler import JSONHandler

KINDS = {
    "v1": {"Service": "services"},
    "apps/v1": {"Deployment": "deployments"},
    "autoscaling/v2": {"HorizontalPodAutoscaler": "horizontalpodautoscalers"},
    "batch/v1": {"Job": "jobs"},
    "policy/v1": {"PodDisruptionBudget": "poddisruptionbudgets"},
    "serving.knative.dev/v1": {"Service": "services"},
    "serving.kserve.io/v1beta1": {"InferenceService": "inferenceservices"},
}
"""Kinds and their names in paths, by group and version; Knative, on which KServe may stand, has Services, too."""


class FakeCluster:
    """`play(object)` is called at each look at an object and may give it a status; `refuse` names kinds that fail.

    `kinds` are those it knows, `looks` the paths that were asked for.
    """

    def __init__(self):
        self.objects, self.requests, self.refuse, self.looks = {}, [], set(), []
        self.kinds = {version: dict(kinds) for version, kinds in KINDS.items()}
        self.play = lambda found: None
        handler = type("Handler", (_Handler,), {"cluster": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def client(self):
        configuration = Configuration(host=f"http://127.0.0.1:{self.server.server_port}")
        configuration.retries = False
        return ApiClient(configuration)

    def of(self, kind):
        """The object of a kind."""
        return next((found for found in self.objects.values() if found["kind"] == kind), None)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class _Handler(JSONHandler):
    cluster: FakeCluster
    protocol_version = "HTTP/1.1"

    def _fail(self, code, message):
        self.send({"kind": "Status", "status": "Failure", "code": code, "message": message}, code)

    def _missing(self):
        self._fail(404, "the server could not find the requested resource")

    def _discovered(self, path):
        """What a cluster answers at a path that tells of its kinds; None at any other."""
        kinds = self.cluster.kinds
        if path == "/version":
            return {"major": "1", "minor": "33", "gitVersion": "v1.33.1"}
        if path == "/apis":
            versions = [(found.split("/")[0], found) for found in kinds if "/" in found]
            groups = [(name, {"groupVersion": found, "version": found.split("/")[1]}) for name, found in versions]
            found = [{"name": name, "versions": [one], "preferredVersion": one} for name, one in groups]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": found}
        version = path.removeprefix("/api/" if path == "/api/v1" else "/apis/")
        if version not in kinds:
            return None
        verbs = ["create", "delete", "get", "list", "patch", "update", "watch"]
        found = [
            {"name": plural, "singularName": kind.lower(), "namespaced": True, "kind": kind, "verbs": verbs}
            for kind, plural in kinds[version].items()
        ]
        found += [{**one, "name": f"{one['name']}/status", "verbs": ["get", "patch", "update"]} for one in found]
        return {"kind": "APIResourceList", "groupVersion": version, "resources": found}

    def _known(self, path):
        """Whether a path is one of an object of a kind that there is."""
        place, _, rest = path.partition("/namespaces/")
        version = place.removeprefix("/api/" if place == "/api/v1" else "/apis/")
        return rest.split("/")[1] in self.cluster.kinds.get(version, {}).values()

    def do_GET(self):
        path = urlsplit(self.path).path
        self.cluster.looks.append(path)
        if (found := self._discovered(path)) is not None:
            return self.send(found)
        if path not in self.cluster.objects:
            return self._missing()
        found = self.cluster.objects[path]
        self.cluster.play(found)
        self.send(found)

    def do_PATCH(self):
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        found = json.loads(self.body())
        dry = query.get("dryRun") == ["All"]
        self.cluster.requests.append((found["kind"], dry))
        assert self.headers["Content-Type"] == "application/apply-patch+yaml" and query["fieldManager"] == ["ofa"]
        if not self._known(parts.path):
            return self._missing()
        if found["kind"] in self.cluster.refuse and not dry:
            return self._fail(403, f'{found["kind"].lower()}s is forbidden: User "ci" cannot patch it')
        assert not {"uid", "managedFields", "resourceVersion"} & found["metadata"].keys() and "status" not in found
        old = self.cluster.objects.get(parts.path, {"metadata": {"generation": 0}})
        changed = old.get("spec") != found.get("spec")
        found["metadata"] |= {"uid": "u1", "generation": old["metadata"]["generation"] + changed}
        found |= {"status": old["status"]} if "status" in old else {}
        if not dry:
            self.cluster.objects[parts.path] = found
        self.send(found)

    def do_DELETE(self):
        if self.cluster.objects.pop(urlsplit(self.path).path, None) is None:
            return self._missing()
        self.send({"kind": "Status", "status": "Success"})
