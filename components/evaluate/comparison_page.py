"""A comparison as a page: the difference, and pictures of what was won and lost."""

from pathlib import Path
from typing import Any

from components.evaluate.compare import Comparison
from components.evaluate.gallery import Album, asked, drawn, is_box, reference_texts
from components.evaluate.record import load
from components.evaluate.report import render
from ofa.files import atomic_write


def write_comparison(comparison: Comparison, folder: str, out: str | Path) -> None:
    """Write a page about a comparison.

    Args:
        comparison: of two evaluations.
        folder: one of their folders, which names the table with the pictures.
        out: the page.
    """
    album = Album(load(folder))
    verdict, shown = comparison.verdict, comparison.best + comparison.worst
    prompts = asked(shown)
    page = render(
        "comparison.html.j2",
        title=f"{comparison.task}: two models on the same rows",
        verdict=verdict[0].upper() + verdict[1:],
        comparison=comparison,
        has_boxes=any(is_box(row["b"]["prediction"]) for row in shown),
        galleries={
            "The second gains most": [_card(row, album, prompts) for row in comparison.best],
            "The second loses most": [_card(row, album, prompts) for row in comparison.worst],
        },
    )
    with atomic_write(out) as file:
        file.write(page)


def _card(row: dict[str, Any], album: Album, prompt: bool) -> dict[str, Any]:
    shown = album.picture(row["row"])
    boxed = is_box(row["b"]["prediction"])
    boxes = drawn("other", row["a"]["prediction"]) + drawn("predicted", row["b"]["prediction"])
    boxes += drawn("reference", *row["references"]) if boxed else []
    boxes += drawn("region", row["region"]) if "region" in row else []
    return shown | {
        "prompt": (row.get("text") or row["prompt"]) if prompt and "region" not in row else "",
        "boxes": boxes,
        "sides": [
            (name, "" if boxed else row[side]["prediction"], row[side]["value"])
            for name, side in (("first", "a"), ("second", "b"))
        ],
        "references": [] if boxed else reference_texts(row["references"])[:3],
    }
