"""From image codes to pictures, and which of several pictures fits its text best."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from PIL.Image import Image

from ofa.data.transforms import to_pictures
from ofa.errors import OFAError
from ofa.model.vqgan import VQGAN

Scorer = Callable[[Sequence[Image], Sequence[str]], Sequence[float]]
"""How well each picture fits its text; larger is better. `OFA.caption_scores` is one; the original uses CLIP."""

AT_ONCE = 16
"""Pictures that are decoded together."""


@dataclass(frozen=True)
class Painter:
    """Turns codes into pictures, and ranks them."""

    vqgan: VQGAN
    """The one that made the codes which the network was trained on."""
    scorer: Scorer | None = None
    """Without one, `rank` cannot be used."""

    @torch.inference_mode()
    def pictures(self, codes: Sequence[Sequence[int]]) -> list[Image]:
        """A square picture of each sequence of codes (row by row).

        Raises:
            OFAError: codes do not form a square, or the VQ-GAN does not have one of them.
        """
        device = next(self.vqgan.parameters()).device
        found: list[Image] = []
        for start in range(0, len(codes), AT_ONCE):
            part = torch.tensor(list(codes[start : start + AT_ONCE]), dtype=torch.long)
            side = round(part.shape[1] ** 0.5)
            if side**2 != part.shape[1]:
                raise OFAError(f"{part.shape[1]} image codes do not form a square")
            if part.numel() and not 0 <= part.min() <= part.max() < self.vqgan.config.codes:
                raise OFAError(
                    f"image code {int(part.max())} is unknown to the VQ-GAN, which has {self.vqgan.config.codes}: take "
                    "the one that the network was trained with, or keep the task to its codes, "
                    f"vqgan_codes: {self.vqgan.config.codes}"
                )
            part = part.to(device, non_blocking=True)
            found += to_pictures(self.vqgan.decode(part.unflatten(1, (side, side))))
        return found

    def rank(self, codes: Sequence[Sequence[int]], text: str) -> list[float]:
        """How well the picture of each sequence of codes fits the text."""
        pictures = self.pictures(codes)
        return [float(score) for score in self.scorer(pictures, [text] * len(pictures))]
