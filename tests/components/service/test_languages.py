"""A network of two languages: operations of both in the API, those of the reader's in the page."""

import pytest
import torch

from ofa.checkpoint import save_folder
from ofa.model import OFAConfig, OFAModel
from ofa.tasks import create
from ofa.tasks.store import save_tasks
from ofa.text import Tokenizer
from tests.components.service.browser import Browser, needs_chromium
from tests.components.service.running import as_base64

ENGLISH, CHINESE = ("cat", "dog", "tree"), ("猫", "狗", "树")


@pytest.fixture(scope="module")
def server(launch, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bilingual")
    torch.manual_seed(0)
    size = Tokenizer.chinese().size
    save_folder(folder, OFAModel(OFAConfig.preset("nano", d_model=32, ffn_dim=64, vocabulary_size=size)))
    shared = {"patch_image_size": 32}
    tasks = {"caption": shared | {"vocabulary": "chinese"}, "caption_zh": shared}
    tasks["vqa"] = tasks["caption"] | {"answers": ENGLISH, "add_object": False}
    tasks["vqa_zh"] = shared | {"answers": CHINESE, "add_object": False}
    save_tasks(folder, {name: create(name, settings) for name, settings in tasks.items()})
    return launch(model=folder)


def test_each_language_has_its_operations(server, pictures):
    described = server.get("/api/model").json()["operations"]
    assert {o["name"]: o["language"] for o in described} == {
        "caption": "english", "answer": "english", "caption_zh": "chinese", "answer_zh": "chinese"
    }  # fmt: skip
    for route, question, answers in (("answer", "what is it?", ENGLISH), ("answer_zh", "这是什么？", CHINESE)):
        found = server.ask(route, pictures[0], question=question)
        assert found.status_code == 200 and found.json()["results"][0]["answer"] in answers
    body = {"instances": [{"task": "answer_zh", "image": {"b64": as_base64(pictures[0])}, "text": "这是什么？"}]}
    found = server.post("/v1/models/ofa:predict", json=body).json()
    assert found["predictions"][0]["answer"] in CHINESE


@needs_chromium
def test_the_page_asks_in_its_own_language(server, tmp_path):
    with Browser(tmp_path / "profile") as browser:
        browser.open(server.url + "/")
        browser.wait_for("document.querySelectorAll('#tabs .tab').length === 2")
        browser.wait_for("document.getElementById('picture').naturalWidth > 0")
        for cards, (ideas, answers) in enumerate((("How many", ENGLISH), ("图中", CHINESE)), start=1):
            browser.click("#tab-answer")
            assert browser.run("document.querySelector('#ideas .idea').textContent").startswith(ideas)
            browser.click("#ideas .idea")
            browser.wait_for(f"document.querySelectorAll('.card').length === {cards}")
            said = browser.run("document.querySelector('.card .card-body').textContent")
            assert any(answer in said for answer in answers)
            browser.click("#language")
        assert browser.problems() == []
