"""What Inception v3 sees in pictures, computed as the original does for FID and IS."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL.Image import Image, Resampling
from torch import FloatTensor

from ofa.data.batch import HALF, IMAGENET
from ofa.data.transforms import to_tensor
from ofa.errors import OFAError

SIDE = 299
WEIGHTS = "inception_v3_google-0cc3c7bd.pth"


class Inception:
    """torchvision's Inception v3 with its ImageNet weights.

    The original feeds pixels in 0..1 to both scores, where the network expects -1..1; its FID applies torchvision's
    change of statistics to them. So does this, because its numbers and its statistics of COCO were made that way.
    They are not those of TensorFlow's or pytorch-fid's Inception.

    Args:
        path: the weights, torchvision's file `inception_v3_google-0cc3c7bd.pth`.
        device: where to compute.

    Raises:
        OFAError: the file is not there, or holds something else.
    """

    def __init__(self, path: str | Path, device: torch.device | str = "cpu"):
        try:
            from torchvision.models import inception_v3
        except ImportError:
            raise OFAError("FID and IS need the package torchvision, which is not installed here") from None

        from ofa.checkpoint.unpickle import read

        if not Path(path).is_file():
            raise OFAError(missing(path))
        with torch.device("meta"):
            net = inception_v3(weights=None, init_weights=False)
        try:
            net.load_state_dict(read(path), assign=True)
        except (RuntimeError, TypeError, AttributeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise OFAError(f"{path}: not the weights of torchvision's Inception v3 ({WEIGHTS}): {reason}") from None
        self.device = torch.device(device)
        self.net = net.to(self.device).eval()

    def __call__(self, pictures: Iterable[Image], batch_size: int = 32) -> tuple[NDArray, NDArray]:
        """(N, 2048) features for FID and (N, 1000) probabilities of classes for IS, of N RGB pictures."""
        features, probabilities, waiting = [], [], []

        def flush() -> None:
            pixels = torch.stack(waiting).to(self.device).float() / 255
            features.append(self._pooled(_changed(pixels)).cpu().numpy())
            probabilities.append(self.net.fc(self._pooled(pixels)).softmax(1).cpu().numpy())
            waiting.clear()

        with torch.inference_mode():
            for picture in pictures:
                waiting.append(to_tensor(picture.resize((SIDE, SIDE), Resampling.BILINEAR)))
                if len(waiting) == batch_size:
                    flush()
            if waiting:
                flush()
        if not features:
            raise OFAError("no pictures to look at")
        return np.concatenate(features), np.concatenate(probabilities)

    def _pooled(self, pixels: FloatTensor) -> FloatTensor:
        """(B, 2048) the last features, averaged over the picture."""
        kept = []
        hook = self.net.avgpool.register_forward_hook(lambda _, __, out: kept.append(out))
        try:
            self.net(pixels)
        finally:
            hook.remove()
        return kept[0].flatten(1)


def missing(path: str | Path = "") -> str:
    """What to do where the weights are not there, in one line."""
    where = f"no file {path}" if path else "they need the weights of Inception v3"
    return (
        f'{where}: get torchvision\'s {WEIGHTS} (104 MB; `torchvision.models.inception_v3(weights="DEFAULT")` '
        "downloads it on a machine with network) and name the file, `ofa evaluate run image_gen --inception FILE`"
    )


def _changed(pixels: FloatTensor) -> FloatTensor:
    """From ImageNet's statistics to 0.5 and 0.5."""
    (mean, std), (half, scale) = (
        torch.tensor(statistics, device=pixels.device)[..., None, None] for statistics in (IMAGENET, HALF)
    )
    return pixels * (std / scale) + (mean - half) / scale
