"""Text <-> the model's vocabulary rows, exactly as in the original OFA."""

import json
import os
import re
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import groupby
from pathlib import Path

# Training loads data in forked workers, where the library's own threads would only compete with them.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import tokenizers  # noqa: E402  (reads the variable above)
from tokenizers import decoders, models, normalizers, pre_tokenizers  # noqa: E402

from ofa.text.cleaning import CJK  # noqa: E402

ENGLISH = Path(__file__).with_name("english.txt")
CHINESE = Path(__file__).with_name("chinese.txt")

FIRST_ROW = 4
"""The row of the first text symbol; `<s>`, `<pad>`, `</s>`, `<unk>` come before it."""

NAMES = {59457: "english", 30325: "chinese"}
"""The name of a vocabulary by its number of rows."""

_MADE_UP = 3
_CJK_SPACE = re.compile(f"(?<=[{CJK}]) +| +(?=[{CJK}])")  # WordPiece's, not the writer's


class Tokenizer:
    """The vocabulary of one language: `<s> <pad> </s> <unk>`, text symbols, `<mask>`, 8192 image codes, 1000 bins.

    Make one with `Tokenizer.english()` or `Tokenizer.chinese()`; each is loaded once a process, on first use.

    Attributes:
        language: "en" or "zh".
        bos, pad, eos, unk, mask: rows of the special symbols.
        code_offset, bin_offset: rows of `<code_0>` and `<bin_0>`.
        size: number of rows.
    """

    bos, pad, eos, unk = 0, 1, 2, 3
    codes = 8192
    bins = 1000

    def __init__(self, language: str, backend: tokenizers.Tokenizer, text_rows: int):
        """`backend` encodes to rows directly; `text_rows` counts the rows between `<unk>` and `<mask>`."""
        self.language = language
        self.mask = FIRST_ROW + text_rows
        self.code_offset = self.mask + 1
        self.bin_offset = self.code_offset + self.codes
        self.size = self.bin_offset + self.bins
        self._backend = backend

    @classmethod
    @cache
    def english(cls) -> "Tokenizer":
        """GPT-2's byte-level BPE on the rows of BART and RoBERTa: 59,457 rows, `<code_0>` 50265, `<bin_0>` 58457.

        Nothing is normalized. A leading space belongs to a word: " yes" and "yes" are different symbols, and the
        original's prompts and answers start with one.
        """
        rows, merges = {}, []
        for line in ENGLISH.read_text(encoding="utf-8").rstrip("\n").split("\n"):
            row, *parts = line.split(" ")
            rows["".join(parts)] = int(row)
            if len(parts) == 2:
                merges.append((parts[0], parts[1]))
        backend = tokenizers.Tokenizer(models.BPE(vocab=rows, merges=merges))
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.decoder = decoders.ByteLevel()
        return cls("en", backend, len(rows) + _MADE_UP)

    @classmethod
    @cache
    def chinese(cls) -> "Tokenizer":
        """The Chinese BERT's lower-casing WordPiece: 30,325 rows, `<code_0>` 21133, `<bin_0>` 29325.

        The row is 4 + BERT's id. That agrees with the published Chinese checkpoints' 30325 embedding rows and with
        the ids that ModelScope's documentation of OFA prints for one sentence. Not verified: the row of a character
        that the vocabulary lacks, here BERT's `[UNK]` (104) as WordPiece gives it, rather than `<unk>` (3).
        Leading and repeated spaces make no difference.
        """
        pieces = CHINESE.read_text(encoding="utf-8").rstrip("\n").split("\n")
        rows = {piece: FIRST_ROW + number for number, piece in enumerate(pieces)}
        backend = tokenizers.Tokenizer(models.WordPiece(rows, unk_token="[UNK]", max_input_chars_per_word=100))
        backend.normalizer = normalizers.BertNormalizer(lowercase=True)
        backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        backend.decoder = decoders.WordPiece(cleanup=True)
        return cls("zh", backend, len(rows))

    @classmethod
    def of_size(cls, rows: int) -> "Tokenizer | None":
        """The vocabulary that has this many rows, as a network's token matrix has; None where neither has."""
        return getattr(cls, NAMES[rows])() if rows in NAMES else None

    @classmethod
    def of_language(cls, name: str) -> "Tokenizer":
        """The vocabulary made for a language, "english" or "chinese"."""
        return cls.english() if name == "english" else cls.chinese()

    @property
    def name(self) -> str:
        """ "english" or "chinese", as the settings of tasks say it."""
        return NAMES[self.size]

    def __reduce__(self):
        return (Tokenizer.english if self.language == "en" else Tokenizer.chinese), ()

    def to_json(self) -> str:
        """The vocabulary as a file of the `tokenizers` library, for programs without this one.

        `tokenizers.Tokenizer.from_str(...)` gives the same rows for every text, with `<s>` and `</s>` around them
        unless it is asked for none, and knows the names of all rows.
        """
        content = json.loads(self._backend.to_str())
        known = content["model"]["vocab"]
        missing = set(range(self.size)).difference(known.values())
        known |= {self.symbol(row): row for row in sorted(missing)}
        around = [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
        around.append({"SpecialToken": {"id": "</s>", "type_id": 0}})
        special = {name: {"id": name, "ids": [row], "tokens": [name]} for name, row in (("<s>", 0), ("</s>", 2))}
        content["post_processor"] = {
            "type": "TemplateProcessing", "single": around, "pair": around, "special_tokens": special,
        }  # fmt: skip
        return json.dumps(content, ensure_ascii=False)

    def encode(self, text: str, max_tokens: int | None = None) -> list[int]:
        """The rows of `text`, without `<s>` and `</s>`, cut after `max_tokens`."""
        return self._backend.encode(text, add_special_tokens=False).ids[:max_tokens]

    def encode_batch(self, texts: Sequence[str], max_tokens: int | None = None) -> list[list[int]]:
        """`encode` of every text, in one call of the library."""
        encodings = self._backend.encode_batch_fast(list(texts), add_special_tokens=False)
        return [encoding.ids[:max_tokens] for encoding in encodings]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids`. `<s>`, `<pad>` and `</s>` are left out; codes, bins, `<mask>`, `<unk>` stay visible.

        Chinese comes back without the spaces that WordPiece sets between characters.
        """
        kept = [int(row) for row in ids if row not in (self.bos, self.pad, self.eos)]
        parts = []
        for is_text, group in groupby(kept, lambda row: self._backend.id_to_token(row) is not None):
            run = list(group)
            parts.append(self._backend.decode(run) if is_text else "".join(map(self.symbol, run)))
        text = "".join(parts)
        return _CJK_SPACE.sub("", text) if self.language == "zh" else text

    def symbol(self, row: int) -> str:
        """The name of one row, as the original's dictionary has it for the rows that are not text."""
        if not 0 <= row < self.size:
            raise IndexError(f"row {row} of a vocabulary with {self.size} rows")
        if row >= self.bin_offset:
            return f"<bin_{row - self.bin_offset}>"
        if row >= self.code_offset:
            return f"<code_{row - self.code_offset}>"
        if row == self.mask:
            return "<mask>"
        if row < FIRST_ROW:
            return ("<s>", "<pad>", "</s>", "<unk>")[row]
        token = self._backend.id_to_token(row)
        return f"madeupword{row - self.mask + _MADE_UP:04d}" if token is None else token

    def code(self, number: int) -> int:
        """The row of image code `number`, 0 to 8191."""
        if not 0 <= number < self.codes:
            raise ValueError(f"image code {number} is not in 0..{self.codes - 1}")
        return self.code_offset + number

    def bin(self, number: int) -> int:
        """The row of coordinate bin `number`, 0 to 999."""
        if not 0 <= number < self.bins:
            raise ValueError(f"coordinate bin {number} is not in 0..{self.bins - 1}")
        return self.bin_offset + number

    def is_code(self, row: int) -> bool:
        """Whether `row` is an image code."""
        return self.code_offset <= row < self.bin_offset

    def is_bin(self, row: int) -> bool:
        """Whether `row` is a coordinate bin."""
        return self.bin_offset <= row < self.size
