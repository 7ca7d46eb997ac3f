"""The page's further operations in a real browser: corners on the picture, painting, texts, instructions, classes."""

import pytest
from PIL import Image

from tests.components.service.browser import Browser, needs_chromium
from tests.components.service.running import as_base64, as_file

pytestmark = needs_chromium

PICTURE = as_file(Image.radial_gradient("L").convert("RGB").resize((300, 200)))
CARDS = "document.querySelectorAll('.card').length === {}"
ANSWER = "document.querySelector('.card .card-answer').textContent"


@pytest.fixture(scope="module")
def server(launch, versatile):
    return launch(model=versatile)


@pytest.fixture(scope="module")
def page(server, tmp_path_factory):
    """The page with a picture of 300 x 200 pixels."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "mine.png").write_bytes(PICTURE)
    (folder / "profile").mkdir()
    with Browser(folder / "profile") as browser:
        browser.open(server.url + "/")
        browser.wait_for("document.querySelectorAll('#tabs .tab').length === 8")
        browser.wait_for("document.getElementById('picture').naturalWidth === 480")
        browser.choose_file("#file", folder / "mine.png")
        browser.wait_for("document.getElementById('picture').naturalWidth === 300")
        yield browser


@pytest.fixture(autouse=True)
def cleared(page):
    page.run("document.getElementById('feed').replaceChildren()")
    yield
    assert page.problems() == []


def described(server, box):
    response = server.post("/api/region", json={"image": as_base64(PICTURE), "box": box})
    return response.json()["results"][0]["text"]


def mouse(page, kind, x, y):
    """A mouse event at a place of the picture, in shares of its sides."""
    place = page.run("(({x, y, width, height}) => [x, y, width, height])(frame.getBoundingClientRect())")
    button = "none" if kind == "mouseMoved" else "left"
    at = {"x": place[0] + x * place[2], "y": place[1] + y * place[3]}
    page.call("Input.dispatchMouseEvent", type=kind, button=button, clickCount=1, **at)


def test_the_rows_of_tabs_are_alike(page):
    tops = page.run("[...document.querySelectorAll('#tabs .tab')].map((tab) => tab.offsetTop)")
    assert sorted(tops.count(top) for top in set(tops)) == [4, 4]


def test_two_clicks_ask_what_is_there(page, server):
    page.click("#tab-region")
    for x, y in ((0.75, 0.9), (0.25, 0.5)):  # any two opposite corners
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            mouse(page, kind, x, y)
    page.wait_for(CARDS.format(1))
    assert page.run(ANSWER) == described(server, [75, 100, 225, 180])
    page.wait_for("document.querySelector('.box').getAnimations().length === 0")
    box = page.run("(({style}) => [style.left, style.top, style.width, style.height])(document.querySelector('.box'))")
    assert [float(side.rstrip("%")) for side in box] == pytest.approx([25, 50, 50, 40], abs=0.5)


def test_a_corner_by_drag_and_one_by_keyboard(page, server):
    page.click("#tab-region")
    mouse(page, "mousePressed", 0.5, 0.5)
    mouse(page, "mouseMoved", 0.9, 0.9)
    mouse(page, "mouseReleased", 0.9, 0.9)
    page.wait_for(CARDS.format(1))
    assert page.run(ANSWER) == described(server, [150, 100, 270, 180])
    page.run("document.getElementById('frame').focus()")
    page.press("Enter")
    for key in ("ArrowLeft", "ArrowUp"):
        page.press(key, modifiers=8)  # with shift: ten per cent
        page.press(key)
    page.press(" ")
    page.wait_for(CARDS.format(2))
    assert page.run(ANSWER) == described(server, [234, 156, 270, 180])
    page.click("#tab-caption")
    assert page.run("document.getElementById('frame').classList.contains('aims')") is False


def test_a_painting_is_shown_and_can_be_asked_about(page):
    page.click("#tab-paint")
    page.type("#text", "a red ball")
    page.press("Enter", windowsVirtualKeyCode=13, text="\r")
    page.wait_for(CARDS.format(1))
    page.wait_for("document.getElementById('picture').naturalWidth === 32")
    address = page.run("document.querySelector('.save').href")
    assert address.startswith("blob:") and page.run(ANSWER) == "a red ball"
    assert page.run("document.getElementById('picture').src") == address
    thumbs = page.run("document.querySelectorAll('.card .thumb').length")
    assert 1 < thumbs <= 4
    page.click(".paintings .thumb")
    page.wait_for(f"document.getElementById('picture').src !== {address!r}")
    page.click("#tab-caption")
    page.click("#go")
    page.wait_for(CARDS.format(2))


def test_a_seed_paints_the_same_again(page, server):
    page.click("#tab-paint")
    page.type("#text", "a red ball")
    for _ in range(3):
        page.click("#go")
        page.wait_for("!document.getElementById('go').disabled")
    page.wait_for(CARDS.format(3))
    seeds = page.run("[...document.querySelectorAll('.card .seed')].map((seed) => seed.textContent)")
    assert len(set(seeds)) == 3
    page.run("document.querySelectorAll('.card .seed')[2].click()")
    assert page.run("document.getElementById('seed').value") == seeds[2].removeprefix("seed ")
    page.press("Enter", windowsVirtualKeyCode=13, text="\r")
    page.wait_for(CARDS.format(4))
    again, *others, first = page.run(
        "[...document.querySelectorAll('.card > .thumb canvas')].map((canvas) => canvas.toDataURL())"
    )
    assert (
        first == again
        and first not in others
        and page.run("document.querySelector('.card .seed').textContent") == seeds[2]
    )
    page.run("document.getElementById('seed').value = 'x'")
    page.click("#go")
    page.wait_for("!document.getElementById('problem').hidden")
    assert "whole number from 0" in page.run("document.getElementById('problem').textContent")
    page.run("document.getElementById('seed').value = ''")
    page.click("#tab-caption")
    assert page.run("document.getElementById('seed-line').hidden")


def test_an_instruction_without_a_picture(page, server):
    page.click("#tab-instruct")
    page.type("#text", "what is it")
    page.click("#go")
    page.wait_for(CARDS.format(1))
    page.click("#with")
    page.click("#go")
    page.wait_for(CARDS.format(2))
    body = server.post("/api/instruct", json={"text": "what is it"}).json()
    assert page.run(ANSWER) == (body["results"][0]["reply"]["text"] or "Nothing was said")
    assert page.run("document.querySelector('.card').classList.contains('textual')")
    page.click("#with")


def test_classes_are_chosen_among(page):
    page.click("#tab-classify")
    page.type("#text", "cat, dog,, car")
    page.click("#go")
    page.wait_for(CARDS.format(1))
    names = page.run("[...document.querySelectorAll('.card .other-name')].map((name) => name.textContent)")
    assert {page.run(ANSWER), *names} <= {"cat", "dog", "car"} and page.run(ANSWER) not in names


def test_a_long_text_has_room_and_a_limit(page, server):
    page.click("#tab-summarize")
    assert page.run("document.getElementById('text').maxLength") == 8000
    heights = page.run("document.getElementById('text').offsetHeight")
    page.type("#text", "the cat on the house " * 60)
    page.click("#go")
    page.wait_for(CARDS.format(1))
    body = server.post("/api/summarize", json={"text": "the cat on the house " * 60}).json()
    assert page.run(ANSWER) == (body["results"][0]["summary"] or "Nothing was said") and heights > 150


def test_a_format_that_the_browser_alone_knows_is_sent_as_a_copy(page, tmp_path):
    (tmp_path / "mine.gif").write_bytes(as_file(Image.new("RGB", (30, 20), "red"), "GIF"))
    page.choose_file("#file", tmp_path / "mine.gif")
    page.wait_for("document.getElementById('picture').naturalWidth === 30")
    page.click("#tab-caption")
    page.click("#go")
    page.wait_for(CARDS.format(1))
