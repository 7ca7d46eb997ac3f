"""`ofa --help` is the map, every command says what it does with an example, and every example is one that it takes."""

import re
import shlex
import subprocess
import sys

import pytest
import typer
import yaml

from pipelines.cli import MAP, app

PROGRAM = typer.main.get_command(app)
FENCE = re.compile(r"^```[a-z]*\n(.*?)^```", re.MULTILINE | re.DOTALL)

COMMAND = re.compile(r"(?:\$ )?(?:ofa|torchrun .*-m pipelines\.cli) (.*)")


def commands(command=PROGRAM, path=("ofa",)):
    yield path, command
    for name, part in getattr(command, "commands", {}).items():
        yield from commands(part, (*path, name))


EVERY = [pytest.param(path, command, id=" ".join(path)) for path, command in commands()]


def check(line):
    """Let the program read a command line, without running it."""
    words = shlex.split(line, comments=True)
    assert words.pop(0) == "ofa"
    command = PROGRAM
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    if words or not hasattr(command, "commands"):
        command.make_context("ofa", words).close()


def test_the_map_shows_all_there_is_and_in_its_order():
    assert set(MAP) == set(PROGRAM.commands) and len(MAP) == len(set(MAP))
    wanted = ["data", "train", "evaluate", "generate", "gate", "promote", "serve", "pipeline", "checkpoint"]
    assert [name for name in MAP if name in wanted] == wanted
    shown = subprocess.run(
        [sys.executable, "-m", "pipelines.cli", "--help"], capture_output=True, text=True, check=True
    )
    assert re.findall(r"^│ ([a-z]+) ", shown.stdout, re.MULTILINE)[-len(MAP) :] == list(MAP)


@pytest.mark.parametrize("path, command", EVERY)
def test_every_command_says_what_it_does_with_an_example_that_works(path, command):
    assert len(command.help.split("\n\n")[0]) > 20
    examples = re.findall(r"`(ofa [^`]+)`", command.help.partition("Example")[2])
    assert examples, f"{' '.join(path)} has no example"
    if len(path) > 1:
        assert any(example.startswith(" ".join(path)) for example in examples)
    for line in (line for example in examples for line in example.split(" && ") if line.startswith("ofa ")):
        check(line)


@pytest.mark.parametrize("path, command", EVERY)
def test_every_option_is_explained(path, command):
    for parameter in command.params:
        assert parameter.name == "help" or getattr(parameter, "help", None), f"{' '.join(path)}: {parameter.name}"


def test_commands_in_the_documentation_are_ones_that_it_takes(root):
    lines = []
    for page in (root / "README.md", *sorted((root / "docs").glob("*.md"))):
        for block in FENCE.findall(page.read_text(encoding="utf-8")):
            joined = block.replace("\\\n>", "").splitlines()
            lines += [part.strip() for line in joined for part in line.split("&&")]
    wanted = [f"ofa {match[1]}" for line in lines if (match := re.match(COMMAND, line))]
    assert len(wanted) > 10
    for line in wanted:
        check(line)


def test_commands_of_the_pipeline_are_ones_that_it_takes(root):
    stages = yaml.safe_load((root / "dvc.yaml").read_text())["stages"]
    for stage in stages.values():
        for line in stage.get("do", stage)["cmd"].split(" && "):
            check(line)


def test_help_starts_without_what_computes():
    """torch alone takes longer than the whole rest."""
    code = "import sys, pipelines.cli; print(*{'torch', 'numpy', 'mlflow', 'kfp'}.intersection(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code]) == b"\n"
