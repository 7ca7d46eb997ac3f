"""The committed vocabulary files come out of their source packages unchanged."""

from ofa.text import derive
from ofa.text.tokenizer import CHINESE, ENGLISH


def test_english():
    assert derive.english().encode() == ENGLISH.read_bytes()


def test_chinese():
    assert derive.chinese().encode() == CHINESE.read_bytes()
