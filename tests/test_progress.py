"""Long steps show rate and time left: redrawn in a terminal, as lines in a log."""

import re
import sys

import pytest

from ofa import progress


@pytest.fixture
def eager(monkeypatch):
    """A log that is written as often as possible."""
    monkeypatch.setattr(progress, "LOG_SECONDS", 0.0)


def test_a_log_gets_plain_lines_with_rate_and_time_left(eager, capsys):
    assert list(progress.track(range(4), label="Counting", unit="row")) == [0, 1, 2, 3]
    written = capsys.readouterr().err
    assert "\r" not in written and written.endswith("\n")
    lines = [line for line in written.splitlines() if line]
    assert len(lines) == len(written.splitlines()), "no empty lines"
    whole = r"Counting: 75% 3/4 row \[\d\d:\d\d<\d\d:\d\d, +[\d.]+ row/s\]"
    assert any(re.fullmatch(whole, line) for line in lines), lines
    assert lines[-1].startswith("Counting: 100% 4/4 row")


def test_an_unknown_total_shows_the_count(eager, capsys):
    with progress.bar(None, "Reading", "row") as shown:
        shown.update(7)
    assert "Reading: 7/? row" in capsys.readouterr().err


def test_what_is_done_soon_writes_nothing_into_a_log(capsys):
    list(progress.track(range(1000), label="Counting"))
    assert capsys.readouterr().err == ""


def test_a_terminal_is_redrawn_in_place(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    list(progress.track(range(4), label="Counting", unit="row", initial=1))
    written = capsys.readouterr().err
    assert written.count("\n") == 1 and written.endswith("\n")
    assert "\rCounting" in written and "|" in written
