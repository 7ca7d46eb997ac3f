"""The language of a task, and the vocabulary in which a network of two languages reads it."""

import random

import pytest
import torch
from PIL import Image

from ofa import tasks
from ofa.errors import OFAError
from ofa.settings import build
from ofa.tasks.pretrain import PretrainSettings
from ofa.text import Tokenizer

PICTURE = Image.new("RGB", (64, 48), "blue")
ROWS = {
    "caption": ({"caption": "a cat"}, {"caption": "一只猫"}),
    "refcoco": ({"text": "the cat", "box": "0,0,10,10"}, {"text": "那只猫", "box": "0,0,10,10"}),
    "vqa": ({"question": "is there a cat?", "answers": "1.0|!+yes"}, {"question": "有猫吗？", "answers": "1.0|!+有"}),
}


def read(task, row):
    sample = task.sample({"uniq_id": "1", "image_id": "1", "image": PICTURE} | row, True, random.Random(0))
    return sample, task.tokenizer.decode(sample.source.tolist())


@pytest.mark.parametrize("name", ROWS)
def test_a_task_in_chinese_asks_in_chinese_and_has_its_own_table(name):
    settings = {"patch_image_size": 64} | ({"add_object": False} if name == "vqa" else {})
    english, chinese = tasks.create(name, settings), tasks.create(f"{name}_zh", settings)
    assert (english.table_names, chinese.table_names[0]) == ((name,), f"{name}_zh")
    assert chinese.settings.language == "chinese" and chinese.tokenizer is Tokenizer.chinese()
    (_, asked), (_, in_chinese) = read(english, ROWS[name][0]), read(chinese, ROWS[name][1])
    assert asked.isascii() and not any(letter.isascii() and letter.isalpha() for letter in in_chinese)


@pytest.mark.parametrize("name", ROWS)
def test_english_in_the_chinese_vocabulary_says_the_same(name):
    settings = {"patch_image_size": 64} | ({"add_object": False} if name == "vqa" else {})
    row = ROWS[name][0]
    _, asked = read(tasks.create(name, settings), row)
    task = tasks.create(name, settings | {"vocabulary": "chinese"})
    sample, same = read(task, row)
    assert task.tokenizer is Tokenizer.chinese() and task.table_names == (name,)
    assert same.replace(" ", "") == asked.replace(" ", "")
    assert torch.cat([sample.source, sample.target]).max() < Tokenizer.chinese().size


def test_a_question_keeps_its_full_width_mark():
    _, asked = read(tasks.create("vqa_zh", {"patch_image_size": 64, "add_object": False}), ROWS["vqa"][1])
    assert asked == "有猫吗？"


def test_a_vocabulary_that_the_network_lacks_is_refused():
    task = tasks.create("caption")
    task.check_vocabulary(59457)
    with pytest.raises(OFAError, match="'caption' has the english vocabulary of 59457 rows, and the network has 30325"):
        task.check_vocabulary(Tokenizer.chinese().size)


def test_a_chinese_pretraining_table_has_a_chinese_task():
    with pytest.raises(OFAError, match="vision_language_zh: the texts of this table are Chinese"):
        build(PretrainSettings, {"vision_language_zh": {"num_bins": 16}}, "pretrain.tasks")
