"""Regions and free instructions: what pretraining taught, asked for by itself."""

import random

import pytest
import torch
from PIL import Image

from ofa.errors import OFAError
from ofa.tasks import create
from ofa.tasks.instruction import Reply
from ofa.tasks.store import learned_settings

SMALL = {"patch_image_size": 128, "max_image_size": 128, "num_bins": 32}


def test_a_region_is_asked_for_as_in_pretraining(rows):
    """The rows of the original's grounding table, asked by both: source, target and picture are the same."""
    alone = create("region_caption", SMALL)
    pretraining = create(
        "vision_language", SMALL | {"augment": False, "matching_ratio": 0.0, "region_caption_ratio": 1.0}
    )
    table = rows("refcoco")
    for number in range(len(table)):
        row = table[number]
        asked = {"type": "visual_grounding", "caption": row["text"], "answers": row["box"], "dataset": ""}
        _, expected = pretraining.sample(row | asked, False, random.Random(0))
        found = alone.sample(row, False, random.Random(0))
        for field in ("source", "target", "image"):
            assert torch.equal(getattr(found, field), getattr(expected, field))
    with pytest.raises(OFAError, match="the row has no box"):
        alone.sample(table[0] | {"box": ""}, False, random.Random(0))


def test_an_instruction_is_read_as_it_stands():
    task, picture = create("instruction", SMALL), Image.new("RGB", (256, 64), "red")
    plain = task.sample({"text": "what is\n the dog?"}, False, random.Random(0))
    assert task.tokenizer.decode(plain.source.tolist()) == " what is the dog?" and plain.image is None
    seen = task.sample({"text": "what is the dog?", "image": picture}, False, random.Random(0))
    assert torch.equal(seen.source, plain.source) and seen.image.shape == (3, 128, 128)
    with pytest.raises(OFAError, match="the instruction is empty"):
        task.sample({"text": " \n"}, False, random.Random(0))


def test_words_and_boxes_are_told_apart():
    """A picture of 256 x 64 pixels, whose 32 bins are 8.26 and 2.06 pixels apart."""
    task = create("instruction", SMALL)
    words, bins = task.tokenizer.encode, [task.tokenizer.bin(n) for n in (0, 31, 31, 31, 3)]
    said = task.read([*words(" a dog"), *bins[:2], *bins[:2], *words(" the dog"), *bins[:3], *words(" or")], (256, 64))
    assert said.text == "a dog the dog or", "three bins are no box"
    [box] = said.boxes
    assert box.label == "the dog" and box.xyxy == pytest.approx((0, 64, 0, 64)), "left, top, right, bottom"
    assert task.read(words(" a dog"), (1, 1)) == Reply("a dog")
    assert task.read([], (1, 1)) == Reply("")
    assert [box.label for box in task.read([*bins[:4]], (256, 64)).boxes] == [""]


def test_what_is_learned_together_has_its_settings():
    saved = {"vision_language": SMALL | {"language": "english", "matching_ratio": 0.5}, "caption": {"beam": 1}}
    assert learned_settings(saved, "region_caption") == SMALL | {"language": "english"}
    assert learned_settings(saved, "instruction") == SMALL | {"language": "english"}
    assert learned_settings(saved, "caption") == {"beam": 1} and learned_settings(saved, "vqa") is None
    assert learned_settings({"caption": {}}, "region_caption") is None
