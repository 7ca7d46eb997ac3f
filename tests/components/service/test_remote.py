"""Pictures by address come from listed hosts alone."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from components.deploy.service.errors import BadImage, TooLarge
from components.deploy.service.remote import fetch_picture


class Files(BaseHTTPRequestHandler):
    asked = []

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.asked.append(self.path)
        if self.path == "/elsewhere":
            self.send_response(302)
            self.send_header("Location", "/secret")
            self.end_headers()
            return
        if self.path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.server.content)


@pytest.fixture(scope="module")
def host(pictures):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Files)
    server.content = pictures[0]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_listed_host_gives_the_file(host, pictures):
    assert fetch_picture(f"http://{host}/a.png", [host], len(pictures[0])) == pictures[0]
    with pytest.raises(TooLarge, match=f"more than {len(pictures[0]) - 1} bytes"):
        fetch_picture(f"http://{host}/a.png", [host], len(pictures[0]) - 1)


@pytest.mark.parametrize(
    ("address", "hosts", "reason"),
    [
        ("http://{}/a", [], "pictures by address are not taken here"),
        ("http://{}/a", ["example.org"], "not taken from {}, only from example.org"),
        ("http://localhost/a", ["{}"], "not taken from localhost"),
        ("http://example.org@{}/a", ["{}", "example.org"], "not taken from {}"),
        ("http://[::1", ["{}"], "is no address"),
        ("http://{}/elsewhere", ["{}"], "does not give the picture: 302"),
        ("http://{}/missing", ["{}"], "does not give the picture: 404"),
    ],
)
def test_nothing_else_is_reached(host, address, hosts, reason):
    Files.asked.clear()
    with pytest.raises(BadImage) as error:
        fetch_picture(address.format(host), [name.format(host) for name in hosts], 1000)
    assert reason.format(host) in str(error.value)
    assert "/secret" not in Files.asked and ("/a" not in Files.asked)


def test_the_service_takes_them_only_when_it_is_told_to(server, launch, models, host, pictures):
    body = {"image": f"http://{host}/a.png"}
    refused = server.post("/api/caption", json=body)
    assert refused.status_code == 400 and refused.json()["code"] == "bad_image"
    assert refused.json()["error"] == "pictures by address are not taken here; send the file itself"
    listing = launch(model=models / "caption", image_hosts=[host])
    [result] = listing.post("/api/caption", json=body).json()["results"]
    assert result["caption"] == server.ask("caption", pictures[0]).json()["results"][0]["caption"]
