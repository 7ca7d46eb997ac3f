"""The page about the evaluation that a release carries, and the way to it from the service's page."""

import pytest

from components.deploy.bundle import bundle
from components.evaluate.evaluate import evaluate
from tests.components.service.browser import Browser, needs_chromium


@pytest.fixture(scope="module")
def server(launch, network, write_table, tmp_path_factory):
    place = tmp_path_factory.mktemp("judged")
    quick = {
        "latency_samples": 1,
        "resamples": 200,
        "params": None,
        "search": {"beam": 1, "max_len_b": 4},
        "skip": ["METEOR", "SPICE"],
    }
    evaluate("caption", network(), write_table("caption", [{}, {}]), str(place / "evaluations" / "caption"), **quick)
    bundle(str(place / "evaluations"), str(place / "release"))
    return launch(model=place / "release")


def test_the_report_holds_what_was_measured(server):
    described = server.get("/api/model").json()
    [caption] = described["operations"]
    assert described["report"] == "report"
    page = server.get("/report")
    assert page.headers["Content-Type"].startswith("text/html")
    assert f"{caption['score']:.3f}" in page.text and f"OFA, version {described['version']}" in page.text
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'unsafe-inline'")
    assert "script-src" not in page.headers["Content-Security-Policy"] and page.headers["X-Frame-Options"] == "DENY"


@needs_chromium
def test_the_version_on_the_page_leads_to_it(server, tmp_path):
    with Browser(tmp_path / "profile") as browser:
        browser.open(server.url + "/")
        browser.wait_for("document.querySelectorAll('#tabs .tab').length === 1")
        browser.click("#model")
        browser.click("#card-links a[href=report]")
        browser.wait_for("document.title.startsWith('OFA, version')")
        assert browser.run("getComputedStyle(document.querySelector('table')).borderCollapse") == "collapse"
        assert browser.problems() == []
