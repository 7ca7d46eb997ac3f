"""`ofa generate` on the command line."""

import json
import shutil

import pytest
from typer.testing import CliRunner

from pipelines.cli import app


def test_it_asks_a_question_about_the_pictures_of_a_folder(tmp_path, network, picture):
    folder, out = tmp_path / "pictures", tmp_path / "answers.jsonl"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.png").write_bytes(picture(number))
    (folder / "broken.jpg").write_bytes(b"no picture")
    arguments = ["generate", str(folder), "--task", "vqa", "--checkpoint", network(), "--out", str(out)]
    arguments += ["--search", "beam=1", "--search", "max_len_b=4", "--processes", "1"]

    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1 and "needs a question" in result.stderr and not out.exists()

    result = CliRunner().invoke(app, [*arguments, "--text", "Is it red?"])
    assert result.exit_code == 0, result.output
    assert f"{out}: 3 predictions, 1 rows could not be read" in result.stdout and "broken.jpg" in result.stdout
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["uniq_id"] for row in rows] == ["0.png", "1.png", "2.png", "broken.jpg"]
    assert all("is it red" in row["prompt"] for row in rows[:3]) and "error" in rows[3]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="compiling for a CPU takes a C++ compiler")
def test_compiled_steps_write_the_same(tmp_path, network, picture):
    (tmp_path / "pictures").mkdir()
    for number in range(5):
        (tmp_path / "pictures" / f"{number}.png").write_bytes(picture(number))
    written = []
    for words in ([], ["--compile"]):
        out = tmp_path / f"{len(words)}.jsonl"
        arguments = ["generate", str(tmp_path / "pictures"), "--task", "caption", "--checkpoint", network()]
        arguments += ["--out", str(out), "--batch-size", "3", "--processes", "1", "--device", "cpu", *words]
        assert CliRunner().invoke(app, arguments).exit_code == 0
        written.append([json.loads(line)["prediction"] for line in out.read_text().splitlines()])
    assert written[0] == written[1] and len(written[0]) == 5


def test_an_option_of_another_form_is_one_line(tmp_path, network):
    arguments = ["generate", str(tmp_path), "--task", "caption", "--checkpoint", network(), "--search", "beam"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1
    assert result.stderr == "error: 'beam' must have the form KEY=VALUE, the value written as in YAML\n"
