"""Rows of the tables that the published files of each data set give."""

import json
import shutil

import pytest

from components.preprocess.fetch import fetch
from components.preprocess.layout import RawData
from components.preprocess.quarantine import read_rejected
from components.preprocess.validate import validate
from ofa.data import TABLES, Table
from ofa.data.images import decode_base64
from ofa.errors import OFAError
from tests.components.formats.published import CHINESE, WORDS, picture


def table(built, name: str) -> list[dict]:
    kind = next(kind for kind in sorted(TABLES, key=len, reverse=True) if name.startswith(f"{kind}_"))
    return list(Table(built / "tables" / f"{name}.tsv", TABLES[kind]))


def test_every_split_has_its_table(built):
    statistics = json.loads((built / "tables" / "statistics.json").read_text())["tables"]
    assert {name: content["statistics"]["rows"] for name, content in statistics.items()} == {
        **{"snli_ve_train": 9, "snli_ve_val": 6, "snli_ve_test": 3},
        **{"image_classify_train": 12, "image_classify_val": 3},
        **{"ocr_train": 4, "ocr_zh_train": 4, "ocr_val": 4, "ocr_zh_val": 4, "ocr_test": 4},
        **{f"{task}_train": 8 for task in ("cola", "mnli", "mrpc", "qnli", "qqp", "rte", "sst2")},
        **{f"{task}_val": 6 for task in ("cola", "mnli", "mrpc", "qnli", "qqp", "rte", "sst2")},
        **{"mnli_val_mismatched": 6, "cola_test": 1, "rte_test": 2},
        **{"gigaword_train": 8, "gigaword_val": 6, "gigaword_test": 2},
    }


def test_snli_ve(built):
    row = table(built, "snli_ve_train")[0]
    assert decode_base64(row.pop("image")) == picture("green", 1)
    assert row == {
        "uniq_id": "1001.jpg#0r1n",
        "image_id": "1001",
        "hypothesis": "The ground is blue.",
        "caption": "A square on green ground.",
        "label": "neutral",
    }


def test_classes_have_the_numbers_and_names_of_imagenet(built):
    found = {(row["label_id"], row["label"]) for row in table(built, "image_classify_train")}
    assert found == {("0", "tench"), ("1", "crane"), ("2", "crane (n03126707)")}
    assert [row["label_id"] for row in table(built, "image_classify_val")] == ["0", "1", "2"]
    assert decode_base64(table(built, "image_classify_val")[1]["image"]) == picture("green", 9)
    labels = json.loads((built / "tables" / "labels.json").read_text())
    assert labels == ["tench", "crane", "crane (n03126707)"]


def test_a_folder_a_class_needs_no_lists(tmp_path):
    for split, names in (("train", ("hot_dog", "cat")), ("val", ("cat",))):
        for name in names:
            folder = tmp_path / "image_classify" / split / name
            folder.mkdir(parents=True)
            (folder / "1.jpg").write_bytes(picture("red", 1))
    tables = RawData(tmp_path).tables
    found = {name: [(row["label_id"], row["label"]) for row in made.rows()] for name, made in tables.items()}
    assert found == {"image_classify_train": [("0", "cat"), ("1", "hot dog")], "image_classify_val": [("0", "cat")]}


def test_texts_of_pictures_in_two_languages_and_two_forms(built):
    assert [row["text"] for row in table(built, "ocr_train")] == list(WORDS)
    assert [row["text"] for row in table(built, "ocr_zh_train")] == list(CHINESE)
    assert [row["text"] for row in table(built, "ocr_test")] == list(WORDS)
    assert decode_base64(table(built, "ocr_test")[1]["image"]) == picture("navy", 9, "open", "PNG")


def test_glue_keeps_quotes_and_has_the_labels_of_the_original(built):
    row = table(built, "mnli_train")[1]
    assert row == {"sentence1": 'The first "Text 1', "sentence2": "the other text 1", "label": "1"}
    assert [row["label"] for row in table(built, "mnli_train")[:3]] == ["0", "1", "2"]
    assert table(built, "cola_train")[1] == {"uniq_id": "1", "sentence1": "They drank 1 pubs.", "label": "1"}
    assert table(built, "sst2_train")[1] == {"sentence1": "great fun 1", "label": "1"}
    assert table(built, "qqp_train")[2]["uniq_id"] == "102"
    assert table(built, "mrpc_val")[3]["label"] == "1"
    assert [row["label"] for row in table(built, "rte_test")] == ["", ""]


def test_a_line_that_is_cut_is_put_aside_with_its_reason(published, tmp_path):
    shutil.copytree(published / "my_glue" / "QQP", tmp_path / "source" / "QQP")
    with open(tmp_path / "source" / "QQP" / "train.tsv", "a", encoding="utf-8") as file:
        file.write("199\t5\t6\tcut\n")
    fetch(str(tmp_path / "raw"), f"glue={tmp_path / 'source'}")
    report = validate(str(tmp_path / "validated"), str(tmp_path / "raw"), max_bad_rows=1)
    assert {failure["because"] for failure in report["failures"]} == {
        "there must be a second sentence to judge",
        "only test splits may keep their labels secret",
    }
    assert read_rejected(tmp_path / "validated")["qqp_train"].keys() == {"199"}


def test_gigaword(built):
    assert table(built, "gigaword_val")[2] == {
        "source": "valid orders of goods rose #.# percent in month 2 .",
        "target": "orders up in 2",
    }
    assert table(built, "gigaword_test")[1]["target"] == "shares rise"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("ocr/train.txt", r"train\.txt, line 1: must be PICTURE, a tab and the text"),
        ("glue/QNLI/train.tsv", r"QNLI.train\.tsv: no columns question, sentence in its first line"),
        ("gigaword/train/train.title.txt", r"train\.article\.txt has more lines than .*train\.title\.txt, which has 1"),
        ("snli_ve/snli_ve_train.jsonl", r"snli_ve_train\.jsonl: line 1 is not JSON"),
    ],
)
def test_a_file_of_another_form_is_named(published, tmp_path, change, message):
    name, _, file = change.partition("/")
    shutil.copytree(published / f"my_{name}", tmp_path / name)
    (tmp_path / name / file).write_text("nonsense\n")
    with pytest.raises(OFAError, match=message):
        RawData(tmp_path).count()


def test_a_folder_without_known_files_says_what_is_missing(tmp_path):
    (tmp_path / "snli_ve").mkdir()
    with pytest.raises(OFAError, match=r"snli_ve: no snli_ve_train\.jsonl.*docs/data\.md"):
        _ = RawData(tmp_path).tables
    (tmp_path / "snli_ve").rename(tmp_path / "entailment")
    with pytest.raises(OFAError, match="--source snli_ve=FOLDER"):
        _ = RawData(tmp_path).tables
