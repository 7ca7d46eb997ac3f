"""The tables of image codes, made of tables with pictures by a VQ-GAN."""

import io
import json
import random
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import FloatTensor

from components.code import STEPS
from components.lineage import table_hash
from components.tables import table_files
from ofa.checkpoint.folder import WEIGHTS
from ofa.checkpoint.vqgan import FOLDER, load_vqgan, save_vqgan
from ofa.data import TABLES, Table, TableWriter
from ofa.data.batch import NO_TOKENS, Sample
from ofa.data.images import decode, encode_base64, measure, open_image
from ofa.data.mixing import Source
from ofa.data.ordered import Ordered
from ofa.data.transforms import central_square, to_tensor
from ofa.device import choose_device
from ofa.errors import OFAError, nearest
from ofa.files import atomic_write, sha256_file
from ofa.metrics.pictures import perplexity
from ofa.model.vqgan import VQGAN
from ofa.progress import bar
from ofa.tasks.infilling import CODE_PIXELS

SOURCES = {"image_gen": "caption", "image": "detection"}
"""The kind of table whose pictures each kind of table with codes is made of."""
SPLITS = ("train", "val", "test", "test_pairs")
JPEG_QUALITY = 95


def codes(
    out: str = "data/codes",
    tables: str = "data/tables",
    vqgan: str = "models/vqgan",
    image_size: int = 256,
    kinds: Sequence[str] = (),
    splits: Sequence[str] = (),
    shard: int = 0,
    shards: int = 1,
    batch_size: int = 32,
    workers: int = 0,
    device: str = "auto",
    max_bad_rows: int = 0,
) -> dict[str, Any]:
    """Write the tables `out/image_gen_SPLIT.tsv` and `out/image_SPLIT.tsv`, and the VQ-GAN that made them.

    image_gen: the codes of the central square of each picture of the caption table, with the lower-cased caption. The
    training table has a row a caption, the others a row a picture, with its first caption.

    image: the central square of each picture of the detection table, `image_size` pixels wide, and the codes of its own
    central square of half that width, cut out before it is coded. A picture that has this size is stored as it is, any
    other as JPEG.

    A file that was made from the same input before is kept, so that an interrupted run goes on.

    Args:
        out: folder for the tables; may be the one of the other tables.
        tables: folder of tables, as `ofa data build` makes it.
        vqgan: folder of ours, or a published checkpoint with its YAML file beside it.
        image_size: side of the squares in pixels; the original's is 256.
        kinds: image_gen, image; by default those whose source is there.
        splits: which splits; by default those that are there.
        shard, shards: make part `shard` (from 0) of `shards` of each table, as a file of its own.
        batch_size: pictures coded together.
        workers: processes that read pictures.
        device: auto, cpu, cuda:0 ...
        max_bad_rows: rows that may be left out because their picture cannot be read.

    Returns:
        By file: rows, rejected rows with their reasons, pictures, how many codes occur.

    Raises:
        OFAError: an argument is wrong, or too many pictures cannot be read.
    """
    if image_size % (2 * CODE_PIXELS):
        raise OFAError(f"image_size must be a multiple of {2 * CODE_PIXELS}, got {image_size}")
    if not 0 <= shard < shards:
        raise OFAError(f"shard must be 0 to {shards - 1} of {shards} shards, got {shard}")
    chosen = _choose(Path(tables), kinds, splits)
    net = load_vqgan(vqgan).to(choose_device(device))
    if net.config.stride != CODE_PIXELS:
        raise OFAError(f"{vqgan}: a code is {net.config.stride} pixels wide, OFA's are {CODE_PIXELS}")
    folder = Path(out)
    save_vqgan(folder / FOLDER, net)
    version = [sha256_file(folder / FOLDER / WEIGHTS), STEPS["codes"].hash(), image_size, shard, shards]
    suffix = f"-{shard:05d}-of-{shards:05d}" if shards > 1 else ""
    described = {}
    for kind, split in chosen:
        files = table_files(tables, [SOURCES[kind]], split)
        path = folder / f"{kind}_{split}{suffix}.tsv"
        fingerprint = [*version, table_hash(files)]
        description = _description(path, fingerprint)
        if description is None:
            rows = _Rows(Table(files, TABLES[SOURCES[kind]]), kind, split).part(shard, shards)
            coder = _CODERS[kind](image_size)
            source = Source(table=rows, task=coder, train=False)
            batches = Ordered(source, batch_size, workers=workers, max_bad_rows=max_bad_rows)
            description = _write(path, kind, net, coder, batches) | {"fingerprint": fingerprint}
            with atomic_write(_beside(path)) as file:
                json.dump(description, file, indent=1, ensure_ascii=False)
        described[path.name] = description
    return described


def _description(path: Path, fingerprint: list) -> dict[str, Any] | None:
    """What is known of a file that is there already and was made from the same input."""
    try:
        description = json.loads(_beside(path).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return description if path.is_file() and description["fingerprint"] == fingerprint else None


def _beside(path: Path) -> Path:
    return path.with_suffix(".json")


def _write(path: Path, kind: str, net: VQGAN, coder: "Coder", batches: Ordered) -> dict[str, Any]:
    """Write a table, and say what is in it."""
    device = next(net.parameters()).device
    counts = np.zeros(net.config.codes, dtype=np.int64)
    rows = pictures = 0
    with bar(batches.n_rows, f"Coding {path.stem}", "row") as progress, TableWriter(path, TABLES[kind]) as writer:
        for batch in batches:
            with torch.inference_mode():
                found = net.encode(coder.coded(batch.to(device).images_normalized)).cpu()
            counts += np.bincount(found.flatten(), minlength=len(counts))
            index = range(len(batch)) if batch.image_index is None else batch.image_index.tolist()
            for row, number in zip(batch.references, index, strict=True):
                writer.write(row | {"codes": " ".join(map(str, found[number].flatten().tolist()))})
            rows += len(batch)
            pictures += len(found)
            progress.update(len(batch) + len(batch.rejected))
    return {
        "rows": rows,
        "pictures": pictures,
        "codes_used": int((counts > 0).sum()),
        "perplexity": round(perplexity(counts), 1),
        "rejected": [[error.row, error.uniq_id, error.reason] for error in batches.bad_rows.seen.values()],
    }


class _Rows(Sequence):
    """The rows of a table that are coded: of an evaluation's captions the first of each picture, otherwise all."""

    def __init__(self, table: Table, kind: str, split: str, numbers: Sequence[int] | None = None):
        self.table, self.kind, self.split = table, kind, split
        if numbers is None:
            numbers = range(len(table))
            if kind == "image_gen" and split != "train":
                numbers = list({row["image_id"]: number for number, row in reversed(list(enumerate(table)))}.values())
                numbers.sort()
        self.numbers = numbers

    def part(self, shard: int, shards: int) -> "_Rows":
        """One of `shards` parts that follow each other."""
        start, end = (len(self) * number // shards for number in (shard, shard + 1))
        return _Rows(self.table, self.kind, self.split, self.numbers[start:end])

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.table[self.numbers[index]]

    def locate(self, index: int) -> tuple[Path, int]:
        return self.table.locate(self.numbers[index])


class Coder(ABC):
    """Makes samples whose picture is coded, and whose reference is the new row without its codes."""

    name = "codes"

    def __init__(self, size: int):
        self.size = size

    def sample(self, row: Mapping[str, Any], train: bool, rng: random.Random) -> Sample:
        stored = bytes(row["image"])
        picture = central_square(open_image(stored), self.size)
        picture, new = self.new_row(row, picture)
        return Sample(
            id=row["uniq_id"],
            source=NO_TOKENS,
            previous=NO_TOKENS,
            target=NO_TOKENS,
            image=to_tensor(picture),
            image_key=hash(stored),
            reference={"uniq_id": row["uniq_id"]} | new,
        )

    @abstractmethod
    def new_row(self, row: Mapping[str, Any], picture: Image.Image) -> tuple[Image.Image, dict[str, Any]]:
        """The picture as it is coded, and the columns of the new row but id and codes."""

    def coded(self, pixels: FloatTensor) -> FloatTensor:
        """The part of the pixels (B, 3, S, S) that is coded."""
        return pixels


class ImageGenCoder(Coder):
    """Rows of text to image: the whole square."""

    def new_row(self, row: Mapping[str, Any], picture: Image.Image) -> tuple[Image.Image, dict[str, Any]]:
        return picture, {"caption": row["caption"].split("&&")[0].strip().lower()}


class ImageCoder(Coder):
    """Rows of image infilling: the square's own central square, which the task hides."""

    def new_row(self, row: Mapping[str, Any], picture: Image.Image) -> tuple[Image.Image, dict[str, Any]]:
        if measure(row["image"]) == (self.size, self.size):
            return picture, {"image": bytes(row["image"])}
        content = io.BytesIO()
        picture.save(content, "JPEG", quality=JPEG_QUALITY)
        return decode(content.getvalue()), {"image": encode_base64(content.getvalue())}

    def coded(self, pixels: FloatTensor) -> FloatTensor:
        quarter = self.size // 4
        return pixels[:, :, quarter : 3 * quarter, quarter : 3 * quarter]


_CODERS: dict[str, type[Coder]] = {"image_gen": ImageGenCoder, "image": ImageCoder}


def _choose(tables: Path, kinds: Sequence[str], splits: Sequence[str]) -> list[tuple[str, str]]:
    for kind in kinds:
        if kind not in SOURCES:
            raise OFAError(f"no table of codes '{kind}'{nearest(kind, list(SOURCES))} (known: {', '.join(SOURCES)})")
    if kinds and splits:
        return [(kind, split) for kind in kinds for split in splits]
    chosen = []
    for kind in kinds or SOURCES:
        for split in splits or SPLITS:
            try:
                table_files(tables, [SOURCES[kind]], split)
            except OFAError:
                continue
            chosen.append((kind, split))
    if not chosen:
        wanted = " or ".join(f"{SOURCES[kind]}_{split}.tsv" for kind in kinds or SOURCES for split in splits or SPLITS)
        raise OFAError(f"{tables}: no table to make codes of ({wanted}); make it with `ofa data build`")
    return chosen
