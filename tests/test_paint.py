"""Painting: codes become the VQ-GAN's pictures, and a scorer decides which of several is taken."""

import numpy as np
import pytest
import torch
from PIL import Image

from ofa import OFA
from ofa.checkpoint.vqgan import save_vqgan
from ofa.errors import OFAError
from ofa.generate import log_likelihood
from ofa.model import OFAConfig, OFAModel
from ofa.model.vqgan import VQGAN, VQGANConfig
from ofa.paint import Painter
from ofa.tasks import create
from ofa.text import Tokenizer

SETTINGS = {"image_gen": {"code_image_size": 16}, "caption": {"patch_image_size": 64}}


@pytest.fixture(scope="module")
def vqgan():
    torch.manual_seed(0)
    return VQGAN(VQGANConfig.preset("nano", channels=8, code_dim=8, codes=8)).eval()


@pytest.fixture(scope="module")
def model(vqgan):
    tokens = Tokenizer.english()
    words = tokens.encode(" a red square")
    ids = tuple(sorted({0, 1, 2, 3, *words, *(tokens.code(n) for n in range(8))}))
    torch.manual_seed(0)
    net = OFAModel(OFAConfig.preset("nano", output_ids=ids, code_image_size=16))
    return OFA(net, SETTINGS, device="cpu", vqgan=vqgan)


def test_codes_become_pictures(vqgan):
    codes = [[0, 1, 2, 3], [7, 7, 7, 7]]
    pictures = Painter(vqgan).pictures(codes)
    with torch.inference_mode():
        pixels = vqgan.decode(torch.tensor(codes).view(2, 2, 2))
    for picture, values in zip(pictures, pixels, strict=True):
        assert picture.size == (16, 16) and picture.mode == "RGB"
        levels = np.floor((np.clip(values.permute(1, 2, 0).numpy(), -1, 1) + 1) / 2 * 255)
        assert np.abs(np.asarray(picture) - levels).max() <= 1
    with pytest.raises(OFAError, match="3 image codes do not form a square"):
        Painter(vqgan).pictures([[0, 1, 2]])
    with pytest.raises(OFAError, match="image code 8 is unknown to the VQ-GAN, which has 8"):
        Painter(vqgan).pictures([[0, 1, 2, 8]])


def test_paint_gives_a_picture_for_each_text(model):
    one = model.paint("A red square", samples=2)
    two = model.paint(["a red square", "a square"], samples=2)
    assert [len(one), len(two)] == [1, 2] and all(picture.size == (16, 16) for picture in one + two)
    assert one[0].tobytes() == two[0].tobytes()  # lower-cased, and drawn by the seed


def test_the_scorer_chooses(model):
    def brightest(pictures, texts):
        asked.append((len(pictures), set(texts)))
        return [np.asarray(picture).mean() for picture in pictures]

    def darkest(pictures, texts):
        return [-score for score in brightest(pictures, texts)]

    asked = []
    bright, dark = (np.asarray(model.paint("a  Red square", 6, scorer)[0]).mean() for scorer in (brightest, darkest))
    assert bright > dark and asked == [(6, {"a red square"})] * 2


def test_a_saved_model_paints_alike(model, tmp_path):
    model.save_pretrained(tmp_path / "model")
    again = OFA.from_pretrained(tmp_path / "model", device="cpu")
    assert again.paint("a red square", 2)[0].tobytes() == model.paint("a red square", 2)[0].tobytes()


def test_without_a_vqgan_it_says_what_is_needed(model, vqgan, tmp_path):
    OFA(model.net, SETTINGS, device="cpu").save_pretrained(tmp_path / "net")
    with pytest.raises(OFAError, match=r"needs the VQ-GAN .* OFA.from_pretrained\(path, vqgan=...\)"):
        OFA.from_pretrained(tmp_path / "net", "cpu").paint("a red square")
    save_vqgan(tmp_path / "vqgan", vqgan)
    OFA.from_pretrained(tmp_path / "net", "cpu", tmp_path / "vqgan").paint("a red square", 1)


def test_caption_scores_are_those_of_the_network(model):
    picture = Image.new("RGB", (64, 64), "red")
    texts = ["a red square", "a square", "a purple square"]
    scores = model.caption_scores(picture, texts)
    tokens = model.task("caption").tokenizer
    for text, score in zip(texts[:2], scores, strict=False):
        sample = model.task("caption").sample({"image": picture, "uniq_id": "", "image_id": ""}, False, None)
        ids = tokens.encode(f" {text}")
        with torch.inference_mode():
            logits = model.net(
                sample.source[None], torch.tensor([[0, *ids]]), images=(sample.image[None].float() / 255 - 0.5) / 0.5
            )
        log_probs = logits[0].log_softmax(-1)
        columns = model.net.columns(torch.tensor([*ids, 2])).tolist()
        width = log_probs.shape[-1]
        places = columns if width == len(model.net.output_ids) else [*ids, 2]
        expected = np.mean([log_probs[i, place].item() for i, place in enumerate(places)])
        assert score == pytest.approx(expected, abs=1e-4)
    assert scores[2] == -np.inf  # the network has no "purple" among its outputs


def test_likelihood_does_not_depend_on_the_batch(model):
    picture = Image.new("RGB", (64, 64), "red")
    together = model.caption_scores([picture, picture], ["a red square", "a square"])
    assert together == pytest.approx([model.caption_scores(picture, text)[0] for text in ("a red square", "a square")])
    task = create("caption", SETTINGS["caption"])
    model.net.train()
    try:
        from ofa.data.batch import collate

        batch = collate([task.sample({"image": picture, "caption": "a"}, True, None)])
        with pytest.raises(OFAError, match="call net.eval"):
            log_likelihood(model.net, batch)
    finally:
        model.net.eval()
