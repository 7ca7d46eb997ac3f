"""Training tables can hold fewer rows of a picture, and only questions that the list of answers can answer."""

import json
from collections import Counter

from components.preprocess.tables import tables
from ofa.data import TABLES, Table


def rows(folder, name, kind):
    return list(Table(folder / f"{name}.tsv", TABLES[kind]))


def test_each_table_keeps_its_number_of_rows_of_a_picture(raw, tmp_path):
    limited, full = tmp_path / "limited", tmp_path / "full"
    limits = {"captions_per_image": 2, "expressions_per_image": 1, "questions_per_image": 3, "pretraining_per_image": 1}
    tables(str(full), str(raw), processes=1)
    tables(str(limited), str(raw), processes=1, **limits)
    for name, most in (("caption", 2), ("refcoco", 1), ("vqa", 3)):
        before = Counter(row["image_id"] for row in rows(full, f"{name}_train", name))
        after = Counter(row["image_id"] for row in rows(limited, f"{name}_train", name))
        assert after == {image: min(most, count) for image, count in before.items()}
        assert (limited / f"{name}_test.tsv").read_bytes() == (full / f"{name}_test.tsv").read_bytes()
    kinds = Counter((bytes(r["image"]), r["type"]) for r in rows(limited, "vision_language_train", "vision_language"))
    assert set(kinds.values()) == {1}
    assert len(kinds) == 3 * 12


def test_the_rows_that_stay_are_always_the_same_and_not_just_the_first(raw, tmp_path):
    for name in ("a", "b"):
        tables(str(tmp_path / name), str(raw), kinds=["caption"], splits=["train"], captions_per_image=2, processes=1)
    assert (tmp_path / "a/caption_train.tsv").read_bytes() == (tmp_path / "b/caption_train.tsv").read_bytes()
    captions = json.loads((raw / "annotations/captions_train.json").read_text())["annotations"]
    places = {str(caption["id"]): number % 5 for number, caption in enumerate(captions)}
    chosen = {places[row["uniq_id"]] for row in rows(tmp_path / "a", "caption_train", "caption")}
    assert len(chosen) > 2


def test_training_questions_are_those_that_the_list_of_answers_can_answer(raw, tmp_path):
    statistics = tables(str(tmp_path / "t"), str(raw), kinds=["vqa"], answers=2, processes=1)
    answers = json.loads((tmp_path / "t/answers.json").read_text())
    given = json.loads((raw / "vqa/annotations_train.json").read_text())["annotations"]
    frequent = Counter(entry["multiple_choice_answer"] for entry in given).most_common()
    assert sorted(answers) == sorted(answer for answer, _ in frequent[:2])
    train = rows(tmp_path / "t", "vqa_train", "vqa")
    assert {part.split("|!+")[1] for row in train for part in row["answers"].split("&&")} == set(answers)
    left_out = statistics["tables"]["vqa_train"]["left_out"]["no answer of the list of answers"]
    assert len(train) + left_out == len(given)
    untouched = {
        part.split("|!+")[1] for row in rows(tmp_path / "t", "vqa_val", "vqa") for part in row["answers"].split("&&")
    }
    assert not untouched <= set(answers)


def test_answers_are_counted_over_the_splits_that_are_asked_for(raw, tmp_path):
    for splits in (["train"], ["train", "val"]):
        out = tmp_path / "_".join(splits)
        tables(str(out), str(raw), kinds=["vqa"], answers=0, answer_splits=splits, processes=1)
        counts = Counter()
        for split in splits:
            given = json.loads((raw / f"vqa/annotations_{split}.json").read_text())["annotations"]
            counts.update(entry["multiple_choice_answer"] for entry in given)
        answers = json.loads((out / "answers.json").read_text())
        assert answers == sorted(counts, key=lambda answer: (-counts[answer], answer))
