"""The files and networks that outputs are judged with, where a table's truth does not say how good they are."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Judges:
    """What painted pictures are judged with (`components.evaluate.paintings`)."""

    judge: str = ""
    """Folder of a network that captions. It also chooses among the pictures that are drawn for a text, as the
    original lets CLIP choose; empty: the most probable one is taken."""
    inception: str = ""
    """File of torchvision's weights of Inception v3."""
    real: str = ""
    """A .npz file of `mu` and `sigma` of real pictures, for FID, such as the original's gt_stat.npz; empty: the
    pictures of the table's codes."""
