"""Memory does not grow with the number of rows: they are streamed when they are validated and when tables are built."""

import json
import subprocess
import sys

import pytest
from PIL import Image

from components.preprocess.manifest import NAME, describe
from ofa.data import TABLES, TableWriter
from ofa.data.images import encode_base64

MB = 1024
GROWTH = 32 * MB
"""kB that 78,000 rows more may take; as rows in Python they would take 70 MB."""

PEAKS = """
import sys
from components.preprocess.{module} import {step}


def peak():
    with open("/proc/self/status") as file:
        return int(next(line for line in file if line.startswith("VmHWM")).split()[1])


for number, data in enumerate(sys.argv[2:]):
    {step}(f"{{sys.argv[1]}}/{{number}}", {argument}, **{settings})
    print(peak())
"""


def peaks(root, out, step, data, argument, **settings):
    """The largest memory of a process in kB after each of several runs of a step."""
    module = {"validate": "validate", "tables": "tables"}[step]
    script = PEAKS.format(module=module, step=step, argument=argument, settings=settings)
    command = [sys.executable, "-c", script, str(out), *map(str, data)]
    found = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr[-2000:]
    return [int(line) for line in found.stdout.split()]


def headlines(folder, rows):
    """Raw data of Gigaword."""
    place = folder / "gigaword"
    place.mkdir(parents=True)
    with open(place / "train.src", "w") as sources, open(place / "train.tgt", "w") as targets:
        for number in range(rows):
            sources.write(f"the news of day {number} is that nothing happened {'again and ' * 10}again .\n")
            targets.write(f"nothing happened on day {number}\n")
    names = ["gigaword/train.src", "gigaword/train.tgt"]
    content = {"source": "here", "settings": {}, "license": "", "splits": {}, "files": describe(folder, names)}
    (folder / NAME).write_text(json.dumps(content))
    return folder


def sentences(folder, rows):
    folder.mkdir()
    path = folder / "cola_train.tsv"
    path.write_text(
        "".join(f"{number}\tthe sentence {'and so ' * 10}{number}\t{number % 2}\n" for number in range(rows))
    )
    return path


def test_building_more_rows_takes_no_more_memory(root, tmp_path):
    data = [headlines(tmp_path / f"raw{rows}", rows) for rows in (2_000, 80_000)]
    few, many = peaks(root, tmp_path, "tables", data, "data", processes=1)
    assert many - few < GROWTH


def test_validating_more_rows_takes_no_more_memory(root, tmp_path):
    data = [sentences(tmp_path / f"data{rows}", rows) for rows in (2_000, 80_000)]
    few, many = peaks(root, tmp_path, "validate", data, "tables=[data]")
    assert many - few < GROWTH


@pytest.mark.slow
def test_a_million_rows_are_validated_in_less_than_a_gigabyte(root, tmp_path):
    """Five captions each of 200,000 pictures, which take 1.6 GB on the disk."""
    path = tmp_path / "caption_train.tsv"
    file = tmp_path / "picture.jpg"
    with TableWriter(path, TABLES["caption"]) as writer:
        for number in range(1_000_000):
            if number % 5 == 0:
                picture = Image.effect_noise((64, 48), 20).convert("RGB")
                picture.save(file, "JPEG")
                content = {"image": encode_base64(file.read_bytes()), "image_id": str(number // 5), "objects": ""}
            caption = f"picture {number // 5} is gray, says person {number % 5}"
            writer.write({"uniq_id": str(number), "caption": caption} | content)
    (most,) = peaks(root, tmp_path, "validate", [path], "tables=[data]", image_rate=0.1)
    assert most < 1_000 * MB
