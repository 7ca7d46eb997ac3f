"""A cluster that is not there, is something else, or refuses: one clear sentence."""

import json
import threading
from http.server import ThreadingHTTPServer

import pytest
from kubernetes.client import ApiClient, Configuration

from components.kubernetes import Cluster, connecting, reason
from ofa.errors import OFAError
from tests.json_handler import JSONHandler

SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "ofa", "namespace": "ofa"}}


@pytest.fixture
def answering():
    """A function that starts a server which gives one answer to everything, and returns a client of it."""
    servers = []

    def start(status, body):
        handler = type("Handler", (JSONHandler,), {"do_GET": lambda self: self.send(body, status)})
        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return client(servers[-1].server_port)

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def client(port):
    return ApiClient(Configuration(host=f"http://127.0.0.1:{port}"))


def test_no_cluster_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))
    with pytest.raises(OFAError, match=r"no cluster: .*[^.]; set KUBECONFIG, or run it in a pod"):
        Cluster()


@pytest.mark.parametrize("content", ["text", "a: [", "- 1"])
def test_the_file_that_names_clusters_is_another(tmp_path, monkeypatch, content):
    (tmp_path / "config").write_text(content)
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "config"))
    with pytest.raises(OFAError, match="no cluster: the file that KUBECONFIG names is none of kubectl's"):
        Cluster()


def test_a_cluster_does_not_answer(caplog):
    with pytest.raises(OFAError, match="the cluster http://127.0.0.1:9 does not answer: .*refused; check KUBECONFIG"):
        Cluster(client(9))
    assert not caplog.records, "one line is enough"


@pytest.mark.parametrize("body", ["hello", {}, {"kind": "Page"}, []])
def test_what_answers_is_no_cluster(answering, body):
    with pytest.raises(OFAError, match="does not answer as Kubernetes does; check the server in KUBECONFIG"):
        Cluster(answering(200, body))


@pytest.mark.parametrize(
    ("status", "words"), [(401, "401 Unauthorized; log in to the cluster again"), (403, "403 Unauthorized$")]
)
def test_a_cluster_refuses(answering, status, words):
    with pytest.raises(OFAError, match=f"refuses to say which kinds it knows: {words}"):
        Cluster(answering(status, {"kind": "Status", "message": "Unauthorized"}))


@pytest.mark.parametrize(
    ("body", "words"), [(json.dumps({"message": "no room"}), "no room"), ("<html>", "Gone"), (None, "Gone")]
)
def test_the_reason_is_the_servers_message_or_the_status(body, words):
    class Refusal(Exception):
        pass

    error = Refusal()
    error.body, error.reason = body, "Gone"
    assert reason(error) == words


def test_other_errors_of_a_connection_stay_what_they_are():
    with pytest.raises(ZeroDivisionError), connecting():
        raise ZeroDivisionError
