"""Suites are files that a data engineer can change; a mistake in one is named with its place."""

import pytest

from components.preprocess.records import COLUMNS
from components.preprocess.suites import Suite
from components.preprocess.validate import validate
from ofa.errors import OFAError


@pytest.mark.parametrize("kind", ["picture", *COLUMNS])
def test_every_kind_of_table_has_a_suite_that_great_expectations_understands(kind):
    suite = Suite(kind).make({})
    assert len(suite.expectations) >= 5
    assert all(expectation.notes for expectation in suite.expectations)


@pytest.mark.parametrize(
    "text, message",
    [
        ("- expect: expect_colum_values_to_be_null\n  because: x\n  column: a", "entry 1: .*did you mean"),
        ("- expect: expect_column_values_to_be_null\n  because: x\n  colunm: a", "entry 1: .*colunm"),
        ("- column: a", "entry 1: needs the keys 'expect' and 'because'"),
        ("expect: a", "must be a list"),
        ("- {", "not valid YAML"),
    ],
)
def test_a_mistake_in_a_suite_is_named(text, message, tmp_path):
    (tmp_path / "text.yaml").write_text(text)
    with pytest.raises(OFAError, match=rf"text\.yaml.*{message}"):
        Suite("text", tmp_path).make({})


def test_a_suite_of_ones_own_takes_the_place_of_the_projects(raw, tmp_path):
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "text.yaml").write_text(
        "- {expect: expect_column_values_to_be_between, column: words, max_value: 1, because: short, severity: warning}"
    )
    report = validate(str(tmp_path / "out"), raw=str(raw), kinds=["text"], suites=str(tmp_path / "suites"))
    (failure,) = report["failures"]
    assert (failure["because"], failure["severity"]) == ("short", "warning")
    assert failure["rows"] == sum(report["rows"].values())


def test_an_expectation_about_a_column_that_is_not_there_is_named(raw, tmp_path):
    (tmp_path / "text.yaml").write_text("- {expect: expect_column_values_to_be_null, column: nothing, because: x}")
    with pytest.raises(OFAError, match="text: expect_column_values_to_be_null.column=nothing. cannot be evaluated"):
        validate(str(tmp_path / "out"), raw=str(raw), kinds=["text"], suites=str(tmp_path))
