"""Pretraining on pictures with texts: captions, answers, regions, and whether a text is true of a picture."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from PIL.Image import Image
from torch import FloatTensor, LongTensor

from ofa.data.augment import random_augment
from ofa.data.batch import PAD, Sample
from ofa.data.geometry import NO_BOXES, center_crop, object_center_crop, random_resize, stretch
from ofa.data.transforms import resize
from ofa.errors import OFAError, nearest
from ofa.generate import SearchConfig
from ofa.metrics.grounding import accuracy
from ofa.tasks import caption, refcoco, region_caption
from ofa.tasks.base import ImageTask, Prediction, register
from ofa.tasks.boxes import BoxSettings, Region, parse_box
from ofa.tasks.negatives import Negatives
from ofa.tasks.vqa import parse_answers
from ofa.text.cleaning import pre_caption, pre_question

MATCH_CAPTION = {"english": ' does the image describe " {} "?', "chinese": '图片描述的是" {} "吗?'}
MATCH_ANSWER = {
    "english": ' what is the answer to question " {} ". is " {} "?',
    "chinese": '问题" {} "的答案是" {} "吗?',
}
TYPES = ("caption", "qa", "visual_grounding")
NO_YES = {"english": ("no", "yes"), "chinese": ("否", "是")}


@dataclass(frozen=True, kw_only=True)
class VisionLanguageSettings(BoxSettings):
    """Settings of pretraining on pictures with texts."""

    patch_image_size: int = 384
    max_src_length: int = 80
    """Words of a question, an expression or a caption to be judged that are kept."""
    max_tgt_length: int = 30
    """Words of a caption to be written that are kept."""
    augment: bool = True
    """Training pictures are resized at random, cut, and (not for grounding) distorted. Off: stretched to a square."""
    max_short_side: int = 480
    """Largest random length of the short side (pixels); the smallest is `patch_image_size`."""
    max_long_side: int = 672
    """Longer sides are squeezed to this length."""
    sample_patch_num: int = 0
    """Patches of a training picture that the encoder reads, drawn anew each time, to save time; 0 reads all. The
    original's pretraining reads 196 of 576."""
    matching_ratio: float = 1.0
    """Probability that a training row of type caption or qa also gives a matching sample."""
    positive_ratio: float = 0.5
    """Share of matching samples whose answer is yes."""
    evaluate_matching: bool = False
    """Give matching samples in evaluation as well, of every row of these types."""
    negatives: str | None = None
    """Folder of wrong captions and answers, see `ofa.tasks.negatives`; needed unless `matching_ratio` is 0."""
    region_caption_ratio: float = 1.0
    """Probability that a training row of type visual_grounding also gives a sample of grounded captioning; in
    evaluation every one does, unless this is 0."""
    type_weights: dict[str, float] = field(default_factory=dict)
    """Factor of the loss of a row's samples by its type (caption, qa, visual_grounding); 1 where none is given. The
    loss is a mean over tokens, so that without it the two tokens of an answer count little beside a caption."""
    noisy_datasets: tuple[str, ...] = ("cc12m",)
    """Data sets whose captions' first two tokens are not learned."""

    def __post_init__(self):
        super().__post_init__()
        for name in self.type_weights:
            if name not in TYPES:
                raise OFAError(f"type_weights: no type {name!r}{nearest(name, list(TYPES))} ({', '.join(TYPES)})")
        for name in ("matching_ratio", "positive_ratio", "region_caption_ratio"):
            if not 0 <= getattr(self, name) <= 1:
                raise OFAError(f"{name} must lie in 0..1, got {getattr(self, name)}")
        patches = (self.patch_image_size // 16) ** 2
        if not 0 <= self.sample_patch_num <= patches:
            raise OFAError(
                f"sample_patch_num must lie in 0..{patches}, the patches of {self.patch_image_size} pixels, "
                f"got {self.sample_patch_num}"
            )
        if self.augment and not self.patch_image_size <= self.max_short_side <= self.max_long_side:
            raise OFAError(
                f"sizes must not fall: patch_image_size {self.patch_image_size}, max_short_side {self.max_short_side}, "
                f"max_long_side {self.max_long_side}"
            )


@dataclass(frozen=True)
class Truth:
    """What a sample asks for."""

    kind: str
    """caption, qa, grounding, matching or region_caption."""
    value: Any
    """The text; for qa the confidence by answer; for grounding a `Region`."""


@register
class VisionLanguage(ImageTask):
    """A row gives one sample or two, which share its picture.

    Rows of type caption: captioning and image-text matching. qa: answering and matching. visual_grounding: grounding
    and grounded captioning.
    """

    name = "vision_language"
    table = "vision_language"
    Settings = VisionLanguageSettings
    settings: VisionLanguageSettings
    search = SearchConfig(beam=5, max_len_b=30)

    @cached_property
    def negatives(self) -> Negatives:
        """Where wrong captions and answers come from."""
        if self.settings.negatives is None:
            raise OFAError("image-text matching needs a folder of negatives: set negatives, or matching_ratio to 0")
        return Negatives.load(self.settings.negatives)

    # Random numbers are drawn in the original's order: size, negative, matching, pixels.

    def sample(self, row: Mapping[str, Any], train: bool, rng: random.Random) -> list[Sample]:
        if row["type"] == "visual_grounding":
            return self._grounding(row, train, rng)
        makers = {"caption": self._caption, "qa": self._answer}
        if row["type"] not in makers:
            raise OFAError(f"type {row['type']!r} is not caption, qa or visual_grounding")
        distorted = train and self.settings.augment
        picture = self.open(row)
        if distorted:
            picture, _ = center_crop(*self._resized(picture, NO_BOXES, rng), self.settings.patch_image_size)
        samples = makers[row["type"]](row, train, rng)
        if distorted:
            picture = random_augment(picture, rng)
        return self._with_picture(samples, row, picture, train)

    def _caption(self, row: Mapping[str, Any], train: bool, rng: random.Random) -> list[Sample]:
        text, longest = row["caption"], self.settings.max_src_length
        short = pre_caption(text, self.settings.max_tgt_length)
        sample = self._sample(row, self.encode(self.prompt(caption.PROMPTS)), short, Truth("caption", short))
        if row["dataset"] in self.settings.noisy_datasets:
            sample.target[: min(2, len(sample.target) - 1)] = PAD
        if not self._matches(train):
            return [sample]
        wrong = self.negatives.caption(text, row["objects"], rng)
        claims = [self.prompt(MATCH_CAPTION).format(pre_caption(claim, longest)) for claim in (wrong, text)]
        return [sample, *self._matching(row, claims, 1.0, train, rng)]

    def _answer(self, row: Mapping[str, Any], train: bool, rng: random.Random) -> list[Sample]:
        question = pre_question(row["question"], self.settings.max_src_length)
        confidences = parse_answers(row["answers"])
        answer = max(confidences, key=confidences.get, default="")
        confidence = confidences.get(answer, 1.0)
        sample = self._sample(row, self.encode(f" {question}"), answer, Truth("qa", confidences), confidence)
        if not self._matches(train):
            return [sample]
        wrong = self.negatives.answer(answer, confidence, rng)
        claims = [self.prompt(MATCH_ANSWER).format(question, claim) for claim in (wrong, answer)]
        return [sample, *self._matching(row, claims, confidence, train, rng)]

    def _grounding(self, row: Mapping[str, Any], train: bool, rng: random.Random) -> list[Sample]:
        settings = self.settings
        picture, box = self.open(row), parse_box(row["answers"])
        text, short = (pre_caption(row["caption"], n) for n in (settings.max_src_length, settings.max_tgt_length))
        truth = Region(picture.size, tuple(box.tolist()), text)
        if train and settings.augment:
            picture, boxes = object_center_crop(*self._resized(picture, box[None], rng), settings.patch_image_size)
        else:
            picture, boxes = stretch(picture, box[None], settings.patch_image_size, settings.patch_image_size)
        bins = self._bins(boxes)
        ask = self.encode(self.prompt(refcoco.PROMPTS).format(text))
        samples = [self.seq2seq(row["uniq_id"], self.source(ask), bins, reference=Truth("grounding", truth))]
        if _gives(settings.region_caption_ratio, train, rng):
            source = self.source(self.encode(self.prompt(region_caption.PROMPTS)), bins)
            target = self.encode(f" {short}")
            samples.append(self.seq2seq(row["uniq_id"], source, target, reference=Truth("region_caption", short)))
        return self._with_picture(samples, row, picture, train)

    def _matches(self, train: bool) -> bool:
        return (train or self.settings.evaluate_matching) and self.settings.matching_ratio > 0

    def _matching(
        self, row: Mapping[str, Any], claims: Sequence[str], confidence: float, train: bool, rng: random.Random
    ) -> list[Sample]:
        """A yes-or-no sample on the wrong or the true one of two claims, or none."""
        true = rng.random() >= 1 - self.settings.positive_ratio
        if not _gives(self.settings.matching_ratio, train, rng):
            return []
        verdict = NO_YES[self.settings.language][true]
        return [self._sample(row, self.encode(claims[true]), verdict, Truth("matching", verdict), confidence)]

    def _sample(
        self, row: Mapping[str, Any], ask: LongTensor, answer: str, truth: Truth, confidence: float = 1.0
    ) -> Sample:
        target = self.encode(f" {answer}")
        return self.seq2seq(row["uniq_id"], self.source(ask), target, confidence=confidence, reference=truth)

    def _bins(self, boxes: FloatTensor) -> LongTensor:
        return torch.tensor(self.settings.bins.quantize(boxes)) + self.tokenizer.bin_offset

    def _resized(self, picture: Image, boxes: FloatTensor, rng: random.Random) -> tuple[Image, FloatTensor]:
        sides = range(self.settings.patch_image_size, self.settings.max_short_side + 1)
        return random_resize(picture, boxes, rng, sides, self.settings.max_long_side)

    def _with_picture(self, samples: list[Sample], row: Mapping[str, Any], picture: Image, train: bool) -> list[Sample]:
        """Give all samples the picture and their weight."""
        fields = self.shared(row, resize(picture, self.settings.patch_image_size))
        if train and self.settings.augment:
            fields["image_key"] = object()  # other rows of the picture look different
        if train:
            fields["patch_sample"] = self.settings.sample_patch_num or None
        weight = self.settings.type_weights.get(row["type"], 1.0)
        for sample in samples:
            sample.confidence *= weight
            for name, value in fields.items():
                setattr(sample, name, value)
        return samples

    def read(self, tokens: Sequence[int], reference: Truth) -> Any:
        """A Box in pixels of the original picture for grounding, else a text."""
        if reference.kind != "grounding":
            return self.tokenizer.decode(tokens).strip()
        numbers = [token - self.tokenizer.bin_offset for token in tokens]
        return self.settings.bins.box(numbers, self.settings.patch_image_size, reference.value.size)

    def score(self, predictions: Sequence[Prediction], references: Sequence[Truth]) -> dict[str, float]:
        """By kind of sample: share of exact texts, mean confidence of answers, Acc@0.5 of boxes."""
        scores = {}
        for kind in sorted({reference.kind for reference in references}):
            pairs = [(p.value, r.value) for p, r in zip(predictions, references, strict=True) if r.kind == kind]
            if kind == "grounding":
                scores["grounding/acc@0.5"] = accuracy([box.xyxy for box, _ in pairs], [r.box for _, r in pairs])
                continue
            right = [truth.get(value, 0.0) if kind == "qa" else float(value == truth) for value, truth in pairs]
            scores[f"{kind}/{'accuracy' if kind in ('qa', 'matching') else 'exact_match'}"] = sum(right) / len(right)
        return scores


def _gives(ratio: float, train: bool, rng: random.Random) -> bool:
    """Whether a row gives its second sample: in training with this probability, in evaluation if training ever does."""
    return ratio > 0 if not train else ratio == 1 or rng.random() < ratio
