"""What may be chosen about the built-in pictures."""

import random
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import combinations

from ofa.data.scenes.kinds import KINDS, Kind
from ofa.errors import OFAError

SPLITS = ("train", "val", "test", "test_pairs")
BACKGROUNDS = ("plain", "gradient", "landscape", "pattern")
LANGUAGES = ("en", "zh")


@dataclass(frozen=True, kw_only=True)
class SceneConfig:
    """Size, look and language of a set of scenes. The same values give the same bytes.

    Raises:
        OFAError: a value that makes no sense, with the field, the value and the rule.
    """

    seed: int = 0
    """Everything random derives from it; an image depends on (seed, split, index in the split) alone."""
    train: int = 12000
    """Images of the training split."""
    val: int = 400
    """Images of the validation split."""
    test: int = 500
    """Images of the test split, made as the training split is."""
    test_pairs: int = 500
    """Images of the harder test split: each shows a pair of kinds that no other split shows together."""
    kinds: int = 16
    """How many kinds of objects, counted from the start of `ofa.data.scenes.kinds.KINDS`."""
    unseen_pairs: int = 12
    """Pairs of kinds that only `test_pairs` shows together; which ones, the seed decides."""
    sizes: tuple[tuple[int, int], ...] = ((128, 128), (160, 128), (128, 160))
    """Width and height in pixels that an image may have, each equally likely."""
    objects: tuple[float, ...] = (2, 4, 3, 2, 1)
    """Relative frequency of images with 1, 2, 3, ... objects (at most 5)."""
    repeat: float = 0.3
    """Probability that a further object is of a kind that is already in the picture."""
    size_range: tuple[float, float] = (0.28, 0.6)
    """Size of an object (square root of its box's area) as a share of the image's shorter side. Objects of crowded
    pictures keep to the lower part of the range."""
    overlap: float = 0.12
    """Largest share of a box that another object's box may cover, so that every object stays recognizable."""
    mirror: float = 0.5
    """Probability that an object is drawn mirrored."""
    backgrounds: tuple[str, ...] = BACKGROUNDS
    """Sorts of background to choose from: plain, gradient, landscape, pattern."""
    jpeg_quality: int = 88
    """Quality of the JPEG files, 1 to 95."""
    languages: tuple[str, ...] = ("en",)
    """Languages of captions, expressions and questions: en, zh."""
    captions: int = 5
    """Captions an image."""
    expressions: int = 5
    """Referring expressions an image, spread over its objects. Fewer where no more of them would be unambiguous."""
    questions: int = 6
    """Questions an image. Fewer where no more of them would have one clear answer."""
    annotator_noise: float = 0.05
    """Probability that one of a question's ten answers is a synonym or a neighbouring answer; at most three are."""

    def __post_init__(self) -> None:
        for field in fields(self):  # lists, as YAML gives them, become tuples
            value = getattr(self, field.name)
            if isinstance(value, list):
                value = tuple(tuple(item) if isinstance(item, list) else item for item in value)
                object.__setattr__(self, field.name, value)
        for split in SPLITS:
            self._check(split, getattr(self, split) >= 0, "at least 0")
        self._check("kinds", 4 <= self.kinds <= len(KINDS), f"between 4 and {len(KINDS)}")
        # Each kind must keep partners for the other splits, so at most a third of all pairs can be set aside.
        most = self.kinds * (self.kinds - 1) // 6
        self._check("unseen_pairs", 0 <= self.unseen_pairs <= most, f"between 0 and {most} for {self.kinds} kinds")
        self._check("test_pairs", self.test_pairs == 0 or self.unseen_pairs > 0, "0 when unseen_pairs is 0")
        self._check(
            "sizes",
            bool(self.sizes) and all(len(size) == 2 and 32 <= min(size) <= max(size) <= 2048 for size in self.sizes),
            "pairs of width and height of 32 to 2048 pixels",
        )
        self._check(
            "objects",
            1 <= len(self.objects) <= 5 and min(self.objects) >= 0 and sum(self.objects) > 0,
            "one to five frequencies, not negative and not all zero",
        )
        low, high = self.size_range
        self._check("size_range", 0.1 <= low <= high <= 0.9, "low and high with 0.1 <= low <= high <= 0.9")
        self._check("overlap", 0 <= self.overlap <= 0.3, "between 0 and 0.3")
        for name in ("repeat", "mirror"):
            self._check(name, 0 <= getattr(self, name) <= 1, "a probability")
        self._check("annotator_noise", 0 <= self.annotator_noise <= 0.3, "between 0 and 0.3")
        for name, known in (("backgrounds", BACKGROUNDS), ("languages", LANGUAGES)):
            chosen = getattr(self, name)
            self._check(name, len(chosen) > 0 and set(chosen) <= set(known), f"one or more of {', '.join(known)}")
        self._check("jpeg_quality", 1 <= self.jpeg_quality <= 95, "between 1 and 95")
        for name, most in (("captions", 9), ("expressions", 9), ("questions", 99)):
            self._check(name, 1 <= getattr(self, name) <= most, f"between 1 and {most}")

    def _check(self, name: str, right: bool, rule: str) -> None:
        if not right:
            raise OFAError(f"{name} is {getattr(self, name)!r}; it must be {rule}")

    @cached_property
    def used_kinds(self) -> tuple[Kind, ...]:
        """The kinds of objects that these scenes show."""
        return KINDS[: self.kinds]

    @cached_property
    def held_out_pairs(self) -> frozenset[tuple[str, str]]:
        """Names of the pairs of kinds that only `test_pairs` shows together, each in alphabetical order."""
        pairs = sorted(combinations(sorted(kind.name for kind in self.used_kinds), 2))
        # No kind gives more than its share, so that every kind still meets most others in training.
        share = -(-2 * self.unseen_pairs // self.kinds)
        given = dict.fromkeys((kind.name for kind in self.used_kinds), 0)
        chosen: list[tuple[str, str]] = []
        random.Random(f"{self.seed}/unseen pairs").shuffle(pairs)
        for limit in (share, self.kinds):
            for pair in pairs:
                if len(chosen) < self.unseen_pairs and pair not in chosen and all(given[name] < limit for name in pair):
                    chosen.append(pair)
                    for name in pair:
                        given[name] += 1
        return frozenset(chosen)
