"""Every command in the README and in docs/ exists and has the options that it is shown with."""

import re
import shlex

import pytest
from typer.testing import CliRunner

from pipelines.cli import app


def commands(root) -> list[str]:
    """Lines of code blocks, and code in the text, that begin with `ofa`; a pipe or comment ends a command."""
    found = []
    for page in [root / "README.md", *sorted((root / "docs").glob("*.md"))]:
        text = page.read_text(encoding="utf-8")
        blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
        lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
        lines += re.findall(r"`(ofa [^`\n]+)`", text)
        for part in (part.strip() for line in lines for part in line.split("&&")):
            if match := re.match(r"(?:\$ )?(?:ofa|torchrun .*-m pipelines\.cli) (.*)", part):
                found.append(re.split(r"\s[#|]", match[1])[0].strip())
    return sorted(set(found))


def answer(line: str):
    """What the program says to a command and `--help`: it reads all options, then shows help instead of working."""
    return CliRunner().invoke(app, [*shlex.split(line), "--help"])


def test_the_documents_show_commands(root):
    assert len(commands(root)) > 10


def test_every_shown_command_can_be_given(root):
    wrong = [f"ofa {line}: {found.output}" for line in commands(root) if (found := answer(line)).exit_code]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("line", ["data fetchh", "data show x 1 --outt y", "evaluate runn vqa", "generate x --tasks y"])
def test_a_wrong_command_is_noticed(line):
    assert answer(line).exit_code == 2
