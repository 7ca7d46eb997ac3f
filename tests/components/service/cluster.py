"""A stand-in for a cluster's API: it keeps the objects that the real client applies over HTTP, and plays how they go.

It is no cluster. Applying replaces what is given and counts generations, as the API's documentation says.
"""

import json
import threading
from http.server import ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from kubernetes.client import ApiClient, Configuration

from tests.json_handler import JSONHandler


class FakeCluster:
    """`play(object)` is called at each look at an object and may give it a status; `refuse` names kinds that fail."""

    def __init__(self):
        self.objects, self.requests, self.refuse = {}, [], set()
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

    def _missing(self):
        self.send({"kind": "Status", "status": "Failure", "code": 404}, 404)

    def do_GET(self):
        path = urlsplit(self.path).path
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
        if found["kind"] in self.cluster.refuse and not dry:
            return self.send({"kind": "Status", "status": "Failure", "code": 403}, 403)
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
