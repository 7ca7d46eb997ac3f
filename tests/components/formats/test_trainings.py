"""Each task from its published files to a score, by the commands: tables, a short training, predictions, metrics."""

import pytest

from tests.components.formats.published import CHINESE
from tests.components.formats.workplace import evaluate, train

PICTURES = {"patch_image_size": 64}
GLUE = ("mnli", "mrpc", "qnli", "qqp", "rte", "sst2", "cola")
SCORES = {
    "snli_ve": {"accuracy"},
    "image_classify": {"top1", "top5"},
    "ocr": {"accuracy", "1-NED"},
    "gigaword": {f"ROUGE-{n}{part}" for n in "12L" for part in ("", "_recall")},
    "cola": {"mcc", "accuracy"},
    "mrpc": {"accuracy", "f1"},
    "qqp": {"accuracy", "f1"},
} | dict.fromkeys(("mnli", "qnli", "rte", "sst2"), {"accuracy"})
SETTINGS = {
    "snli_ve": PICTURES,
    "image_classify": PICTURES | {"labels_file": "labels.json"},
    "ocr": {"patch_image_size": 256},
}
ANSWERS = {
    "snli_ve": {"yes", "no", "maybe"},
    "image_classify": {"tench", "crane", "crane (n03126707)"},
    "mnli": {"yes", "no", "maybe"},
    "sst2": {"negative", "positive"},
} | dict.fromkeys(("cola", "mrpc", "qnli", "qqp", "rte"), {"yes", "no"})


@pytest.fixture(autouse=True)
def workplace(built, monkeypatch):
    """The commands find tables, and leave networks and MLflow's files, where the tables were built."""
    monkeypatch.chdir(built)


@pytest.mark.parametrize("task", SCORES)
def test_a_task_is_trained_and_scored(ofa, start, task):
    train(ofa, start, task, settings=SETTINGS.get(task, {}))
    search = [] if task in GLUE else ["--search", "max_len_b=6", "--search", "beam=2"]
    evaluation, rows = evaluate(ofa, task, "val", *search)
    assert evaluation["rows"] == len(rows) and evaluation["bad_rows"] == 0
    assert evaluation["scores"].keys() - {"exact_match"} == SCORES[task]
    if task in ANSWERS:
        assert {row["prediction"] for row in rows} | {row["references"] for row in rows} <= ANSWERS[task]
    primary = evaluation["metric"]
    assert evaluation["scores"][primary] == pytest.approx(sum(row["measures"][primary] for row in rows) / len(rows))


def test_chinese_texts_on_pictures(ofa, start_chinese):
    settings = {"patch_image_size": 256, "language": "chinese", "simplify": True}
    train(ofa, start_chinese, "ocr", settings=settings)
    evaluation, rows = evaluate(ofa, "ocr", "val", "--search", "max_len_b=6", "--search", "beam=2")
    assert evaluation["scores"].keys() == {"accuracy", "1-NED"}
    assert [row["references"] for row in rows] == list(CHINESE)
    assert rows[0]["prompt"] == "图片上的文字是什么?"
