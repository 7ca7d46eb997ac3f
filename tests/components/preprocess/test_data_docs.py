"""The Data Docs are a site that works from files: no address on the network, no dead link, an index of all runs."""

import re
from urllib.parse import unquote

import pytest

from components.preprocess.validate import DOCS, validate


@pytest.fixture(scope="module")
def docs(raw, tmp_path_factory):
    folder = tmp_path_factory.mktemp("validated") / "out"
    validate(str(folder), raw=str(raw), kinds=["caption", "text"])
    return folder / DOCS


def test_nothing_is_taken_from_the_network(docs):
    for page in docs.rglob("*"):
        if page.is_file():
            text = page.read_text()
            assert "://" not in re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL), page


def test_every_link_leads_to_a_page(docs):
    pages = list(docs.rglob("*.html"))
    assert len(pages) == 1 + 3 + 3
    for page in pages:
        targets = re.findall(r'href="([^"#]+)"', page.read_text())
        assert targets, page
        for target in targets:
            assert (page.parent / unquote(target)).exists(), (page, target)


def test_the_index_tells_which_suites_passed(docs):
    text = (docs / "index.html").read_text()
    for table in ("picture", "caption", "text"):
        assert re.search(rf">{table}</a></td>\s*<td class=\"good\">✓ passed", text)


def test_a_suites_page_says_why_each_expectation_must_hold(docs):
    text = (docs / "expectations" / "caption.html").read_text()
    assert "an empty caption says nothing" in text
