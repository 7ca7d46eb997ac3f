"""Which vocabulary rows a set of tables uses."""

import random
from collections.abc import Iterable, Iterator, Mapping

from ofa.data import Table
from ofa.data.mixing import Source
from ofa.data.table import RowError
from ofa.tasks import Task
from ofa.tasks.boxes import BoxSettings
from ofa.tasks.vision_language import VisionLanguage
from ofa.text.cleaning import pre_caption, pre_question, strip_punctuation

SAMPLED_ROWS = 500
"""Rows of each table that are made into samples, to find the words of prompts, some of which are rarely used."""

CLEANERS = (str, str.lower, strip_punctuation, lambda w: pre_caption(w, 9), lambda w: pre_question(w, 9))
"""What tasks do to the words of a table before they encode them."""


def used_ids(sources: Iterable[tuple[Table, Task]]) -> tuple[int, ...]:
    """The ids, ascending, that samples of these tables consist of.

    Byte-pair encoding never crosses a space, so the ids of all texts are those of their words. Coordinates of boxes
    count whole, from the first bin to the last that a picture of the task's size can have; image codes as far as the
    table holds them. Bad rows are left to the training.
    """
    sources = list(sources)
    tokenizer = sources[0][1].tokenizer
    ids = {tokenizer.bos, tokenizer.pad, tokenizer.eos, tokenizer.unk, tokenizer.mask}
    words: set[str] = set()
    for table, task in sources:
        found = _words(table)
        words |= found | _replaced(found, task)
        ids |= _sampled(table, task)
        if "codes" in table.columns:
            codes = set().union(*(row["codes"].split() for row in _readable(table)))
            ids.update(tokenizer.code(int(code)) for code in codes)
        if isinstance(task.settings, BoxSettings):
            last = round(task.settings.patch_image_size / task.settings.max_image_size * (task.settings.num_bins - 1))
            ids.update(tokenizer.bin(number) for number in range(last + 1))
    for cleaned in {clean(word) for word in words for clean in CLEANERS}:
        ids.update(tokenizer.encode(f" {cleaned}"))
    return tuple(sorted(ids))


def _words(table: Table) -> set[str]:
    """The words of all text columns; `&&`, `|!+` and commas of lists separate words as spaces do."""
    words: set[str] = set()
    for row in _readable(table):
        words.update(_split(row))
    return words


def _readable(table: Table) -> Iterator[Mapping[str, str | memoryview]]:
    """The rows that have all columns."""
    for index in range(len(table)):
        try:
            yield table[index]
        except RowError:
            continue


def _replaced(words: Iterable[str], task: Task) -> set[str]:
    """The words that wrong captions get when one object's name is put in place of another's ("cats", "birds")."""
    if not isinstance(task, VisionLanguage) or not task.settings.matching_ratio:
        return set()
    objects = task.negatives.objects
    pairs = [(word, name) for word in words for name in objects if name in word]
    return {part for word, name in pairs for other in objects for part in word.replace(name, other).split()}


def _split(row: Mapping[str, str | memoryview]) -> Iterable[str]:
    for column, value in row.items():
        if column in ("image", "uniq_id", "image_id", "codes"):
            continue
        text = value.replace("&&", " ").replace("|!+", " ")
        yield from text.split()
        if column == "boxes":
            yield from text.replace(",", " ").split()


def _sampled(table: Table, task: Task) -> set[int]:
    rng = random.Random(0)
    source = Source(table=table, task=task)
    ids: set[int] = set()
    for index in rng.sample(range(len(table)), min(SAMPLED_ROWS, len(table))):
        try:
            made = source.read(index, rng)
        except RowError:
            continue
        for sample in made:
            for tokens in (sample.source, sample.previous, sample.target):
                ids.update(tokens.tolist())
    return ids
