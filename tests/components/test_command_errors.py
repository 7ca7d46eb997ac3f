"""A problem that the user can solve ends a command with one line and exit code 1; a defect keeps its traceback."""

import errno

import pytest
from typer.testing import CliRunner

from components.cli import Commands
from ofa.errors import OFAError


def program(error: Exception) -> Commands:
    group = Commands("data", "Data.")

    @group.command()
    def fetch() -> None:
        raise error

    @group.command()
    def other() -> None:
        pass

    root = Commands("ofa", "All.")
    root.add_typer(group)

    @root.command()
    def version() -> None:
        pass

    return root


def test_a_user_error_is_one_line_on_standard_error():
    result = CliRunner().invoke(
        program(OFAError("table a.tsv, row 3:\n  no such image; fetch again")), ["data", "fetch"]
    )
    assert result.exit_code == 1
    assert result.stderr == "error: table a.tsv, row 3: no such image; fetch again\n"
    assert result.stdout == ""


def test_a_full_disk_is_explained_with_the_file_that_could_not_be_written():
    error = OSError(errno.ENOSPC, "No space left on device", "data/raw/a.jpg")
    result = CliRunner().invoke(program(error), ["data", "fetch"])
    assert result.exit_code == 1
    assert result.stderr == (
        "error: No space left on device: data/raw/a.jpg; free some space and run the same command again\n"
    )


@pytest.mark.parametrize("error", [ValueError("a defect"), OSError(errno.EBADF, "Bad file descriptor")])
def test_a_defect_is_not_hidden(error):
    result = CliRunner().invoke(program(error), ["data", "fetch"])
    assert result.exception is error


def test_a_group_without_a_command_shows_its_help():
    result = CliRunner().invoke(program(OFAError("")), ["data"])
    assert "fetch" in result.output and "Data." in result.output
