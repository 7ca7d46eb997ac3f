"""A stand-in for the API server of Kubeflow Pipelines, for the real client to talk to over HTTP.

It is no installation: nothing runs. It keeps pipelines, versions, runs and recurring runs, and answers as the API's
description says, which is what `pipelines.remote` needs to show that it uploads once and schedules once.
"""

import json
import threading
from email.parser import BytesParser
from http.server import ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from tests.json_handler import JSONHandler

API = "/apis/v2beta1"


class Installation:
    """What was sent, by kind."""

    def __init__(self):
        self.kept = {"pipelines": [], "versions": [], "experiments": [], "runs": [], "recurringruns": []}
        self.packages = {}
        self.refuse = False
        handler = type("Handler", (_Handler,), {"store": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def add(self, kind, key, values):
        made = values | {key: f"{kind}-{len(self.kept[kind]) + 1}"}
        self.kept[kind].append(made)
        return made


class _Handler(JSONHandler):
    store: Installation

    def do_GET(self):
        parts = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        wanted = json.loads(query["filter"])["predicates"][0] if query.get("filter") else {}
        value = wanted.get("stringValue") or wanted.get("string_value")
        words = parts.path.removeprefix(API).strip("/").split("/")
        kept = self.store.kept
        if self.store.refuse:
            return self.send({"message": "no permission"}, 403)
        if words == ["healthz"]:
            return self.send({"multi_user": False})
        kind = "versions" if words[-1] == "versions" else words[0]
        if kind not in kept:
            return self.send({"message": f"no such path {self.path}"}, 404)
        if len(words) == 2:
            (found,) = (run for run in kept[kind] if words[1] in run.values())
            return self.send(found)
        found = [one for one in kept[kind] if value in (None, one["display_name"])]
        name = {"versions": "pipeline_versions", "recurringruns": "recurringRuns"}.get(kind, kind)
        self.send({name: found, "total_size": len(found)} if found else {})

    def do_POST(self):
        parts, body = urlsplit(self.path), self.body()
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        path = parts.path.removeprefix(API)
        if path == "/pipelines/upload":
            made = self.store.add("pipelines", "pipeline_id", {"display_name": query["name"]})
            return self.send(made)
        if path == "/pipelines/upload_version":
            values = {"display_name": query["name"], "pipeline_id": query["pipelineid"]}
            made = self.store.add("versions", "pipeline_version_id", values)
            message = BytesParser().parsebytes(
                b"Content-Type: " + self.headers["Content-Type"].encode() + b"\r\n\r\n" + body
            )
            self.store.packages[made["pipeline_version_id"]] = message.get_payload()[0].get_payload()
            return self.send(made)
        kind = path.strip("/")
        key = {"experiments": "experiment_id", "runs": "run_id", "recurringruns": "recurring_run_id"}[kind]
        self.send(self.store.add(kind, key, json.loads(body)))

    def do_DELETE(self):
        name = urlsplit(self.path).path.rpartition("/")[2]
        runs = self.store.kept["recurringruns"]
        runs[:] = [run for run in runs if run["recurring_run_id"] != name]
        self.send({})
