"""Text normalization of the original's data sets, unchanged."""

import re
import string

CJK = "\u3000-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0002ffff"
"""CJK punctuation, kana, ideographs and full-width forms, as a regular expression's set."""

_IN_CJK = re.compile(f"([{CJK}])")
_LEADING = ",.!?*#:;~"
_WHITESPACE = re.compile(r"\s{2,}")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def pre_caption(caption: str, max_words: int | None = None) -> str:
    """Normalize a caption or an expression: see `pre_question`; besides, `<person>` becomes `person`.

    Args:
        caption: any text.
        max_words: keep that many space-separated words; None keeps all.
    """
    return _shorten(_plain(caption).replace("<person>", "person"), max_words)


def pre_question(question: str, max_words: int | None = None) -> str:
    """Normalize a question: lower case, no leading punctuation, `-` and `/` become spaces, runs of white space one.

    Args:
        question: any text. Punctuation behind a leading space stays, as in the original.
        max_words: keep that many space-separated words; None keeps all.
    """
    return _shorten(_plain(question), max_words)


def strip_punctuation(text: str) -> str:
    """Remove ASCII punctuation, as the original does with caption targets, references and generated captions."""
    return text.translate(_NO_PUNCTUATION)


def split_characters(text: str) -> str:
    """The text with spaces around each Chinese character: scores that count words count those then."""
    return _IN_CJK.sub(r" \1 ", text)


def _plain(text: str) -> str:
    return text.lower().lstrip(_LEADING).replace("-", " ").replace("/", " ")


def _shorten(text: str, max_words: int | None) -> str:
    text = _WHITESPACE.sub(" ", text).rstrip("\n").strip(" ")
    words = text.split(" ")
    return text if max_words is None or len(words) <= max_words else " ".join(words[:max_words])
