"""The ids that a network with a restricted output must know."""

import random
from dataclasses import replace

from components.tables import open_table
from components.train.settings import PretrainSection, finetune_section
from components.train.vocabulary import used_ids
from ofa.settings import section
from ofa.tasks.pretrain import make_tasks, sources


def test_every_sample_of_every_table_is_covered(small_tables, params):
    settings = section(params, "pretrain", PretrainSection).tasks
    settings = _with_negatives(settings, small_tables)
    tasks = make_tasks(("vision_language", "detection"), settings)
    mixture = sources({kind: open_table(small_tables, task, "train") for kind, task in tasks.items()}, settings)
    pairs = [(source.table, source.task) for source in mixture]
    task = finetune_section(params, "vqa").make_task("vqa", small_tables)
    pairs.append((open_table(small_tables, task, "train"), task))
    known = set(used_ids(pairs))
    assert len(known) < 2000
    for table, task in pairs:
        for seed in range(3):
            rng = random.Random(seed)
            for row in table:
                made = task.sample(row, True, rng)
                for sample in made if isinstance(made, list) else [made]:
                    for tokens in (sample.source, sample.previous, sample.target):
                        assert known.issuperset(tokens.tolist()), task.tokenizer.decode(tokens.tolist())


def _with_negatives(settings, folder):
    return replace(settings, vision_language=replace(settings.vision_language, negatives=str(folder / "negatives")))


def test_coordinates_count_whole(small_tables, params):
    task = finetune_section(params, "refcoco").make_task("refcoco", small_tables)
    ids = used_ids([(open_table(small_tables, task, "train"), task)])
    bins = [id for id in ids if task.tokenizer.is_bin(id)]
    assert bins == [task.tokenizer.bin(number) for number in range(16)]
