"""Samples and batches: what a task makes of a table row, and what the network reads.

Pictures stay uint8 until they reach the device: a batch is four times smaller on its way from the workers, and
normalization costs nothing there. What a GPU would have to be asked for, and waited for, is found out before.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import torch
from torch import BoolTensor, FloatTensor, LongTensor, Tensor

from ofa.data.transforms import IMAGENET_MEAN, IMAGENET_STD, MEAN, STD, normalize
from ofa.errors import OFAError

PAD = 1

NO_TOKENS = torch.empty(0, dtype=torch.long)
"""Previous tokens and target where the decoder takes no part."""

HALF = (MEAN, STD)
"""Channel means and deviations of all tasks but ImageNet classification: pixels go to -1..1."""
IMAGENET = (IMAGENET_MEAN, IMAGENET_STD)

Statistics = tuple[tuple[float, float, float], tuple[float, float, float]]


@dataclass(kw_only=True)
class Sample:
    """One input and its target, before padding."""

    id: str
    """Names the row in reports and predictions."""
    source: LongTensor
    """(S,) encoder tokens: bos, text, eos."""
    previous: LongTensor
    """(T,) decoder input: bos, prompt if any, then the target shifted right."""
    target: LongTensor
    """(T,) token to predict at each position; pad (1) where no loss is wanted."""
    image: Tensor | None = None
    """(3, H, W) uint8, or None for a text-only sample."""
    image_key: Hashable = None
    """Samples of one batch with the same key share one picture, which is then encoded once."""
    image_statistics: Statistics = HALF
    """Mean and standard deviation of the three channels, in 0..1."""
    blank: tuple[int, int, int, int] | None = None
    """Region x0, y0, x1, y1 (pixels) of the picture that is 0 *after* normalization (image infilling)."""
    patch_sample: int | None = None
    """Patches of the picture that the encoder keeps, drawn at random; None keeps all."""
    code_mask: bool = False
    """True when the target consists of image codes: the decoder then uses its image positions."""
    confidence: float = 1.0
    """Weight of the sample's log-probabilities in the loss."""
    allowed: Sequence[LongTensor] | None = None
    """For each target position the ids that the answer space allows there; an empty entry allows everything."""
    prompt: LongTensor | None = None
    """(P,) decoder tokens given at inference, bos included; None means bos alone."""
    reference: Any = None
    """What the task's metric compares a prediction with."""
    seed: int | None = None
    """Of what a search draws for this sample; None: another one each time."""


@dataclass(frozen=True)
class Allowed:
    """Ids allowed at target positions, as pairs: a dense mask over 59,457 ids would be a thousand times larger."""

    position: LongTensor
    """(N,) index into the flattened (B * T) targets."""
    token: LongTensor
    """(N,) an id allowed at that position."""
    positions: int
    """B * T."""

    def mask(self, selected: LongTensor, size: int, columns: LongTensor | None = None) -> BoolTensor:
        """True where the answer space allows a column; positions without an entry allow all columns.

        Args:
            selected: (P,) flattened target positions whose logits are computed.
            size: number of logits V of a position.
            columns: (N,) column of each of `self.token` (-1: not scored); None when columns are ids.

        Returns:
            (P, V) mask.
        """
        device, count = selected.device, len(selected)
        row_of = torch.full((self.positions,), count, dtype=torch.long, device=device)
        row_of[selected] = torch.arange(count, device=device)
        rows, columns = row_of[self.position], self.token if columns is None else columns
        # One row and one column more take what is not selected and not scored, and are cut off.
        mask = torch.zeros(count + 1, size + 1, dtype=torch.bool, device=device)
        mask[rows, torch.where(columns < 0, size, columns)] = True
        limited = torch.zeros(count + 1, dtype=torch.bool, device=device)
        limited[rows] = True
        return mask[:count, :size] | ~limited[:count, None]


@dataclass(kw_only=True)
class Batch:
    """Padded samples. B samples, S source and T target positions, U distinct pictures."""

    ids: list[str]
    source: LongTensor
    """(B, S), padded right with 1."""
    previous: LongTensor
    """(B, T), padded right with 1."""
    target: LongTensor
    """(B, T); 1 where there is no loss."""
    image_mask: BoolTensor
    """(B,) True for samples with a picture."""
    images: Tensor | None = None
    """(U, 3, H, W) uint8; None when no sample has a picture."""
    image_index: LongTensor | None = None
    """(B,) picture of each sample; None when sample i has picture i."""
    image_statistics: Statistics = HALF
    blank: LongTensor | None = None
    """(U, 4) region of each picture that is 0 after normalization (x0, y0, x1, y1; empty for none)."""
    patch_sample: LongTensor | int | None = None
    """Patches that the encoder keeps, see `OFAModel.encode`; None keeps all."""
    code_mask: BoolTensor | None = None
    """(B,) or None when no target consists of image codes."""
    confidence: FloatTensor = None
    """(B,) weights of the samples."""
    allowed: Allowed | None = None
    """Answer space of the targets, or None when everything is allowed everywhere."""
    prompt: LongTensor | None = None
    """(B, P) decoder prompts with bos, padded right with 1; None when all are bos alone."""
    references: list = field(default_factory=list)
    seeds: list[int | None] | None = None
    """(B,) of what a search draws for each sample; None for samples without."""
    rejected: list = field(default_factory=list)
    """Bad rows that were met and replaced while the batch was made."""
    _positions: LongTensor | None = field(default=None, init=False, repr=False)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def positions(self) -> LongTensor:
        """(N,) those of the flattened (B * T) targets that have a loss."""
        if self._positions is None:
            self._positions = (self.target != PAD).flatten().nonzero().squeeze(1)
        return self._positions

    @property
    def n_tokens(self) -> int:
        """Number of positions with a loss."""
        return len(self.positions)

    @property
    def images_normalized(self) -> FloatTensor | None:
        """(U, 3, H, W) float32 pictures as the network reads them, channels last in memory, which it is faster with."""
        if self.images is None:
            return None
        pixels = normalize(self.images.contiguous(memory_format=torch.channels_last), *self.image_statistics)
        if self.blank is not None:
            x0, y0, x1, y1 = self.blank[:, :, None, None].unbind(1)
            height, width = pixels.shape[2:]
            y, x = torch.arange(height, device=pixels.device)[:, None], torch.arange(width, device=pixels.device)
            blank = (x0 <= x) & (x < x1) & (y0 <= y) & (y < y1)
            pixels.masked_fill_(blank[:, None], 0)
        return pixels

    def inputs(self) -> dict[str, Tensor | None]:
        """Keyword arguments of `OFAModel.encode`; with `previous_tokens` and `code_mask`, those of its call."""
        return {
            "source_tokens": self.source,
            "images": self.images_normalized,
            "image_mask": self.image_mask if self.images is not None else None,
            "image_index": self.image_index,
            "patch_sample": self.patch_sample,
        }

    def to(self, device: torch.device | str) -> "Batch":
        """The batch on `device`; see `send`."""
        return self._map(lambda tensor: send(tensor, device))

    def pin_memory(self) -> "Batch":
        """The batch in page-locked memory; called by `DataLoader(pin_memory=True)`."""
        return self._map(lambda tensor: tensor.pin_memory())

    def _map(self, move) -> "Batch":
        tensors = {f.name: move(v) for f in fields(self) if f.init and isinstance(v := getattr(self, f.name), Tensor)}
        if self.allowed is not None:
            tensors["allowed"] = replace(
                self.allowed, position=move(self.allowed.position), token=move(self.allowed.token)
            )
        moved = replace(self, **tensors)
        moved._positions = move(self.positions)
        return moved


def send(tensor: Tensor, device: torch.device | str) -> Tensor:
    """A tensor on `device`. On its way to a GPU it goes through page-locked memory, so that nobody waits for it."""
    if torch.device(device).type != "cuda" or tensor.device.type != "cpu":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def collate(samples: Sequence[Sample]) -> Batch:
    """Pad and stack samples into a batch.

    Raises:
        OFAError: the pictures differ in size, in normalization or in patches to keep, or there is no sample.
    """
    if not samples:
        raise OFAError("cannot make a batch of no samples")
    targets = pad([s.target for s in samples])
    return Batch(
        ids=[s.id for s in samples],
        source=pad([s.source for s in samples]),
        previous=pad([s.previous for s in samples]),
        target=targets,
        code_mask=torch.tensor([s.code_mask for s in samples]) if any(s.code_mask for s in samples) else None,
        confidence=torch.tensor([s.confidence for s in samples], dtype=torch.float32),
        allowed=_allowed(samples, width=targets.shape[1]),
        prompt=_prompts(samples),
        references=[s.reference for s in samples],
        seeds=[s.seed for s in samples],
        **_pictures(samples),
    )


def pad(sequences: Sequence[LongTensor], value: int = PAD) -> LongTensor:
    """(B, longest) sequences padded right with `value`."""
    out = torch.full((len(sequences), max(len(s) for s in sequences)), value, dtype=torch.long)
    for row, sequence in zip(out, sequences, strict=True):
        row[: len(sequence)] = sequence
    return out


def _pictures(samples: Sequence[Sample]) -> dict[str, Any]:
    image_mask = torch.tensor([s.image is not None for s in samples])
    with_image = [s for s in samples if s.image is not None]
    if not with_image:
        return {"image_mask": image_mask}
    first = with_image[0]
    for s in with_image:
        if s.image.shape != first.image.shape:
            raise OFAError(
                f"a batch holds pictures of one size, but sample {first.id!r} has {_size(first)} and {s.id!r} has "
                f"{_size(s)}: give the tasks the same patch_image_size or put their sources into different groups"
            )
        if s.image_statistics != first.image_statistics:
            raise OFAError(
                f"samples {first.id!r} and {s.id!r} of one batch are normalized differently: set "
                "imagenet_default_mean_and_std alike in their tasks or put their sources into different groups"
            )
        if s.patch_sample != first.patch_sample:
            raise OFAError(
                f"samples {first.id!r} and {s.id!r} of one batch keep different numbers of patches: set "
                "sample_patch_num alike in their tasks or put their sources into different groups"
            )
    unique: dict[Hashable, int] = {}
    owners: list[Sample] = []
    index = []
    for position, s in enumerate(samples):
        if s.image is None:
            index.append(0)
            continue
        key = ("own", position) if s.image_key is None else ("key", s.image_key)
        if key not in unique:
            unique[key] = len(owners)
            owners.append(s)
        index.append(unique[key])
    blank = None
    if any(s.blank is not None for s in owners):
        blank = torch.tensor([s.blank or (0, 0, 0, 0) for s in owners])
    return {
        "image_mask": image_mask,
        "images": torch.stack([s.image for s in owners]),
        "image_index": None if index == list(range(len(owners))) else torch.tensor(index),
        "image_statistics": first.image_statistics,
        "blank": blank,
        "patch_sample": first.patch_sample,
    }


def _size(sample: Sample) -> str:
    _, height, width = sample.image.shape
    return f"{width}x{height}"


def _allowed(samples: Sequence[Sample], width: int) -> Allowed | None:
    positions, tokens = [], []
    for row, s in enumerate(samples):
        for column, ids in enumerate(s.allowed or ()):
            if len(ids):
                positions.append(torch.full((len(ids),), row * width + column, dtype=torch.long))
                tokens.append(torch.as_tensor(ids, dtype=torch.long))
    return Allowed(torch.cat(positions), torch.cat(tokens), len(samples) * width) if positions else None


def _prompts(samples: Sequence[Sample]) -> LongTensor | None:
    if all(s.prompt is None for s in samples):
        return None
    return pad([s.prompt if s.prompt is not None else s.previous[:1] for s in samples])
