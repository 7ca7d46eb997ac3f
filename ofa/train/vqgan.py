"""Training of a VQ-GAN: pixels through codes and back, with the Gumbel trick.

The loss is the original's for its generator without what needs other networks: the absolute difference of the pixels
and the divergence of the codes from being used evenly, but no perceptual loss and no discriminator. So pictures come
out smoother than the original's.

Codes that are drawn from the start are seldom all used: a few win early, and the others never learn. Therefore a share
of the steps trains the network without codes; then the codes are placed where its latents are (k-means), each chosen by
its distance; and from there on they are drawn.

Shapes: B pictures, K codes, D the width of a code's vector, h x w codes a picture, N latents.
"""

import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import ImageOps
from torch import FloatTensor, nn

from ofa.data.batch import NO_TOKENS, Batch, Sample
from ofa.data.images import open_image
from ofa.data.mixing import Source, Stream
from ofa.data.ordered import Ordered
from ofa.data.table import RowError
from ofa.data.transforms import central_square, to_tensor
from ofa.errors import OFAError
from ofa.metrics.pictures import perplexity
from ofa.model.vqgan import VQGAN, Attention, ResnetBlock
from ofa.train.config import TrainConfig
from ofa.train.distributed import World
from ofa.train.loop import Callback, TrainResult, train
from ofa.train.losses import Objective, TokenLoss
from ofa.train.preemption import Pause, pausing

Table = Sequence[Mapping[str, Any]]

PLACED_ON = 2048
"""Pictures whose latents the codes are placed on."""
NOISE = 0.05
"""Size of the noise in weights to start from."""
CONTRAST = 0.25
"""By how much the last norm stretches the colors of common pictures."""
SHARPNESS = 4.0
"""How sure the placed codes are at first: a latent at the usual distance d from its code prefers it to one at distance
2 d by exp(3/2 * SHARPNESS)."""


@dataclass(frozen=True, kw_only=True)
class CodingConfig:
    """What is particular to training a VQ-GAN."""

    image_size: int = 64
    """Side in pixels of the squares that are cut out of the pictures; a multiple of the network's stride."""
    uncoded: float = 0.3
    """Share of the steps that the network is trained without codes, before they are placed. 0: codes are drawn from
    the start and from where they are, as the original does."""
    temperature: tuple[float, float] = (1.0, 0.3)
    """Of the relaxed choice, at the first step with codes and at the last; it falls exponentially. The original's
    falls from 0.9 to 1e-6 in a million steps."""
    kl_weight: float = 1e-6
    """Weight of the codes' divergence (nats a code) from being used evenly, beside the absolute difference of pixels
    (range -1..1). The original's is 1e-8."""

    def __post_init__(self):
        if not 0 <= self.uncoded < 1:
            raise OFAError(f"uncoded is a share of the steps, 0 to below 1, got {self.uncoded}")
        if len(self.temperature) != 2 or min(self.temperature) <= 0:
            raise OFAError(f"temperature must be two numbers above 0, got {self.temperature}")
        if self.kl_weight < 0:
            raise OFAError(f"kl_weight must not be negative, got {self.kl_weight}")
        if self.image_size < 8:
            raise OFAError(f"image_size must be at least 8, got {self.image_size}")


def initialize(net: VQGAN, seed: int) -> None:
    """Weights to start from: a network that makes of a picture the mean color of each code's square.

    Convolutions pass channels on, each beside its negative, so that SiLU loses nothing (arXiv 1702.08591); those of
    stride 2 average; residual branches are silent. A little noise lets everything else be learned. From PyTorch's own
    weights, which the original starts from, the same takes many more steps than a CPU has time for.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for module in net.modules():
            if isinstance(module, nn.Conv2d):
                _pass_on(module)
        for module in net.modules():
            if isinstance(module, ResnetBlock):
                nn.init.orthogonal_(module.conv1.weight)
                nn.init.zeros_(module.conv2.weight)
            elif isinstance(module, Attention):
                for part in (module.q, module.k, module.v):
                    nn.init.orthogonal_(part.weight)
                nn.init.zeros_(module.proj_out.weight)
        net.decoder.conv_out.weight.data.mul_(CONTRAST)
        nn.init.normal_(net.quantize.embed.weight)


def _pass_on(conv: nn.Conv2d) -> None:
    """Fill a convolution: its first half of channels is the first half of what it reads, the second half the second;
    of a picture, the picture and its negative."""
    nn.init.orthogonal_(conv.weight, gain=NOISE)
    nn.init.zeros_(conv.bias)
    out, into, side, _ = conv.weight.shape
    taps = torch.zeros(side, side)
    if conv.stride == (2, 2):
        taps[:2, :2] = 1 / 4
    else:
        taps[side // 2, side // 2] = 1
    same, half = torch.zeros(out, into), torch.eye(3 if 3 in (out, into) else min(out, into) // 2)
    count = len(half)
    if into == 3:
        same[:count], same[out // 2 : out // 2 + count] = half, -half
    elif out == 3:
        same[:, :count], same[:, into // 2 : into // 2 + count] = half, -half
    else:
        same[:count, :count] = same[out // 2 : out // 2 + count, into // 2 : into // 2 + count] = half
    conv.weight.data += same[..., None, None] * taps


class Squares:
    """Rows with a picture: its central square, mirrored half of the time in training."""

    name = "squares"

    def __init__(self, size: int):
        self.size = size

    def sample(self, row: Mapping[str, Any], train: bool, rng: random.Random) -> Sample:
        picture = central_square(open_image(row["image"]), self.size)
        if train and rng.random() < 0.5:
            picture = ImageOps.mirror(picture)
        return Sample(
            id=row.get("uniq_id", ""), source=NO_TOKENS, previous=NO_TOKENS, target=NO_TOKENS, image=to_tensor(picture)
        )


class PixelLoss(Objective):
    """The absolute difference of the pixels, without codes."""

    unit = ""

    def size(self, batch: Batch, updates: int) -> int:
        """The number of values."""
        return batch.images.numel()

    def __call__(self, net: VQGAN, batch: Batch, updates: int) -> TokenLoss:
        """The batch's loss, summed over values."""
        pixels = batch.images_normalized
        loss = F.l1_loss(net.reconstruct(net.latents(pixels)).float(), pixels, reduction="sum")
        return TokenLoss(loss, loss.detach(), pixels.numel())


class CodeLoss(PixelLoss):
    """The absolute difference of the pixels with drawn codes, and the codes' divergence.

    Args:
        config: weight and temperatures.
        steps: over which the temperature falls.
    """

    def __init__(self, config: CodingConfig, steps: int):
        self.config, self.steps = config, steps

    def temperature(self, updates: int) -> float:
        """After so many updates."""
        first, last = self.config.temperature
        return first * (last / first) ** (updates / max(1, self.steps - 1))

    def __call__(self, net: VQGAN, batch: Batch, updates: int) -> TokenLoss:
        """The batch's loss, summed over values."""
        pixels = batch.images_normalized
        logits = net.logits(pixels).float()
        vectors = net.quantize.draw(logits, self.temperature(updates))
        difference = F.l1_loss(net.reconstruct(vectors).float(), pixels, reduction="sum")
        values_a_code = pixels.numel() / logits[:, 0].numel()
        loss = difference + self.config.kl_weight * values_a_code * divergence(logits).sum()
        return TokenLoss(loss, difference.detach(), pixels.numel())


def divergence(logits: FloatTensor) -> FloatTensor:
    """(B, h, w) Kullback-Leibler divergence (nats) of each choice among K codes from an even one."""
    log_probs = logits.log_softmax(1)
    return (log_probs.exp() * log_probs).sum(1) + math.log(logits.shape[1])


def train_vqgan(
    net: VQGAN,
    table: Table,
    coding: CodingConfig,
    config: TrainConfig,
    out_dir: str | Path,
    callbacks: Sequence[Callback] = (),
    *,
    valid: Table | None = None,
    valid_rows: int = 200,
    workers: int = 0,
    max_bad_rows: int = 0,
    report: Callable[[RowError], None] | None = None,
    identity: Mapping[str, Any] | None = None,
    restart: bool = False,
    world: World | None = None,
) -> TrainResult:
    """Train `net` in place on the pictures of a table.

    Args:
        net: with weights that are the same each time.
        table: rows with an `image`.
        coding, config: settings; the fields of `config` about token losses have no meaning here.
        out_dir, callbacks, identity, restart, world: see `ofa.train.loop.train`. The steps without codes have a folder
            of their own in it, `uncoded`.
        valid: to measure `psnr`, `l1`, `perplexity` and `codes_used` on; see `measure`.
        valid_rows: the first so many rows of it.
        workers, max_bad_rows, report: see `ofa.data.mixing.Stream`.

    Returns:
        `steps` and `skipped` count those without codes as well; `best_step`, as the history, those with codes only.

    Raises:
        OFAError: as `train`; also when `image_size` does not fit the network.
    """
    if coding.image_size % net.config.stride:
        raise OFAError(f"image_size {coding.image_size} must be a multiple of {net.config.stride}")
    world = world or World.connect(config.device)
    source = Source(table=table, task=Squares(coding.image_size))
    identity = {"coding": vars(coding) | {"temperature": list(coding.temperature)}} | dict(identity or {})
    common = dict(identity=identity, restart=restart, world=world)

    def stream(seed: int) -> Stream:
        rows, pin = config.batch_size // config.accumulate, world.device.type == "cuda"
        return Stream([source], rows, seed, world.rank, world.size, workers, max_bad_rows, report, pin)

    def validate(measured: nn.Module, pause: Pause) -> dict[str, float]:
        batches = _ordered(valid, coding, config, valid_rows, max_bad_rows)
        return measure(measured, pausing(batches, pause), world.device)

    uncoded = min(round(config.steps * coding.uncoded), config.steps - 1)
    skipped = 0
    if uncoded:
        first = replace(_part(config, uncoded), validate_every=0, best_metric="", patience=0)
        start = train(net, stream(config.seed), first, Path(out_dir) / "uncoded", objective=PixelLoss(), **common)
        skipped = start.skipped
        place_codes(net, _ordered(table, coding, config, PLACED_ON, max_bad_rows), world.device, config.seed)
    rest = _part(config, config.steps - uncoded)
    objective = CodeLoss(coding, rest.steps)
    validate = None if valid is None else validate
    result = train(net, stream(config.seed + 1), rest, out_dir, callbacks, validate, objective=objective, **common)
    return replace(result, steps=uncoded + result.steps, skipped=skipped + result.skipped)


def _part(config: TrainConfig, steps: int) -> TrainConfig:
    """The settings for a part of the steps; each part warms up."""
    warmup = config.warmup_steps
    return replace(config, steps=steps, warmup_steps=None if warmup is None else min(warmup, steps))


def _ordered(table: Table, coding: CodingConfig, config: TrainConfig, rows: int, max_bad_rows: int) -> Ordered:
    source = Source(table=table, task=Squares(coding.image_size), train=False)
    return Ordered(source, config.batch_size, limit=rows, max_bad_rows=max_bad_rows)


@torch.no_grad()
def place_codes(net: VQGAN, batches: Iterable[Batch], device: torch.device, seed: int) -> None:
    """Put the codes where the latents of pictures are, each preferred by the latents that are nearest to it.

    The logit of code k at latent z is -SHARPNESS / 2 * |z - e_k|^2 / d^2, up to what all codes share: linear in z, so
    that the projection holds it. d^2 is the mean squared distance of latents from their codes.
    """
    net.eval()
    latents = [net.latents(batch.to(device).images_normalized) for batch in batches]
    latents = torch.cat([part.permute(0, 2, 3, 1).flatten(0, 2) for part in latents])
    centers, spread = k_means(latents.cpu(), net.config.codes, seed)
    scale = SHARPNESS / max(spread, 1e-6)
    net.quantize.embed.weight.copy_(centers)
    net.quantize.proj.weight.copy_((scale * centers)[..., None, None])
    net.quantize.proj.bias.copy_(-scale / 2 * centers.square().sum(1))


def k_means(points: FloatTensor, k: int, seed: int, rounds: int = 10) -> tuple[FloatTensor, float]:
    """(k, D) centers of points (N, D), and the mean squared distance of points from theirs (Lloyd's algorithm).

    A center without points moves to a point drawn at random.
    """
    generator = torch.Generator().manual_seed(seed)

    def drawn(count: int) -> FloatTensor:
        return points[torch.randint(len(points), (count,), generator=generator)]

    centers = points[torch.randperm(len(points), generator=generator)[:k]]
    centers = torch.cat([centers, drawn(k - len(centers))])
    for _ in range(rounds):
        nearest = (centers.square().sum(1) - 2 * points @ centers.t()).argmin(1)
        counts = torch.bincount(nearest, minlength=k)
        sums = torch.zeros_like(centers).index_add_(0, nearest, points)
        centers = torch.where(counts[:, None] > 0, sums / counts.clamp(min=1)[:, None], drawn(k))
    nearest = (centers.square().sum(1) - 2 * points @ centers.t()).argmin(1)
    return centers, float((points - centers[nearest]).square().sum(1).mean())


@torch.inference_mode()
def measure(net: VQGAN, batches: Iterable[Batch], device: torch.device) -> dict[str, float]:
    """How much of pictures survives their codes, and how evenly codes are used.

    Returns:
        `psnr` (dB) and `l1` (range 0..1) of pixels; `perplexity` of the codes, exp of their entropy: K when all are
        used alike, 1 when one is; `codes_used`, their share that occurs at all.
    """
    counts = np.zeros(net.config.codes, dtype=np.int64)
    squared = absolute = values = 0.0
    for batch in batches:
        pixels = batch.to(device).images_normalized
        codes = net.encode(pixels)
        difference = (net.decode(codes).float().clamp(-1, 1) - pixels) / 2
        squared += difference.square().sum().item()
        absolute += difference.abs().sum().item()
        values += difference.numel()
        counts += np.bincount(codes.flatten().cpu(), minlength=len(counts))
    return {
        "psnr": -10 * math.log10(max(squared / values, 1e-12)),
        "l1": absolute / values,
        "perplexity": perplexity(counts),
        "codes_used": float((counts > 0).mean()),
    }
