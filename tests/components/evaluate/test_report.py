"""The report: complete, safe, and without any outside file."""

import json
import os
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image, ImageColor

from components.evaluate.charts import line_chart
from components.evaluate.compare import compare
from components.evaluate.comparison_page import write_comparison
from components.evaluate.evaluate import evaluate
from components.evaluate.record import PREDICTIONS, load_predictions
from components.evaluate.report import report
from components.train.samples import PREDICTED, TRUE
from ofa.errors import OFAError

QUICK = {"latency_samples": 1, "resamples": 200, "params": None, "skip": ["METEOR"]}


class Page(HTMLParser):
    """Checks that tags are closed, and collects what they refer to."""

    VOID = {"meta", "img", "br", "line", "rect", "link", "input"}

    def __init__(self, text):
        super().__init__()
        self.open, self.references, self.tags = [], [], []
        self.feed(text)
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.references += [value for name, value in attributes if name in ("src", "href", "data")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def finished(tmp_path_factory, network, write_table):
    """Evaluations of grounding and of captions that hold HTML."""
    folder = tmp_path_factory.mktemp("finished")
    boxes = write_table("refcoco", [{"text": "a <b>square</b>"}] * 5)
    evaluate("refcoco", network(), boxes, str(folder / "refcoco"), train_table=boxes, **QUICK)
    captions = write_table("caption", [{"image_id": str(i), "caption": "<script>alert(1)</script>"} for i in range(4)])
    evaluate("caption", network(), captions, str(folder / "caption"), train_table=captions, **QUICK)
    return folder


@pytest.fixture
def evaluations(tmp_path, finished):
    """A copy of them to change."""
    return shutil.copytree(finished, tmp_path / "evaluations")


def test_the_page_stands_alone(tmp_path, evaluations):
    report(str(evaluations), str(tmp_path / "report.html"))
    text = (tmp_path / "report.html").read_text()
    page = Page(text)
    outside = [r for r in page.references if not r.startswith(("data:image/jpeg;base64,", "#"))]
    assert not outside and "url(" not in text and "@import" not in text
    assert page.tags.count("img") == 3 * 5 + 3 * 4, "best, worst and random of each task"
    assert "script" not in page.tags and "&lt;script&gt;alert(1)" in text and "b" not in page.tags[:5]
    anchors = {r[1:] for r in page.references if r.startswith("#")}
    assert anchors <= set(re.findall(r'id="([^"]+)"', text))


def test_boxes_are_drawn_where_they_are(tmp_path, evaluations):
    report(str(evaluations), str(tmp_path / "report.html"), pictures=1)
    text = (tmp_path / "report.html").read_text()
    assert 'viewBox="0 0 80 60"' in text
    assert re.search(r'<rect class="reference" x="5.0" y="5.0" width="40.0" height="40.0"', text)
    assert 'class="predicted"' in text


def test_all_forms_say_the_same(tmp_path, evaluations):
    report(str(evaluations), str(tmp_path / "report.html"), title="Release 7")
    numbers = json.loads((tmp_path / "report.json").read_text())["tasks"]["refcoco"]
    page, markdown = (tmp_path / "report.html").read_text(), (tmp_path / "report.md").read_text()
    assert "<h1>Release 7</h1>" in page and markdown.startswith("# Release 7\n")
    score, trivial = f"{numbers['score']:.3f}", f"{numbers['baseline']['constant_box']['Acc@0.5']:.3f}"
    assert f"| refcoco | Acc@0.5 | **{score}** |" in markdown and f"| {trivial} | 5 |" in markdown
    assert f"<strong>{score}</strong>" in page
    for metric, value in numbers["scores"].items():
        assert f"| {metric} | {value:.3f} |" in markdown


def test_the_trainings_of_a_folder_come_in_the_order_of_their_ends(tmp_path, evaluations):
    for end, name in enumerate(("stem", "pretrain", "caption", "refcoco")):
        (tmp_path / "runs" / name).mkdir(parents=True)
        history = tmp_path / "runs" / name / "history.csv"
        history.write_text("step,loss\n10,2.5\n20,1.5\n")
        os.utime(history, (1000 + end, 1000 + end))
    (tmp_path / "runs" / "unfinished").mkdir()
    report(str(evaluations), str(tmp_path / "report.html"), training=[str(tmp_path / "runs")])
    page = (tmp_path / "report.html").read_text()
    places = [page.index(f"{name} loss") for name in ("stem", "pretrain", "caption", "refcoco")]
    assert places == sorted(places) and "unfinished" not in page


def test_gate_curves_and_lineage_are_shown(tmp_path, evaluations):
    gate = {
        "decision": "reject",
        "reason": "1 of 2 rules is not met.",
        "champion": {"refcoco": "c"},
        "champion_version": "3",
        "findings": [
            {"passed": True, "task": "refcoco", "rule": "latency", "why": "fast"},
            {"passed": False, "task": "refcoco", "rule": "floor", "why": "too <low>"},
        ],
    }
    (tmp_path / "gate.json").write_text(json.dumps(gate))
    (tmp_path / "pretrain").mkdir()
    (tmp_path / "pretrain" / "history.csv").write_text("step,loss,samples_per_second\n10,2.5,9\n20,1.5,9\n30,nan,9\n")
    out = tmp_path / "report.html"
    report(str(evaluations), str(out), gate=str(tmp_path / "gate.json"), training=[str(tmp_path / "pretrain")])
    text = out.read_text()
    Page(text)
    assert "reject" in text and "too &lt;low&gt;" in text and "champion version 3" in text
    assert text.count("<polyline") == 1 and "pretrain loss" in text
    record = json.loads((evaluations / "refcoco" / "evaluation.json").read_text())
    assert record["lineage"]["checkpoint_sha256"] in text and record["lineage"]["table_sha256"] in text
    told = (tmp_path / "report.md").read_text()
    assert told.index("**fail** | refcoco | floor | too <low>") < told.index("pass | refcoco | latency | fast")


def test_of_many_slices_the_largest_are_shown_and_the_others_counted(tmp_path, evaluations):
    record = json.loads((evaluations / "refcoco" / "evaluation.json").read_text())
    record["slices"]["kind"] = {f"kind {n}": {"rows": n, "score": 0.5} for n in range(1, 16)}
    (evaluations / "refcoco" / "evaluation.json").write_text(json.dumps(record))
    report(str(evaluations), str(tmp_path / "report.html"))
    page = (tmp_path / "report.html").read_text()
    assert [n for n in range(1, 16) if f"kind {n} <" in page] == list(range(4, 16))
    assert page.count("smaller ones are in evaluation.json") == 1 and "3 smaller ones" in page


def test_without_the_table_there_are_numbers_and_texts(tmp_path, evaluations):
    for task in ("caption", "refcoco"):
        record = json.loads((evaluations / task / "evaluation.json").read_text())
        record["lineage"]["table"] = [str(tmp_path / "gone.tsv")]
        (evaluations / task / "evaluation.json").write_text(json.dumps(record))
    report(str(evaluations), str(tmp_path / "report.html"))
    assert "img" not in Page((tmp_path / "report.html").read_text()).tags


def test_a_comparison_is_a_page_too(tmp_path, evaluations):
    first, second = evaluations / "refcoco", tmp_path / "second"
    shutil.copytree(first, second)
    rows = load_predictions(second)
    for row in rows[:2]:
        row["prediction"], row["measures"]["IoU"] = [5, 5, 45, 40], 0.875
    (second / PREDICTIONS).write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = compare(str(first), str(second), metric="IoU")
    write_comparison(found, str(second), tmp_path / "comparison.html")
    text = (tmp_path / "comparison.html").read_text()
    page = Page(text)
    assert page.tags.count("figure") == page.tags.count("img") == found.wins == 2
    assert text.count('class="other"') == text.count('class="predicted"') == 2
    assert all(reference.startswith("data:") for reference in page.references)


def test_a_box_with_swapped_corners_is_drawn(tmp_path, evaluations):
    rows = load_predictions(evaluations / "refcoco")
    for row in rows:
        row["prediction"] = [40, 30, 10, 20]
    (evaluations / "refcoco" / PREDICTIONS).write_text("".join(json.dumps(row) + "\n" for row in rows))
    report(str(evaluations), str(tmp_path / "report.html"))
    assert '<rect class="predicted" x="10" y="20" width="30" height="10"' in (tmp_path / "report.html").read_text()


def test_markdown_shows_pictures_and_curves(tmp_path, evaluations):
    for place, loss in (("runs", "1.5"), ("before", "2.0")):
        (tmp_path / place / "stem").mkdir(parents=True)
        (tmp_path / place / "stem" / "history.csv").write_text(f"step,loss\n10,2.5\n20,{loss}\n")
    options = {"training": [str(tmp_path / "runs")], "sheets": str(tmp_path / "shown" / "pictures")}
    report(str(evaluations), str(tmp_path / "shown" / "report.html"), **options)
    links = re.findall(r"!\[.*\]\((.*)\)", (tmp_path / "shown" / "report.md").read_text())
    assert links == ["pictures/caption.jpg", "pictures/refcoco.jpg", "pictures/loss.png"]
    alone = (tmp_path / "shown" / "pictures" / "loss.png").read_bytes()
    colors = np.asarray(Image.open(tmp_path / "shown" / "pictures" / "refcoco.jpg")).astype(int)
    for color in (PREDICTED, TRUE):  # JPEG blurs a little
        assert (abs(colors - ImageColor.getrgb(color)).max(axis=2) < 40).sum() > 50
    report(str(evaluations), str(tmp_path / "shown" / "report.html"), earlier=str(tmp_path / "before"), **options)
    assert (tmp_path / "shown" / "pictures" / "loss.png").read_bytes() != alone, "the curve before is drawn as well"


def test_no_evaluation_is_named(tmp_path):
    with pytest.raises(OFAError, match="no evaluation below this folder"):
        report(str(tmp_path), str(tmp_path / "report.html"))


def test_a_chart_spans_its_values():
    svg = line_chart([0, 10, 20], [0.0, 5.0, 10.0], "loss")
    points = [tuple(map(float, p.split(","))) for p in re.search(r'points="([^"]+)"', svg)[1].split()]
    (x0, y0), (x1, y1), (x2, y2) = points
    assert x0 < x1 < x2 and y0 > y1 > y2
    assert (x1, y1) == pytest.approx(((x0 + x2) / 2, (y0 + y2) / 2), abs=0.1)
    assert "no values" in line_chart([0], [float("nan")], "loss")
    assert "<polyline" in line_chart([5], [1.0], "loss"), "one point or a flat line is no error"
