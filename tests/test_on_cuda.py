"""What the user's object answers on a GPU, task by task: everything is on one device, and answers are the CPU's."""

import copy
import random

import pytest
import torch
from PIL import Image

from ofa import OFA
from ofa.data.batch import collate
from ofa.model import OFAConfig, OFAModel
from ofa.model.vqgan import VQGAN, VQGANConfig
from ofa.tasks import create
from ofa.text import Tokenizer
from tests.far import FarGPU

SMALL = {"patch_image_size": 32}
SETTINGS = {
    "caption": SMALL,
    "refcoco": SMALL | {"num_bins": 32, "max_image_size": 32},
    "vqa": SMALL | {"prompt_type": "prev_output"},
    "image_classify": SMALL,
    "snli_ve": SMALL,
    "image_gen": {"code_image_size": 16, "vqgan_codes": 8},
}
PICTURE = Image.new("RGB", (48, 40), "red")
WORDS = ("red", "blue", "red square", "no", "yes", "maybe")


@pytest.fixture(scope="module")
def parts():
    tokens = Tokenizer.english()
    ids = {0, 1, 2, 3, *range(tokens.bin_offset, tokens.bin_offset + 32), *(tokens.code(n) for n in range(8))}
    ids |= {token for word in (*WORDS, "a red square") for token in tokens.encode(f" {word}")}
    torch.manual_seed(0)
    net = OFAModel(OFAConfig.preset("nano", output_ids=tuple(sorted(ids)), code_image_size=16))
    return net.eval(), VQGAN(VQGANConfig.preset("nano", channels=8, code_dim=8, codes=8)).eval()


def predict(model, name, settings, row):
    """Of a task that has no method of its own."""
    task = create(name, settings)
    batch = collate([task.sample({"uniq_id": "0"} | row, False, random.Random(0))] * 2)
    found = task.predict(model.net, batch.to(model.device))
    return [p.value for p in found], [p.score for p in found]


# Each gives what is said, and numbers.
ASKED = {
    "caption": lambda model: (model.caption(PICTURE, beam=2), []),
    "how well a caption fits": lambda model: ([], model.caption_scores(PICTURE, "a red square")),
    "answer": lambda model: (model.answer(PICTURE, ["what color?", "is it a red square?"], WORDS), []),
    "answer by all candidates": lambda model: predict(
        model,
        "vqa",
        SETTINGS["vqa"] | {"answers": WORDS, "inference": "all_candidates"},
        {"image": PICTURE, "question": "what is it?", "objects": ""},
    ),
    "ground": lambda model: (
        [],
        [x for box in model.ground(PICTURE, ["red square", "no"]) for x in (*box.xyxy, box.score)],
    ),
    "classify": lambda model: (model.classify(PICTURE, WORDS), []),
    "entailment": lambda model: predict(
        model, "snli_ve", SMALL, {"image": PICTURE, "hypothesis": "a red square", "caption": "red"}
    ),
    "grammar": lambda model: predict(model, "cola", {}, {"sentence1": "a red square"}),
    "paint": lambda model: ([p.tobytes() for p in model.paint("a red square", 3, model.caption_scores)], []),
}


@pytest.mark.parametrize("asked", ASKED)
@torch.inference_mode()
def test_the_answers_are_those_of_the_cpu(parts, asked):
    net, vqgan = copy.deepcopy(parts)
    said, numbers = ASKED[asked](OFA(net, SETTINGS, "cpu", vqgan))
    with FarGPU():
        model = OFA(net, SETTINGS, torch.device("cuda"), vqgan)
        assert next(model.net.parameters()).device.type == next(model.vqgan.parameters()).device.type == "cuda"
        assert ASKED[asked](model) == (said, pytest.approx(numbers, abs=1e-4))


def test_the_vqgan_codes_pictures_there(parts):
    vqgan, pixels = copy.deepcopy(parts[1]), torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = vqgan.encode(pixels)
        with FarGPU():
            found = vqgan.to("cuda").encode(pixels.to("cuda"))
            assert found.device.type == "cuda"
            assert found.cpu().equal(expected)
