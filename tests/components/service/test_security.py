"""The key, other web pages, and headers that keep the page to itself."""

import pytest


@pytest.fixture(scope="module")
def guarded(launch, models, tmp_path_factory):
    key = tmp_path_factory.mktemp("secret") / "key"
    key.write_text("open sesame\n")
    return launch(model=models / "caption", api_key_file=key, cors_origins=["https://example.org"])


def test_requests_need_the_key(guarded, pictures):
    for path in ("/api/caption", "/v1/models/ofa:predict", "/v2/models/ofa/infer"):
        response = guarded.post(path, files={"image": pictures[0]})
        assert response.status_code == 401 and response.json()["code"] == "unauthorized"
    for headers in ({"Authorization": "Bearer open sesame"}, {"X-API-Key": "open sesame"}):
        assert guarded.post("/api/caption", files={"image": pictures[0]}, headers=headers).status_code == 200
    wrong = {"Authorization": "Bearer open"}
    assert guarded.post("/api/caption", files={"image": pictures[0]}, headers=wrong).status_code == 401


@pytest.mark.parametrize("path", ["/", "/docs", "/page/app.js", "/healthz", "/readyz", "/metrics", "/v2/health/ready"])
def test_the_page_and_health_need_none(guarded, path):
    assert guarded.get(path).status_code == 200


def test_other_pages_only_as_allowed(guarded, server):
    def allowed(where, origin):
        return where.get("/healthz", headers={"Origin": origin}).headers.get("Access-Control-Allow-Origin")

    assert allowed(guarded, "https://example.org") == "https://example.org"
    assert allowed(guarded, "https://evil.example") is None
    assert allowed(server, "https://example.org") is None


@pytest.mark.parametrize("path", ["/", "/page/style.css", "/api/model", "/nothing"])
def test_headers(server, path):
    headers = server.get(path).headers
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"] and "http" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["X-Frame-Options"] == "DENY"
    assert "server" not in headers


def test_files_outside_the_page_are_not_served(server):
    import http.client

    connection = http.client.HTTPConnection(server.url.removeprefix("http://"))
    for path in ("/page/../app.py", "/page/%2e%2e/app.py", "/page/..%2fsettings.py"):
        connection.request("GET", path)
        response = connection.getresponse()
        assert response.status == 404 and b"import" not in response.read()
