"""Tables hold what the raw files hold, picture files byte for byte."""

import base64
import hashlib
import json
import pickle
from itertools import pairwise

import pytest

from components.preprocess.rows import table_kind
from components.preprocess.tables import tables
from ofa.data import TABLES, Table
from ofa.errors import OFAError
from ofa.tasks.answers import read_answers
from ofa.tasks.negatives import Negatives


@pytest.fixture(scope="module")
def built(raw, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables") / "tables"
    tables(str(folder), str(raw), processes=1)
    return folder


def rows(folder, name):
    return list(Table(folder / f"{name}.tsv", TABLES[table_kind(f"{name}.tsv")]))


def test_each_caption_of_training_is_a_row(built, raw):
    content = json.loads((raw / "annotations/captions_train.json").read_text())
    files = {image["id"]: image["file_name"] for image in content["images"]}
    found = {row["uniq_id"]: row for row in rows(built, "caption_train")}
    assert len(found) == len(content["annotations"])
    for annotation in content["annotations"]:
        row = found[str(annotation["id"])]
        assert row["caption"] == annotation["caption"].lower()
        assert row["image_id"] == str(annotation["image_id"])
        picture = raw / "images" / "train" / files[annotation["image_id"]]
        assert base64.b64decode(bytes(row["image"])) == picture.read_bytes()


def test_the_captions_of_a_picture_are_one_row_where_they_measure(built, raw):
    content = json.loads((raw / "annotations/captions_test.json").read_text())
    wanted = {}
    for annotation in content["annotations"]:
        wanted.setdefault(str(annotation["image_id"]), []).append(annotation["caption"].lower())
    assert {row["uniq_id"]: row["caption"].split("&&") for row in rows(built, "caption_test")} == wanted


def test_the_rows_of_a_picture_stand_together_for_pretraining(built):
    pictures = [bytes(row["image"]) for row in rows(built, "vision_language_train")]
    changes = sum(one != next_one for one, next_one in pairwise(pictures))
    assert changes == len(set(pictures)) - 1 < len(pictures) - 1
    kinds = {row["type"] for row in rows(built, "vision_language_train")}
    assert kinds == {"caption", "qa", "visual_grounding"}


def test_boxes_are_corners_in_pixels(built, raw):
    boxes = {a["id"]: a["bbox"] for a in json.loads((raw / "refcoco/instances.json").read_text())["annotations"]}
    refs = pickle.loads((raw / "refcoco/refs(ofa).p").read_bytes())
    wanted = {
        f"{ref['ref_id']}_{number}": (sentence["raw"], boxes[ref["ann_id"]])
        for ref in refs
        if ref["split"] == "val"
        for number, sentence in enumerate(ref["sentences"], 1)
    }
    found = rows(built, "refcoco_val")
    assert len(found) == len(wanted)
    for row in found:
        text, (x, y, width, height) = wanted[row["uniq_id"]]
        assert row["text"] == text
        assert [float(edge) for edge in row["box"].split(",")] == [x, y, x + width, y + height]


def test_answers_carry_the_share_of_people_who_gave_them(built, raw):
    given = json.loads((raw / "vqa/annotations_val.json").read_text())["annotations"]
    votes = {str(entry["question_id"]): [answer["answer"] for answer in entry["answers"]] for entry in given}
    for row in rows(built, "vqa_val"):
        for part in row["answers"].split("&&"):
            confidence, answer = part.split("|!+")
            assert float(confidence) == pytest.approx(min(1, 0.3 * votes[row["uniq_id"]].count(answer)))


def test_what_pretraining_and_vqa_need_lies_beside_the_tables(built):
    answers = read_answers(built / "answers.json")
    trained = {part.split("|!+")[1] for row in rows(built, "vqa_train") for part in row["answers"].split("&&")}
    assert trained <= set(answers)
    negatives = Negatives.load(built / "negatives")
    captions = {row["caption"] for row in rows(built, "caption_train")}
    assert set(negatives.captions) == captions


def test_the_hashes_of_what_training_reads_are_those_of_the_files(built):
    parts = json.loads((built / "training.json").read_text())
    hashes = {name: value for part in parts.values() for name, value in part.items()}
    assert hashes == {name: hashlib.sha256((built / name).read_bytes()).hexdigest() for name in hashes}
    trained = {path.name for split in ("train", "val") for path in built.glob(f"*_{split}.tsv")}
    assert set(parts["tables"]) == trained and not any("test" in name for name in hashes)
    assert "answers.json" in parts["lists"] and "negatives/all_captions.txt" in parts["negatives"]


def test_annotations_beside_a_table_say_the_types_of_its_questions(built, raw):
    hashes = json.loads((built / "statistics.json").read_text())["annotations"]
    assert set(hashes) == {f"vqa_{split}" for split in ("train", "val", "test", "test_pairs")}
    for name, value in hashes.items():
        content = (built / f"{name}_annotations.json").read_bytes()
        assert hashlib.sha256(content).hexdigest() == value
        published = json.loads((raw / f"vqa/annotations_{name.removeprefix('vqa_')}.json").read_text())["annotations"]
        keys = ("question_id", "question_type", "answer_type")
        assert json.loads(content)["annotations"] == [{key: entry[key] for key in keys} for entry in published]


def test_statistics_agree_with_the_tables(built):
    statistics = json.loads((built / "statistics.json").read_text())["tables"]
    assert sorted(statistics) == sorted(path.stem for path in built.glob("*_*.tsv"))
    for name, entry in statistics.items():
        found = rows(built, name)
        counts = entry["statistics"]
        assert counts["rows"] == len(found)
        assert counts["bytes"] == (built / f"{name}.tsv").stat().st_size
        if "image" in found[0]:
            assert counts["pictures"] == len({bytes(row["image"]) for row in found})
    labels = [part.rsplit(",", 1)[1] for row in rows(built, "detection_train") for part in row["boxes"].split("&&")]
    counted = statistics["detection_train"]["statistics"]["counts"]["labels"]
    assert counted == {name: labels.count(name) for name in set(labels)}


def test_boxes_are_clipped_to_their_pictures(spoiled, edit, sign, tmp_path):
    def stretch(content):
        content["annotations"][0]["bbox"] = [-5.5, 3, 1000, 1000]

    edit(spoiled / "annotations/instances_train.json", stretch)
    content = json.loads((spoiled / "annotations/instances_train.json").read_text())
    first = content["annotations"][0]
    size = next(image for image in content["images"] if image["id"] == first["image_id"])
    tables(str(tmp_path / "tables"), sign(spoiled), kinds=["detection"], splits=["train"], processes=1)
    row = next(r for r in rows(tmp_path / "tables", "detection_train") if r["uniq_id"] == str(first["image_id"]))
    assert row["boxes"].split("&&")[0].split(",")[:4] == ["0", "3", str(size["width"]), str(size["height"])]


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"kinds": ["vqas"]}, "unknown kind of table 'vqas', did you mean 'vqa'"),
        ({"splits": ["tset"]}, "unknown split 'tset', did you mean 'test'"),
        ({"rows_per_shard": 0}, "rows_per_shard is 0"),
        ({"captions_per_image": -1}, "captions_per_image: rows of a picture must be at least 0"),
        ({"kinds": ["text"], "splits": ["test"]}, "nothing to build"),
    ],
)
def test_a_wrong_setting_is_named(raw, tmp_path, settings, message):
    with pytest.raises(OFAError, match=message):
        tables(str(tmp_path / "tables"), str(raw), processes=1, **settings)
    assert list(tmp_path.iterdir()) == []
