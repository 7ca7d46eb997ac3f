"""What the page shows while it has no answers: a service that wants its key, and one that is gone."""

import pytest

from tests.components.service.browser import Browser, needs_chromium

pytestmark = needs_chromium

PROBLEM = "document.getElementById('{}').checkVisibility()"


@pytest.fixture
def server(launch, models, tmp_path):
    (tmp_path / "key").write_text("open sesame\n")
    return launch(model=models / "caption", api_key_file=tmp_path / "key")


def test_a_wrong_key_is_told_and_a_lost_service_as_well(server, tmp_path):
    (tmp_path / "profile").mkdir()
    with Browser(tmp_path / "profile") as page:
        page.open(server.url + "/")
        page.wait_for("document.querySelector('#key[open]')")
        assert not page.run(PROBLEM.format("key-problem")) and not page.run(PROBLEM.format("composer"))
        page.type("#key-text", "open barley")
        page.press("Enter", code="Enter", windowsVirtualKeyCode=13, text="\r")
        page.wait_for(PROBLEM.format("key-problem"))
        page.type("#key-text", "open sesame")
        page.press("Enter", code="Enter", windowsVirtualKeyCode=13, text="\r")
        page.wait_for(PROBLEM.format("composer"))
        assert page.run("document.getElementById('model').dataset.lamp") == "on"

        page.wait_for("document.getElementById('picture').naturalWidth")
        server.process.kill()
        server.process.wait()
        page.click("#go")
        page.wait_for(
            "document.getElementById('problem').textContent === 'The service does not answer. Is it still running?'"
        )
        page.wait_for("document.getElementById('model').dataset.lamp === 'off'")
        assert page.run("document.getElementById('model-name').textContent") == "no connection"
