"""The page of statistics shows the tables' own numbers, in one file that needs nothing else."""

import re
from collections import Counter

import pytest

from components.preprocess.stats import stats
from components.preprocess.tables import tables
from ofa.data import TABLES, Table
from ofa.errors import OFAError


@pytest.fixture(scope="module")
def built(raw, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables") / "tables"
    tables(str(folder), str(raw), processes=1)
    return folder


def chart(summary, title):
    (found,) = [chart for chart in summary.charts if chart.title == title]
    return {bar.label: bar.count for bar in found.bars}


def test_every_table_is_counted(built, tmp_path):
    summaries = stats(str(built), str(tmp_path / "page.html"))
    assert [summary.name for summary in summaries] == sorted(path.stem for path in built.glob("*_*.tsv"))
    page = (tmp_path / "page.html").read_text()
    for summary in summaries:
        assert summary.bad_rows == 0
        assert f'<h2 id="{summary.name}">' in page


def test_charts_show_what_is_in_the_rows(built, tmp_path):
    (summary,) = stats([str(built / "vqa_train.tsv")], str(tmp_path / "page.html"))
    rows = list(Table(built / "vqa_train.tsv", TABLES["vqa"]))
    words = Counter(len(row["question"].split()) for row in rows)
    counted = {int(label): count for label, count in chart(summary, "Words of a text").items() if count}
    assert counted == dict(words)
    best = Counter()
    for row in rows:
        answers = [part.split("|!+") for part in row["answers"].split("&&")]
        best[max(answers, key=lambda pair: float(pair[0]))[1]] += 1
    shown = chart(summary, "Most certain answers")
    assert shown == {answer: best[answer] for answer in shown}
    assert min(shown.values()) >= sorted(best.values())[-len(shown)]


def test_boxes_are_counted_as_shares_of_the_picture(built, tmp_path):
    (summary,) = stats([str(built / "detection_train.tsv")], str(tmp_path / "page.html"))
    boxes = [
        box for row in Table(built / "detection_train.tsv", TABLES["detection"]) for box in row["boxes"].split("&&")
    ]
    for title in ("Area of boxes as a share of the picture", "Centers of boxes in the picture"):
        assert sum(chart(summary, title).values()) == len(boxes)


def test_the_page_needs_no_other_file(built, tmp_path):
    stats([str(built / "refcoco_val.tsv")], str(tmp_path / "page.html"))
    page = (tmp_path / "page.html").read_text()
    sources = re.findall(r'(?:src|href)="([^"#]*)', page)
    assert len(sources) >= 6
    assert all(source == "" or source.startswith("data:image/jpeg;base64,") for source in sources)
    assert "<script" not in page and "@import" not in page and "url(" not in page


def test_bad_rows_are_shown_and_do_not_stop_it(built, tmp_path):
    lines = (built / "caption_val.tsv").read_bytes().splitlines(keepends=True)
    lines[1] = b"only\tthree\tcolumns\n"
    (tmp_path / "caption_val.tsv").write_bytes(b"".join(lines))
    (summary,) = stats([str(tmp_path / "caption_val.tsv")], str(tmp_path / "page.html"))
    assert (summary.bad_rows, summary.statistics.rows) == (1, len(lines) - 1)
    assert "row 1: 3 columns instead of 5" in (tmp_path / "page.html").read_text()


def test_text_of_a_table_is_not_read_as_html(tmp_path):
    (tmp_path / "text_val.tsv").write_text("1\t<script>alert(1)</script>\n")
    (tmp_path / "vqa_val.tsv").write_text("1\t1\twhat?\t1.0|!+<b>x</b>\t\tAAAA\n")
    stats([str(tmp_path / "vqa_val.tsv"), str(tmp_path / "text_val.tsv")], str(tmp_path / "page.html"))
    assert "<script>alert" not in (tmp_path / "page.html").read_text()


def test_a_folder_without_tables_is_named(tmp_path):
    with pytest.raises(OFAError, match="no tables there; build them with `ofa data build`"):
        stats(str(tmp_path), str(tmp_path / "page.html"))
