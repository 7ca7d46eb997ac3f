"""Accuracy by type of answer and of question is that of VQA's official evaluation, from the annotations to the page."""

import json
import random
import shutil
from collections import defaultdict
from pathlib import Path

import pytest
from PIL import Image

from components.evaluate.baselines import baselines
from components.evaluate.evaluate import evaluate
from components.evaluate.measures import measure_for
from components.evaluate.report import report
from components.preprocess.fetch import fetch
from components.preprocess.tables import tables
from ofa import tasks
from ofa.data import TABLES, Table
from ofa.data.answers import normalize_answer
from ofa.errors import OFAError
from ofa.tasks.vqa import parse_answers

QUICK = {"latency_samples": 1, "resamples": 100, "params": None}
KINDS = {  # none is what the texts would make one guess
    ("is the man", "yes/no"): ("Would he like it?", ["yes", "no"]),
    ("how many people are in", "number"): ("What is the sum of them?", ["a few", "two", "3"]),
    ("none of the above", "other"): ("How many hours is it?", ["yes", "2", "o'clock"]),
    ("is the man", "other"): ("What is the man?", ["few", "2", "o'clock"]),
}


def vqa_v2(folder: Path, split: str, first: int) -> dict[int, dict]:
    """Write 60 questions as VQA v2 does; gives the annotations by question."""
    rng = random.Random(first)
    questions, annotations = [], []
    for number, ((question_type, answer_type), (text, answers)) in enumerate(list(KINDS.items()) * 15, first):
        shared = {"question_id": number, "image_id": 1}
        people = [rng.choice(answers) for _ in range(10)]
        questions.append(shared | {"question": text})
        annotations.append(
            shared
            | {"question_type": question_type, "answer_type": answer_type, "multiple_choice_answer": people[0]}
            | {"answers": [{"answer": answer, "answer_id": n} for n, answer in enumerate(people, 1)]}
        )
    names = {"OpenEnded_mscoco": ("questions", questions), "mscoco": ("annotations", annotations)}
    for name, (key, content) in names.items():
        (folder / "vqa").mkdir(parents=True, exist_ok=True)
        (folder / "vqa" / f"v2_{name}_{split}2014_{key}.json").write_text(json.dumps({key: content}))
    (folder / f"{split}2014").mkdir()
    Image.new("RGB", (64, 64), "red").save(folder / f"{split}2014" / f"COCO_{split}2014_{1:012d}.jpg")
    return {annotation["question_id"]: annotation for annotation in annotations}


def official(predictions: dict[int, str], annotations: dict[int, dict]) -> dict[str, float]:
    """Accuracy of all and of each type as the program of visualqa.org defines it: of ten people, one is left out."""
    values = defaultdict(list)
    for number, annotation in annotations.items():
        people = [normalize_answer(given["answer"]) for given in annotation["answers"]]
        said = normalize_answer(predictions[number])
        matches = [sum(other == said for other in people[:n] + people[n + 1 :]) for n in range(10)]
        value = sum(min(1, count / 3) for count in matches) / 10
        for group in ("accuracy", annotation["answer_type"], annotation["question_type"]):
            values[group].append(value)
    return {group: sum(found) / len(found) for group, found in values.items()}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Raw data of VQA v2, the tables of them, and the annotations of their validation split."""
    folder = tmp_path_factory.mktemp("vqa")
    vqa_v2(folder / "source", "train", 1000)
    annotations = vqa_v2(folder / "source", "val", 5000)
    fetch(str(folder / "raw"), source=str(folder / "source"))
    tables(str(folder / "tables"), str(folder / "raw"), processes=1)
    return folder, annotations


def predicted(table: Path | list[Path], seed: int = 0) -> list[dict]:
    """What is known of each row before anything is scored, with an answer drawn among those that people gave."""
    rng, measure = random.Random(seed), measure_for(tasks.create("vqa"))
    rows = []
    for row in Table(table, TABLES["vqa"]):
        row = dict(row) | {"image": ""}
        truth = measure.truth(row, parse_answers(row["answers"]))
        answer = rng.choice(["yes", "Two", "few", "3.", "oclock", "2"])
        rows.append({"uniq_id": row["uniq_id"], "image_id": "1", "prediction": answer, "score": 0.0} | truth)
    return rows


def scored(table: Path | list[Path]) -> tuple[dict[str, float], str]:
    """All numbers by their names, and what is said about the types."""
    measure = measure_for(tasks.create("vqa"), tables=table if isinstance(table, list) else [table])
    rows = measure.complete(predicted(table))
    found = measure.measure(rows)
    by_question = defaultdict(list)
    for row, values in zip(rows, found.rows, strict=True):
        by_question[measure.slices(row)["question type"]].append(values["accuracy"])
    slices = {name: sum(values) / len(values) for name, values in by_question.items()}
    return found.scores | slices, *found.notes


def test_the_numbers_are_those_of_the_official_program(data):
    folder, annotations = data
    table = folder / "tables" / "vqa_val.tsv"
    predictions = {int(row["uniq_id"]): row["prediction"] for row in predicted(table)}
    expected = official(predictions, annotations)
    found, note = scored(table)
    assert found == pytest.approx(expected, abs=1e-12)
    assert len(expected) == 7 and len(set(expected.values())) == 6, "one type of questions has all the numbers"
    assert note == "Types of questions and answers: those of vqa_val_annotations.json."


def test_vqa_v2s_own_file_may_lie_beside_a_table_and_its_shards(data, tmp_path):
    folder, _ = data
    lines = (folder / "tables" / "vqa_val.tsv").read_bytes().splitlines(keepends=True)
    shards = [tmp_path / f"vqa_val-0000{number}-of-00002.tsv" for number in range(2)]
    for number, shard in enumerate(shards):
        shard.write_bytes(b"".join(lines[30 * number :][:30]))
    shutil.copyfile(folder / "raw/vqa/v2_mscoco_val2014_annotations.json", tmp_path / "vqa_val_annotations.json")
    assert scored(shards) == scored(folder / "tables" / "vqa_val.tsv")


def test_without_annotations_the_types_are_guessed_and_the_report_says_so(data, network, tmp_path):
    folder, _ = data
    table = shutil.copyfile(folder / "tables" / "vqa_val.tsv", tmp_path / "vqa_val.tsv")
    found, note = scored(table)
    assert {"how many", "none of the above", "what is the"} <= set(found) and "is the man" not in found
    assert "guessed from the texts; no vqa_val_annotations.json" in note
    for name, place in (("official", folder / "tables" / "vqa_val.tsv"), ("guessed", table)):
        evaluate("vqa", network(), str(place), str(tmp_path / name / "vqa"), search={"beam": 1}, limit=3, **QUICK)
        report(str(tmp_path / name), str(tmp_path / name / "report.html"))
        texts = [(tmp_path / name / f"report.{kind}").read_text() for kind in ("html", "md", "json")]
        assert all(("guessed from the texts" in text) == (name == "guessed") for text in texts)
        assert all(("those of vqa_val_annotations.json" in text) == (name == "official") for text in texts)
        slices = json.loads((tmp_path / name / "vqa" / "evaluation.json").read_text())["slices"]
        assert ("is the man" in slices["question type"]) == (name == "official")


def test_the_baseline_by_type_learns_by_the_same_types(data):
    """Whoever knew only the texts would answer all questions of one text alike, and here also those of one type."""
    folder, annotations = data
    measure = measure_for(tasks.create("vqa"), tables=[folder / "tables" / "vqa_val.tsv"])
    rows = measure.complete(predicted(folder / "tables" / "vqa_val.tsv"))
    found = baselines(measure, rows, str(folder / "tables" / "vqa_train.tsv"))
    votes = defaultdict(lambda: defaultdict(int))
    for row in Table(folder / "tables" / "vqa_train.tsv", TABLES["vqa"]):
        answers = parse_answers(row["answers"])
        kind = list(KINDS)[(int(row["uniq_id"]) - 1000) % 4][0]
        votes[kind][max(answers, key=answers.get)] += 1
    best = {kind: min(counts, key=lambda answer: (-counts[answer], answer)) for kind, counts in votes.items()}
    expected = official({n: best[a["question_type"]] for n, a in annotations.items()}, annotations)
    of_types = found["most_frequent_answer_per_question_type"]
    assert of_types == pytest.approx({name: expected[name] for name in of_types})


def test_a_question_without_annotation_is_named(data, tmp_path):
    folder, _ = data
    table = shutil.copyfile(folder / "tables" / "vqa_val.tsv", tmp_path / "vqa_val.tsv")
    shutil.copyfile(folder / "tables" / "vqa_train_annotations.json", tmp_path / "vqa_val_annotations.json")
    with pytest.raises(OFAError, match=r"vqa_val_annotations.json: has no annotation of question 5000"):
        scored(table)
    (tmp_path / "vqa_val_annotations.json").write_text("[]")
    with pytest.raises(OFAError, match=r"vqa_val_annotations.json holds no JSON object with 'annotations'"):
        scored(table)
