"""Evaluation of text to image: pictures are kept, judged and, with a judge, chosen."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models import inception_v3

from components.evaluate import paintings
from components.evaluate.evaluate import evaluate
from components.evaluate.judges import Judges
from components.evaluate.paintings import PaintingMeasure, distance, judge_features, painter_of
from components.evaluate.record import load_predictions
from ofa import OFA
from ofa.data import TABLES, TableWriter
from ofa.errors import OFAError
from ofa.metrics.inception import Inception
from ofa.metrics.pictures import inception_score
from ofa.model import OFAConfig, OFAModel
from ofa.model.vqgan import VQGAN, VQGANConfig
from ofa.paint import Painter
from ofa.tasks import create
from ofa.text import Tokenizer

QUICK = {"latency_samples": 1, "resamples": 200, "params": None, "device": "cpu", "batch_size": 2}
TEXTS = ["a red square", "a square", "red"]


@pytest.fixture(scope="module")
def painter(tmp_path_factory):
    """A folder of a random network that paints with 8 codes and says a few words."""
    torch.manual_seed(0)
    tokens = Tokenizer.english()
    ids = {0, 1, 2, 3, *tokens.encode(" a red square"), *(tokens.code(n) for n in range(8))}
    net = OFAModel(OFAConfig.preset("nano", output_ids=tuple(sorted(ids)), code_image_size=16))
    vqgan = VQGAN(VQGANConfig.preset("nano", channels=8, code_dim=8, codes=8))
    settings = {"image_gen": {"code_image_size": 16}, "caption": {"patch_image_size": 64}}
    folder = tmp_path_factory.mktemp("painter")
    OFA(net, settings, "cpu", vqgan).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("codes") / "image_gen_test.tsv"
    with TableWriter(path, TABLES["image_gen"]) as writer:
        for number, text in enumerate(TEXTS):
            writer.write({"uniq_id": f"{number}", "codes": f"{number} 1 2 {7 - number}", "caption": text})
    return str(path)


def run(painter, table, out, beam=3, **judges):
    torch.manual_seed(0)
    return evaluate("image_gen", painter, table, str(out), search={"beam": beam}, judges=Judges(**judges), **QUICK)


def test_without_judges_codes_are_counted_and_the_rest_is_explained(painter, table, tmp_path):
    found = run(painter, table, tmp_path / "out")
    rows = load_predictions(tmp_path / "out")
    shares = [np.mean([a == b for a, b in zip(r["prediction"], r["references"], strict=True)]) for r in rows]
    assert found.metric == "code_accuracy" and found.score == pytest.approx(np.mean(shares))
    assert found.skipped["FID, IS"].startswith("they need the weights of Inception v3: get torchvision's inception_v3")
    assert "--judge" in found.skipped["caption_score"]
    vqgan = OFA.from_pretrained(painter, "cpu").vqgan
    for row, picture in zip(rows, Painter(vqgan).pictures([row["prediction"] for row in rows]), strict=True):
        kept = Image.open(tmp_path / "out" / "pictures" / f"{row['uniq_id']}.png")
        assert kept.tobytes() == picture.tobytes()


def test_a_judge_chooses_and_scores(painter, table, tmp_path):
    found = run(painter, table, tmp_path / "out", judge=painter)
    rows = load_predictions(tmp_path / "out")
    judge = OFA.from_pretrained(painter, "cpu")
    painted = Painter(judge.vqgan).pictures([row["prediction"] for row in rows])
    scores = judge.caption_scores(painted, TEXTS)
    assert found.metric == "caption_score" and found.score == pytest.approx(np.mean(scores), abs=1e-5)
    assert [row["score"] for row in rows] == pytest.approx(scores, abs=1e-5)  # what it was chosen by
    wanted = Painter(judge.vqgan).pictures([row["references"] for row in rows])
    expected = distance(judge_features(judge, painted), judge_features(judge, wanted))
    assert found.scores["judge_distance"] == pytest.approx(expected)
    assert distance(judge_features(judge, wanted), judge_features(judge, wanted)) == pytest.approx(0, abs=1e-6)
    one = run(painter, table, tmp_path / "one", beam=1, judge=painter)
    assert found.score > one.score  # the best of three against the first


def test_fid_and_is(painter, table, tmp_path):
    torch.save(inception_v3(weights=None, init_weights=False).state_dict(), tmp_path / "inception.pth")
    found = run(painter, table, tmp_path / "out", inception=str(tmp_path / "inception.pth"))
    rows = load_predictions(tmp_path / "out")
    paint, inception = (
        Painter(OFA.from_pretrained(painter, "cpu").vqgan).pictures,
        Inception(tmp_path / "inception.pth"),
    )
    features, classes = inception(paint([row["prediction"] for row in rows]))
    wanted, _ = inception(paint([row["references"] for row in rows]))
    assert found.scores["FID"] == pytest.approx(distance(features, wanted), rel=1e-4)
    assert found.scores["IS"] == pytest.approx(inception_score(classes)[0], rel=1e-4)


def test_few_pictures_are_in_memory(painter, table, tmp_path, monkeypatch):
    whole = run(painter, table, tmp_path / "out", beam=1, judge=painter)
    paint, sizes = Painter.pictures, []

    def counted(self, codes):
        sizes.append(len(codes))
        return paint(self, codes)

    monkeypatch.setattr(Painter, "pictures", counted)
    monkeypatch.setattr(paintings, "AT_ONCE", 2)
    parts = run(painter, table, tmp_path / "out", beam=1, judge=painter)
    assert max(sizes) == 2 and sum(sizes) >= 2 * len(TEXTS)
    assert parts.scores == pytest.approx(whole.scores, abs=1e-5)
    assert len(list((tmp_path / "out" / "pictures").iterdir())) == len(TEXTS)


def test_a_judge_must_know_the_words(painter, tmp_path):
    path = tmp_path / "image_gen_test.tsv"
    path.write_text("0\t0 1 2 3\ta purple square\n1\t0 1 2 3\ta square\n")
    with pytest.raises(OFAError, match="cannot say 'a purple square'; take a judge that captions with such words"):
        run(painter, str(path), tmp_path / "out", beam=1, judge=painter)


def test_pictures_are_painted_and_judged_on_the_device_of_the_network(painter):
    """torch's device without numbers stands for a GPU."""
    there = torch.device("meta")
    measure = PaintingMeasure(create("image_gen", {"code_image_size": 16}), (), painter, Judges(judge=painter))
    measure.equip(there)
    paint = measure.task.rank.__self__
    assert {p.device for net in (paint.vqgan, paint.scorer.__self__.net) for p in net.parameters()} == {there}
    assert {p.device for p in painter_of(painter, there).vqgan.parameters()} == {there}


def test_a_network_without_a_vqgan_is_told(painter, table, tmp_path):
    model = OFA.from_pretrained(painter, "cpu")
    model.vqgan = None
    model.save_pretrained(tmp_path / "net")
    with pytest.raises(OFAError, match="net: no VQ-GAN in it to paint with; copy the one that made the codes"):
        run(str(tmp_path / "net"), table, tmp_path / "out")
