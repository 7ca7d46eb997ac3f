"""Vocabulary rows of the original models."""

import json
import pickle
import subprocess
import sys

import pytest
import tokenizers
from hypothesis import example, given
from hypothesis import strategies as st

from ofa.text import Tokenizer
from ofa.text.tokenizer import ENGLISH


@pytest.fixture(scope="module")
def recorded(golden):
    return json.loads((golden / "dataset/datasets.json").read_text())


def test_english_rows_are_the_originals(recorded):
    english = Tokenizer.english()
    for case in recorded["bpe"]:
        assert english.encode(case["text"]) == case["ids"], case
        assert english.decode(case["ids"]) == case["decoded"], case
    assert len(recorded["bpe"]) == 17


def test_english_answers_are_the_originals(recorded):
    for answer, rows in recorded["trie_candidates"].items():
        assert Tokenizer.english().encode(" " + answer) == rows


def test_special_rows_are_the_originals(recorded):
    english, special = Tokenizer.english(), recorded["special_ids"]
    names = special["text"].split()
    assert [english.symbol(row) for row in special["ids"]] == names
    rows = [english.bin(0), english.bin(1), english.bin(500), english.bin(999), english.code(0), english.code(8191)]
    assert [*rows, english.mask] == special["ids"]
    assert english.size == special["len"]
    assert [english.symbol(row) for row in range(4)] == special["first"][:4]
    assert [english.symbol(row) for row in range(50261, 50267)] == special["tail_of_bpe"][-6:]


def test_frequent_and_rare_rows_are_the_originals(recorded):
    row_of_bpe = [int(line.split(" ")[0]) for line in ENGLISH.read_text(encoding="utf-8").rstrip("\n").split("\n")]
    special = recorded["special_ids"]
    assert [row_of_bpe[int(bpe)] for bpe in special["first"][4:]] == list(range(4, 10))
    assert [row_of_bpe[int(bpe)] for bpe in special["tail_of_bpe"][:6]] == list(range(50255, 50261))
    for case in recorded["bpe"]:
        assert [row_of_bpe[int(bpe)] for bpe in case["bpe"].split()] == case["ids"]


def test_a_word_of_the_last_merge_is_one_symbol():
    assert len(Tokenizer.english().encode(" gazed")) == 1


@given(st.text(st.characters(exclude_categories=["Cs"])))
@example("\x00\x01 \u2028\x85\r\n a\t b  ")
def test_english_text_survives(text):
    english = Tokenizer.english()
    rows = english.encode(text)
    assert english.decode([english.bos, *rows, english.eos, english.pad]) == text
    assert all(4 <= row < english.mask for row in rows)


def test_every_byte_has_a_row():
    english = Tokenizer.english()
    rows = {row for byte in range(128) for row in english.encode(chr(byte))}
    assert len(rows) == 128 and {50108, 50109, 50110, 50111} <= rows


def test_chinese_rows_are_those_of_the_published_models():
    # The sentence and its ids stand in ModelScope's documentation of OFA, between bos 0 and eos 2.
    chinese = Tokenizer.chinese()
    rows = [1749, 4279, 2993, 6839, 753, 788, 724, 1083, 2163, 140]
    assert chinese.encode(" 图片描述了什么内容?") == chinese.encode("图片描述了什么内容?") == rows
    assert chinese.size == 30325


def test_chinese_text_reads_without_the_spaces_of_wordpieces():
    chinese = Tokenizer.chinese()
    for text in ("图片描述了什么内容?", "一个红色的苹果，在左边。", "a red apple on the left", "3d打印的apple"):
        assert chinese.decode(chinese.encode(text)) == text


@pytest.mark.parametrize("tokenizer", [Tokenizer.english, Tokenizer.chinese])
def test_codes_and_bins_keep_their_place_in_the_text(tokenizer):
    vocabulary = tokenizer()
    text = "狗" if vocabulary.language == "zh" else " dog"
    rows = [vocabulary.bin(3), *vocabulary.encode(text), vocabulary.code(7), vocabulary.mask, vocabulary.unk]
    assert vocabulary.decode(rows) == f"<bin_3>{text}<code_7><mask><unk>"
    assert [vocabulary.is_bin(row) for row in rows] == [True] + [False] * (len(rows) - 1)
    assert sum(map(vocabulary.is_code, rows)) == 1
    assert vocabulary.bin(999) == vocabulary.size - 1


def test_rows_outside_the_vocabulary_are_refused():
    english = Tokenizer.english()
    for call, number in ((english.bin, 1000), (english.bin, -1), (english.code, 8192), (english.symbol, 59457)):
        with pytest.raises((ValueError, IndexError), match=str(number)):
            call(number)


@pytest.mark.parametrize("tokenizer", [Tokenizer.english, Tokenizer.chinese])
def test_the_exported_file_encodes_and_names_every_row_alike(tokenizer):
    ours = tokenizer()
    exported = tokenizers.Tokenizer.from_str(ours.to_json())
    assert Tokenizer.of_size(ours.size) is ours and ours.name in ("english", "chinese")
    assert [exported.id_to_token(row) for row in range(ours.size)] == [ours.symbol(row) for row in range(ours.size)]
    for text in (" a man's café, 3rd <mask> <code_5> </s>", "图片描述了什么内容? <bin_7>", " \n tabs\t", ""):
        assert exported.encode(text, add_special_tokens=False).ids == ours.encode(text)
        assert exported.encode(text).ids == [0, *ours.encode(text), 2]
    assert Tokenizer.of_size(59458) is None


def test_batches_and_cuts():
    english = Tokenizer.english()
    texts = [" a man riding a horse.", "", " yes"]
    assert english.encode_batch(texts) == [english.encode(text) for text in texts]
    assert english.encode_batch(texts, 2) == [english.encode(text, 2) for text in texts] == [[10, 313], [], [4420]]


def test_a_pickled_tokenizer_is_the_processs_own():
    assert pickle.loads(pickle.dumps(Tokenizer.english())) is Tokenizer.english()


def test_importing_loads_no_vocabulary(root):
    program = (
        "from ofa.text import Tokenizer\n"
        "assert Tokenizer.english.__func__.cache_info().currsize == 0\n"
        "Tokenizer.english()\n"
        "assert Tokenizer.chinese.__func__.cache_info().currsize == 0"
    )
    subprocess.run([sys.executable, "-c", program], cwd=root, check=True)
