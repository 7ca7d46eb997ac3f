"""What each cell of the encoder's grid of patches should say about a picture."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import FloatTensor, LongTensor, Tensor

STRIDE = 16
"""Pixels of a cell's side: the ResNet's output stride."""
BACKGROUND = 0
UNKNOWN = -1
"""Where the row does not tell, and nothing is learned."""


@dataclass(frozen=True, kw_only=True)
class Cells:
    """The truth of one picture, R x C cells."""

    kind: np.ndarray
    """(R, C) number of the object's kind, `BACKGROUND` where there is none; or `UNKNOWN` everywhere."""
    meant: np.ndarray
    """(R, C) 1 where the object is the one that the text describes, else 0; or `UNKNOWN` everywhere."""
    box: np.ndarray
    """(R, C, 4) x0, y0, x1, y1 of the object as shares of the picture's width and height, float32; 0 without one."""


def assign(boxes: FloatTensor, numbers: LongTensor, rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Give each cell the smallest box over its center. A box over no center gets the cell that holds its own.

    Args:
        boxes: (N, 4) shares of the picture's width and height.
        numbers: (N,) what to write into a box's cells.

    Returns:
        (rows, columns) numbers, 0 where there is no box, and the (rows, columns, 4) boxes.
    """
    number = torch.zeros(rows, columns, dtype=torch.long)
    box = torch.zeros(rows, columns, 4)
    y, x = centers(rows, columns)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    for i in area.argsort(descending=True).tolist():
        x0, y0, x1, y1 = boxes[i].tolist()
        inside = (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)
        if not inside.any():
            row, column = int((y0 + y1) / 2 * rows), int((x0 + x1) / 2 * columns)
            inside[min(row, rows - 1), min(column, columns - 1)] = True
        number[inside], box[inside] = numbers[i], boxes[i]
    return number.numpy(), box.numpy()


def centers(rows: int, columns: int) -> tuple[Tensor, Tensor]:
    """y and x (R, C) of the cells' centers as shares of the picture."""
    y, x = (torch.arange(rows) + 0.5) / rows, (torch.arange(columns) + 0.5) / columns
    return torch.meshgrid(y, x, indexing="ij")
