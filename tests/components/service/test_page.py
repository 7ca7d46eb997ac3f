"""The web page in a real browser: from a picture to an answer, by mouse and keyboard, and without the network."""

from contextlib import ExitStack

import pytest
from PIL import Image

from components.deploy.service.app import PAGE
from components.deploy.service.samples import SAMPLES
from tests.components.service.browser import Browser, needs_chromium

pytestmark = needs_chromium


@pytest.fixture
def open_page(server, tmp_path):
    with ExitStack() as browsers:

        def start(**options):
            browser = browsers.enter_context(Browser(tmp_path / "profile", **options))
            browser.open(server.url + "/")
            browser.wait_for("document.querySelectorAll('#tabs .tab').length === 3")
            browser.wait_for("document.getElementById('picture').naturalWidth > 0")
            return browser

        yield start


def test_a_picture_of_ones_own_through_every_task(open_page, tmp_path):
    browser = open_page()
    Image.new("RGB", (300, 150), "orange").save(tmp_path / "mine.png")
    browser.choose_file("#file", tmp_path / "mine.png")
    browser.wait_for("document.getElementById('picture').naturalWidth === 300")
    browser.click("#tab-caption")
    browser.click("#go")
    browser.wait_for("document.querySelectorAll('.card').length === 1")

    browser.click("#tab-answer")
    browser.type("#text", "what is it?")
    browser.press("Enter", windowsVirtualKeyCode=13, text="\r")
    browser.wait_for("document.querySelectorAll('.card').length === 2")
    assert browser.run("document.querySelector('.card .card-ask').textContent") == "what is it?"
    assert browser.run("document.querySelectorAll('.card .others li').length") > 0

    browser.click("#tab-ground")
    browser.type("#text", "the ball")
    browser.click("#go")
    browser.wait_for("document.querySelectorAll('.card').length === 3")
    facts = browser.run("document.querySelector('.card .card-facts').textContent")
    assert "% sure" in facts and " s" in facts and "version" in facts
    assert browser.run("document.querySelectorAll('.box').length") == 1
    assert browser.problems() == []


def test_the_box_is_where_the_service_says(open_page, server):
    """The service's answer for the sample, and the rectangle on the screen, in shares of the picture's sides."""
    text = "the dog"
    [result] = server.ask("ground", (PAGE / "beach.webp").read_bytes(), text=text).json()["results"]
    browser = open_page()
    browser.click("#tab-ground")
    browser.type("#text", text)
    browser.click("#go")
    browser.wait_for("document.querySelector('.card')")
    box = result["box"]
    assert box["x0"] < box["x1"] and box["y0"] < box["y1"]
    measure = """(() => {
        const box = document.querySelector('.box').getBoundingClientRect();
        const frame = document.getElementById('frame').getBoundingClientRect();
        return [(box.left - frame.left) / frame.width, (box.top - frame.top) / frame.height,
                (box.right - frame.left) / frame.width, (box.bottom - frame.top) / frame.height];
    })()"""
    expected = [box["x0"] / 480, box["y0"] / 384, box["x1"] / 480, box["y1"] / 384]
    browser.wait_for("document.querySelector('.box').getAnimations().length === 0")
    assert browser.run(measure) == pytest.approx(expected, abs=0.01)
    browser.press("Escape", windowsVirtualKeyCode=27)
    assert browser.run("document.querySelectorAll('.box').length") == 0


def test_a_file_that_is_no_picture(open_page, tmp_path):
    browser = open_page()
    (tmp_path / "letter.png").write_text("Dear Sir or Madam")
    browser.choose_file("#file", tmp_path / "letter.png")
    message = browser.wait_for(
        "!document.getElementById('problem').hidden && document.getElementById('problem').textContent"
    )
    assert message == "letter.png is not a picture that this browser can open. JPEG, PNG and WebP always work."
    assert browser.run("document.getElementById('picture').alt") == "beach", "the picture before is still there"


def test_nothing_comes_from_the_network(open_page, server):
    browser = open_page()
    browser.click("#sample-night")
    browser.click("#go")
    browser.wait_for("document.querySelector('.card')")
    others = [a for a in browser.addresses() if not a.startswith((server.url, "blob:", "data:", "about:"))]
    assert others == [] and browser.problems() == []


def test_keys_languages_and_themes(open_page):
    browser = open_page(width=390, height=844, dark=True)
    background = "getComputedStyle(document.body).backgroundColor"
    assert browser.run(background) == "rgb(18, 18, 22)"
    browser.click("#theme")
    assert browser.run(background) == "rgb(246, 242, 236)"
    browser.press("2", windowsVirtualKeyCode=50, text="2")
    assert browser.run("document.querySelector('[aria-selected=true]').id") == "tab-answer"
    browser.click("#language")
    assert browser.run("document.getElementById('go-label').textContent") == "提问"
    assert browser.run("document.documentElement.scrollWidth") <= 390, "nothing is wider than a phone"


def test_the_documentation(open_page, server):
    browser = open_page()
    browser.open(server.url + "/docs")
    browser.wait_for("document.querySelectorAll('.route').length > 8")
    example = browser.run("document.querySelector('#post-api-answer pre').textContent")
    assert example == f'curl -F image=@picture.jpg -F question="what is on the left?" {server.url}/api/answer'
    assert browser.problems() == []


def test_the_samples_are_small(server):
    for name in SAMPLES:
        content = server.get(f"/page/{name}.webp").content
        assert len(content) < 12_000 and content == (PAGE / f"{name}.webp").read_bytes()
