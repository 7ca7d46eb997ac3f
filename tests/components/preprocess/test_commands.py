"""`ofa data`: each command explains itself with an example, reads its section of the settings and names mistakes."""

import json
import re
import shutil

import pytest
import yaml
from typer.testing import CliRunner

from components.preprocess.cli import app
from components.preprocess.layout import RawData

COMMANDS = ("fetch", "validate", "build", "stats", "show", "unpack")


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize("command", COMMANDS)
def test_help_gives_an_example(command):
    text = re.sub(r"\s+", " ", run(command, "--help").output)
    assert f"Example: ofa data {command}" in text


def test_help_is_shown_without_loading_what_the_commands_need(root):
    import subprocess
    import sys

    code = (
        "import sys; from typer.testing import CliRunner; from components.preprocess.cli import app\n"
        "assert 'unpack' in CliRunner().invoke(app, ['--help']).output\n"
        "heavy = {'torch', 'great_expectations', 'pandas', 'PIL', 'kfp', 'fsspec'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True)


def test_the_commands_lead_from_settings_to_pictures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(
        "fetch: {source: scenes, scenes: {train: 6, val: 2, test: 0, test_pairs: 0}}\n"
        "validate: {image_rate: 1.0, max_bad_rows: 0}\n"
        "tables: {captions_per_image: 1, processes: 1}\n"
    )
    fetched = run("fetch")
    assert fetched.exit_code == 0, fetched.output
    assert "train: 6 pictures, 30 caption" in fetched.output
    validated = run("validate", "--kind", "caption", "--kind", "vqa")
    assert validated.exit_code == 0, validated.output
    assert "on 38 rows" not in validated.output
    assert "8 pictures (8 decoded), 0 rows rejected" in validated.output
    built = run("build", "--kind", "caption", "--kind", "detection")
    assert built.exit_code == 0, built.output
    assert re.search(r"caption_train +6 rows +6 pictures .* 24 left out", built.output)
    shown = run("show", "data/tables/caption_train.tsv", 0)
    assert shown.exit_code == 0
    assert "128 pixels" in shown.output or "160 x" in shown.output
    assert (tmp_path / "row.png").is_file()
    assert "6 rows" in run("unpack", "data/tables/caption_train.tsv", "--out", "unpacked").output
    assert "4 tables" in run("stats", "data/tables").output
    assert (tmp_path / "reports" / "tables.html").is_file()


def test_an_option_goes_before_the_settings(tmp_path, monkeypatch, raw):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text("tables: {captions_per_image: 1, max_bad_rows: 3, processes: 1}\n")
    arguments = ("--raw", raw, "--validated", "", "--kind", "caption", "--split", "val")
    assert run("build", *arguments).exit_code == 0
    assert [path.name for path in (tmp_path / "data/tables").glob("*_*.tsv")] == ["caption_val.tsv"]


def test_data_of_ones_own_need_no_other_settings_than_their_source(tmp_path, monkeypatch, raw, root):
    monkeypatch.chdir(tmp_path)
    shutil.copy(root / "params.yaml", tmp_path)
    done = run("fetch", "--source", raw, "--out", "raw")
    assert done.exit_code == 0, done.output
    assert RawData(tmp_path / "raw").count() == RawData(raw).count()


@pytest.mark.parametrize(
    "content, arguments, message",
    [
        ("tables: {captions_per_imag: 1}", ["build"], "tables: unknown key 'captions_per_imag', did you mean"),
        ("tables: {captions_per_image: many}", ["build"], "tables.captions_per_image: Input should be a valid integer"),
        ("fetch: {scenes: {trian: 1}}", ["fetch"], "fetch.scenes: unknown key 'trian', did you mean 'train'"),
        ("fetch: {source: /nowhere}", ["fetch"], "/nowhere: no such folder"),
        ("", ["build", "--params", "other.yaml"], "other.yaml: no such file"),
        ("tables: {}", ["build"], "data/raw: no such folder; make the raw data with `ofa data fetch"),
        ("tables: {}", ["show", "data/tables/vqa_val.tsv", "0"], "cannot read the table data/tables/vqa_val.tsv"),
    ],
)
def test_a_mistake_is_one_line_that_names_it(tmp_path, monkeypatch, content, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(content or "{}")
    result = run(*arguments)
    assert result.exit_code == 1
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


def test_the_version_changes_with_a_picture_of_the_source(raw, tmp_path):
    source = tmp_path / "source"
    shutil.copytree(raw, source)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"fetch": {"source": str(source)}}))

    def version() -> str:
        command = ["version", "--out", str(tmp_path / "version.json"), "--params", str(tmp_path / "params.yaml")]
        assert CliRunner().invoke(app, command).exit_code == 0
        return json.loads((tmp_path / "version.json").read_text())["version"]

    before = version()
    assert version() == before
    picture = next((source / "images/train").glob("*.jpg"))
    picture.write_bytes(picture.read_bytes() + b"\0")
    assert version() != before
