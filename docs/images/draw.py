"""Draw predictions.png: what the released model says about the first pictures of the test split.

After `make repro`: python docs/images/draw.py
"""

from pathlib import Path

from PIL import Image

from components.tables import open_table
from ofa import OFA
from ofa.data.draw import Mark, draw
from ofa.data.images import open_image
from ofa.tasks.caption import Caption
from ofa.tasks.refcoco import Refcoco
from ofa.tasks.vqa import Vqa

PICTURES, COLUMNS, SIDE, GAP = 6, 3, 260, 14


def main() -> None:
    pictures = [row["image"] for row in list(open_table("data/tables", Caption(), "test"))[:PICTURES]]
    captioner, pointer, answerer = (OFA.from_pretrained(f"models/{name}") for name in ("caption", "refcoco", "vqa"))
    tiles = []
    for stored in pictures:
        picture = open_image(stored)
        text, question = _first(Refcoco(), "text", stored), _first(Vqa(), "question", stored)
        box = pointer.ground(picture, text)[0]
        said = [captioner.caption(picture)[0]]
        if question:
            said.append(f"{question} {answerer.answer(picture, question)[0]}")
        tiles.append(draw(picture, [Mark(box.xyxy, text)], "\n".join(said), min_side=SIDE))
    _grid(tiles).save(Path(__file__).with_name("predictions.png"), optimize=True)


def _first(task, column: str, stored) -> str:
    """The first text about a picture that is no mere name, or the first."""
    texts = [row[column] for row in open_table("data/tables", task, "test") if row["image"] == stored]
    return next((text for text in texts if len(text.split()) > 3), texts[0] if texts else "")


def _grid(tiles: list[Image.Image]) -> Image.Image:
    """The tiles in columns, those of a row side by side at its upper edge."""
    width = max(tile.width for tile in tiles)
    rows = [tiles[start : start + COLUMNS] for start in range(0, len(tiles), COLUMNS)]
    heights = [max(tile.height for tile in row) for row in rows]
    page = Image.new("RGB", (COLUMNS * (width + GAP) + GAP, sum(heights) + GAP * (len(rows) + 1)), "white")
    y = GAP
    for row, height in zip(rows, heights, strict=True):
        for column, tile in enumerate(row):
            page.paste(tile, (GAP + column * (width + GAP), y))
        y += height + GAP
    return page


if __name__ == "__main__":
    main()
