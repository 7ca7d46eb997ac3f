"""Pictures for people: which rows to show, and how a picture gets into a page that needs no other file."""

import base64
import io
import random
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from components.evaluate.measure import Row
from components.evaluate.record import Evaluation
from ofa import tasks
from ofa.data import RowError, Table
from ofa.data.images import ImageError, decode
from ofa.data.schema import TABLES
from ofa.errors import OFAError

SIDE = 320
"""Longest side of an embedded picture, in pixels."""


class Album:
    """The pictures of an evaluation's table, where it is still there."""

    def __init__(self, evaluation: Evaluation):
        task = tasks.get(evaluation.task)
        try:
            self.table = Table(evaluation.lineage.table, task.columns or TABLES[task.table])
        except OFAError:
            self.table = None  # a report about an evaluation from elsewhere: numbers and texts without pictures

    def image(self, number: int) -> Image.Image | None:
        """The picture of a row; None where it has none."""
        if self.table is None or "image" not in self.table.columns or number >= len(self.table):
            return None
        try:
            return decode(self.table[number]["image"])
        except (RowError, ImageError):
            return None

    def picture(self, number: int) -> dict[str, Any]:
        """`image` (data URL, None without a picture), its `width` and `height`, and the `size` of the original."""
        image = self.image(number)
        if image is None:
            return {"image": None}
        size = image.size
        image.thumbnail((SIDE, SIDE))
        content = io.BytesIO()
        image.save(content, "JPEG", quality=85)
        data = base64.b64encode(content.getvalue()).decode("ascii")
        return {"image": f"data:image/jpeg;base64,{data}", "width": image.width, "height": image.height, "size": size}


def choose(rows: Sequence[Row], metric: str, count: int, seed: int = 0) -> dict[str, list[Row]]:
    """Rows to show: the best, the worst (of equally bad ones those that the model was surest of) and random ones."""
    by_value = sorted(rows, key=lambda row: (-row["measures"][metric], -row["score"]))
    worst = sorted(rows, key=lambda row: (row["measures"][metric], -row["score"]))
    drawn = random.Random(seed).sample(list(rows), min(count, len(rows)))
    return {
        "Best": by_value[:count],
        "Worst, the surest first": worst[:count],
        "Random": drawn,
    }


def finest(rows: Sequence[Row], evaluation: Evaluation) -> str:
    """The metric that orders rows best: hits and misses alone have no best and worst."""
    return "IoU" if "IoU" in rows[0]["measures"] else evaluation.metric


def asked(rows: Sequence[Row]) -> bool:
    """Whether rows have prompts of their own, that are worth showing."""
    return len({row["prompt"] for row in rows}) > 1


def card(row: Row, album: Album, metric: str, prompt: bool) -> dict[str, Any]:
    """What a page shows of a prediction, with its prompt or without."""
    return album.picture(row["row"]) | told(row, metric, prompt)


def told(row: Row, metric: str, prompt: bool) -> dict[str, Any]:
    """What is shown of a prediction beside its picture."""
    boxes = drawn("reference", *row["references"]) if "size" in row else []
    region = drawn("region", row["region"]) if "region" in row else []
    predicted = drawn("predicted", row["prediction"]) if "size" in row else []
    return {
        "id": row["uniq_id"],
        "prompt": (row.get("text") or row["prompt"]) if prompt and not region else "",
        "metric": metric,
        "value": row["measures"][metric],
        "boxes": boxes + predicted + region,
        "prediction": "" if predicted else str(row["prediction"]),
        "references": [] if boxes else reference_texts(row["references"]),
    }


def reference_texts(references: Any) -> list[str]:
    """References as short texts; answers with their confidence."""
    if isinstance(references, Mapping):
        return [f"{answer} ({confidence:g})" for answer, confidence in references.items()]
    return [str(reference) for reference in references] if isinstance(references, list) else [str(references)]


def drawn(kind: str, *values: Any) -> list[tuple[str, list[float]]]:
    """The boxes among the values, as (kind, [left, top, right, bottom]); corners that a model swapped are put right."""
    return [(kind, [min(v[0], v[2]), min(v[1], v[3]), max(v[0], v[2]), max(v[1], v[3])]) for v in values if is_box(v)]


def is_box(value: Any) -> bool:
    """Whether a prediction or reference is a box: four numbers."""
    return isinstance(value, list) and len(value) == 4 and all(isinstance(part, int | float) for part in value)
