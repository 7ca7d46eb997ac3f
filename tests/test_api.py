"""The user's object: every call takes one picture or a list, and a saved model answers alike."""

import io

import pytest
import torch
from PIL import Image

from ofa import OFA
from ofa.checkpoint import convert, save_fairseq
from ofa.errors import OFAError
from ofa.model import OFAConfig, OFAModel
from ofa.tasks import create
from ofa.tasks.boxes import Box
from ofa.tasks.store import load_task

SMALL = {"patch_image_size": 64}
SETTINGS = {
    "caption": SMALL,
    "vqa": SMALL | {"add_object": False, "prompt_type": "none"},
    "refcoco": SMALL | {"num_bins": 32, "max_image_size": 64},
}


def picture(color: str, size: tuple[int, int] = (90, 60)) -> Image.Image:
    made = Image.new("RGB", size, "white")
    made.paste(Image.new("RGB", (30, 30), color), (10, 20))
    return made


@pytest.fixture(scope="module")
def model() -> OFA:
    model = OFA.from_config("nano", seed=1)
    return OFA(model.net, SETTINGS, device="cpu")


def test_a_list_is_answered_as_its_members_alone(model, tmp_path):
    pictures = [picture("red"), picture("blue", (64, 120))]
    content = io.BytesIO()
    pictures[1].save(content, "PNG")
    pictures[0].save(tmp_path / "red.png")
    together = model.caption([tmp_path / "red.png", content.getvalue()], beam=2)
    assert together == model.caption(pictures[0], beam=2) + model.caption(pictures[1], beam=2)
    assert all(isinstance(text, str) for text in together)


def test_boxes_lie_inside_the_picture_that_was_given(model):
    sizes = [(90, 60), (64, 120)]
    boxes = model.ground([picture("red", size) for size in sizes], "the red square")
    for (width, height), box in zip(sizes, boxes, strict=True):
        assert isinstance(box, Box) and box.score < 0
        assert 0 <= box.x0 <= width and 0 <= box.x1 <= width and 0 <= box.y0 <= height and 0 <= box.y1 <= height


def test_answers_are_among_the_candidates(model):
    candidates = ["red", "light blue", "no"]
    answers = model.answer(picture("red"), ["what color?", "is it blue?"], candidates=candidates)
    assert len(answers) == 2 and set(answers) <= set(candidates)


def test_a_saved_model_answers_alike(model, tmp_path):
    model.save_pretrained(tmp_path / "saved")
    again = OFA.from_pretrained(tmp_path / "saved", device="cpu")
    for (name, value), (other, loaded) in zip(
        sorted(model.net.state_dict().items()), sorted(again.net.state_dict().items()), strict=True
    ):
        assert name == other and torch.equal(value, loaded)
    assert again.ground(picture("red"), "red") == model.ground(picture("red"), "red")


def test_a_chinese_network_is_asked_in_chinese(tmp_path):
    small = dict(d_model=32, ffn_dim=32, encoder_layers=1, decoder_layers=1, resnet_blocks=(2, 2, 2), dropout=0.0)
    config = OFAConfig.preset("tiny", vocabulary_size=30325, **small)
    save_fairseq(tmp_path / "ofa_cn.pt", config, OFAModel(config).state_dict())
    convert(tmp_path / "ofa_cn.pt", tmp_path / "folder", "folder")
    for place in ("ofa_cn.pt", "folder"):
        model = OFA.from_pretrained(tmp_path / place, device="cpu")
        task = model.task("refcoco")
        assert task.settings.language == "chinese" == load_task(tmp_path / place, "refcoco").settings.language
        (box,) = model.ground(picture("red"), "红色的方块")
        assert 0 <= box.x0 <= 90 and 0 <= box.y0 <= 60
    with pytest.raises(OFAError, match="'caption' has the english vocabulary of 59457 rows, and the network has 30325"):
        model.predict(create("caption"), [{"image": picture("red")}])


def test_the_same_seed_gives_the_same_network():
    first, second = (OFA.from_config("nano", seed=3, device="cpu").net.embed_tokens.weight for _ in range(2))
    assert torch.equal(first, second)


def test_pictures_and_texts_must_match_in_number(model):
    with pytest.raises(OFAError, match="2 pictures and 3 texts"):
        model.ground([picture("red")] * 2, ["a", "b", "c"])
