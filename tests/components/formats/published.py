"""Small data sets in the formats in which they are published."""

import io
import json
import random
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

COLORS = ("red", "green", "blue")
WORDS = ("exit", "open", "cafe", "bank")
CHINESE = ("出口", "银行", "茶馆", "书店")


def picture(color: str, number: int, text: str = "", form: str = "JPEG") -> bytes:
    """A picture file that shows a square, or a text."""
    rng = random.Random(f"{color}/{number}/{text}")
    image = Image.new("RGB", (72, 64), color)
    draw = ImageDraw.Draw(image)
    if text:
        draw.text((5, 20), text, "white", ImageFont.load_default(16))
    x, y = rng.randrange(50), rng.randrange(40)
    draw.rectangle((x, y, x + 9, y + 9), "black")
    content = io.BytesIO()
    image.save(content, form)
    return content.getvalue()


def write(path: Path, content: bytes | str | list) -> None:
    """Bytes, a text, or lines whose fields are joined by tabs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, list):
        content = "".join("\t".join(map(str, line)) + "\n" for line in content)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def write_snli_ve(folder: Path) -> None:
    """As its authors give it, with pictures of Flickr30k beside."""
    labels, number = ("entailment", "neutral", "contradiction"), 0
    for split, count in (("train", 9), ("dev", 6), ("test", 3)):
        lines = []
        for _ in range(count):
            number += 1
            color, label = COLORS[number % 3], labels[number % 3]
            write(folder / "flickr30k_images" / f"{1000 + number}.jpg", picture(color, number))
            record = {
                "annotator_labels": [label],
                "captionID": f"{1000 + number}.jpg#0",
                "gold_label": label,
                "pairID": f"{1000 + number}.jpg#0r1{label[0]}",
                "sentence1": f"A square on {color} ground.",
                "sentence2": f"The ground is\t{COLORS[(number + 1) % 3]}.",
                "Flickr30K_ID": str(1000 + number),
            }
            lines.append(json.dumps(record) + "\n")
        write(folder / f"snli_ve_{split}.jsonl", "".join(lines))


def write_imagenet(folder: Path) -> None:
    """As Kaggle gives it: training pictures by class, those of validation in one folder with a list."""
    classes = {"n01440764": "tench, Tinca tinca", "n02012849": "crane", "n03126707": "crane"}
    write(folder / "LOC_synset_mapping.txt", "".join(f"{name} {names}\n" for name, names in classes.items()))
    place, lines = folder / "ILSVRC" / "Data" / "CLS-LOC", ["ImageId,PredictionString\n"]
    for color, name in zip(COLORS, classes, strict=True):
        for number in range(4):
            write(place / "train" / name / f"{name}_{number}.JPEG", picture(color, number))
        write(place / "val" / f"ILSVRC2012_val_0000000{len(lines)}.JPEG", picture(color, 9))
        lines.append(f"ILSVRC2012_val_0000000{len(lines)},{name} 1 2 30 40 {name} 5 6 7 8 \n")
    write(place / "test" / "ILSVRC2012_test_00000001.JPEG", picture("red", 10))
    write(folder / "LOC_val_solution.csv", "".join(lines))


def write_ocr(folder: Path) -> None:
    """Lists of pictures and texts: with tabs in English and Chinese, and as the ICDAR challenges give them."""
    for split, first in (("train", 0), ("val", 4)):
        for suffix, words in (("", WORDS), ("_zh", CHINESE)):
            lines = [(f"images/{split}{suffix}_{number}.png", word) for number, word in enumerate(words, first)]
            write(folder / f"{split}{suffix}.txt", lines)
            for number, (name, word) in enumerate(lines, first):
                write(folder / name, picture("navy", number, word if not suffix else "", "PNG"))
    for number, word in enumerate(WORDS, 8):
        write(folder / "test" / f"word_{number}.png", picture("navy", number, word, "PNG"))
    lines = "".join(f'word_{number}.png, "{word}"\r\n' for number, word in enumerate(WORDS, 8))
    write(folder / "test" / "gt.txt", "\ufeff" + lines)


def write_glue(folder: Path) -> None:
    """The seven tasks as GLUE's download gives them, headers and spare columns included."""

    def pairs(n: int, *labels: str) -> list[tuple[int, str, str, str]]:
        return [(i, f'The first "Text {i}', f"the other text {i}", labels[i % len(labels)]) for i in range(n)]

    for split, count in (("train", 8), ("dev", 6)):
        write(folder / "CoLA" / f"{split}.tsv", [("gj04", i % 2, "", f"They drank {i} pubs.") for i in range(count)])
        head = ["index", "promptID", "pairID", "genre", "sentence1_parse", "sentence1", "sentence2"]
        head += ["label1", "gold_label"]
        rows = pairs(count, "neutral", "entailment", "contradiction")
        body = [(i, 1, f"{i}e", "fiction", "( x )", a, b, label, label) for i, a, b, label in rows]
        for name in ("train",) if split == "train" else ("dev_matched", "dev_mismatched"):
            write(folder / "MNLI" / f"{name}.tsv", [head, *body])
        head = ["\ufeffQuality", "#1 ID", "#2 ID", "#1 String", "#2 String"]
        write(folder / "MRPC" / f"{split}.tsv", [head, *((y, 7, 8, a, b) for _, a, b, y in pairs(count, "0", "1"))])
        rows = pairs(count, "entailment", "not_entailment")
        write(folder / "QNLI" / f"{split}.tsv", [("index", "question", "sentence", "label"), *rows])
        write(folder / "RTE" / f"{split}.tsv", [("index", "sentence1", "sentence2", "label"), *rows])
        head = ["id", "qid1", "qid2", "question1", "question2", "is_duplicate"]
        body = [(100 + i, 2 * i, 2 * i + 1, a, b, y) for i, a, b, y in pairs(count, "0", "1")]
        write(folder / "QQP" / f"{split}.tsv", [head, *body])
        body = [(f"great fun {i} ", i % 2) for i in range(count)]
        write(folder / "SST-2" / f"{split}.tsv", [("sentence", "label"), *body])
    write(folder / "RTE" / "test.tsv", [("index", "sentence1", "sentence2"), (0, "a b", "c d"), (1, "e", "f")])
    write(folder / "CoLA" / "test.tsv", [("index", "sentence"), (0, "Bill whistled past the house.")])


def write_gigaword(folder: Path) -> None:
    """Under the names of the corpus and of its test set."""
    for split, place, count in (("train", "train/train.{}.txt", 8), ("valid", "train/valid.{}.filter.txt", 6)):
        sources = "".join(f"{split} orders of goods rose #.# percent in month {i} .\n" for i in range(count))
        write(folder / place.format("article"), sources)
        write(folder / place.format("title"), "".join(f"orders up in {i}\n" for i in range(count)))
    write(folder / "Giga" / "input.txt", "shares fell by # .\nshares rose by # .\n")
    write(folder / "Giga" / "task1_ref0.txt", "shares fall\nshares rise\n")


WRITERS = {
    "snli_ve": write_snli_ve,
    "image_classify": write_imagenet,
    "ocr": write_ocr,
    "glue": write_glue,
    "gigaword": write_gigaword,
}
