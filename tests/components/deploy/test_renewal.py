"""Data are new until a champion, or what was tried in its place, has seen them."""

import pytest

from components.deploy.closing import close
from components.deploy.registry import Registry
from components.deploy.renewal import is_new
from ofa.errors import OFAError


def test_data_are_known_once_champion_or_challenger_saw_them(uri):
    store = Registry(uri)
    store.set_alias("champion", "1")
    store.tag("1", {"caption.data_version": "a", "refcoco.data_version": "a"})
    assert not is_new("a", uri)
    assert is_new("b", uri)
    store.tag("2", {"caption.data_version": "b"})
    assert is_new("b", uri), "a version without an alias is none that was tried last"
    store.set_alias("challenger", "2")
    assert not is_new("b", uri)


def test_without_a_champion_there_is_nothing_to_go_on_from(uri):
    with pytest.raises(OFAError, match="no champion to go on from"):
        is_new("a", uri)


def test_the_last_page_tells_of_the_version_and_of_the_failure(uri, tmp_path):
    page = tmp_path / "page.html"
    close(str(page), "ofa-finetune", "run-7", "FAILED", "no <memory>", uri)
    text = page.read_text()
    assert "FAILED" in text and "no &lt;memory&gt;" in text and "Version 3 of ofa" in text
    close(str(page), "ofa-finetune", "run-8", "SUCCEEDED", "", uri)
    assert "registered no version" in page.read_text()


def test_the_last_page_is_written_without_a_registry(tmp_path, monkeypatch):
    monkeypatch.setattr("components.deploy.registry.RETRIES", ())
    close(str(tmp_path / "page.html"), "ofa-retrain", "run-7", "FAILED", "", "http://127.0.0.1:9")
    assert "could not be asked" in (tmp_path / "page.html").read_text()
