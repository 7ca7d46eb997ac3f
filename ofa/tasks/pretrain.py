"""The mixture of pretraining: pictures with texts, texts, pictures, and detection."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ofa.data.mixing import Source
from ofa.errors import OFAError, nearest
from ofa.tasks import Task, create
from ofa.tasks.detection import Detection, DetectionSettings
from ofa.tasks.infilling import ImageInfilling, ImageInfillingSettings, TextInfilling, TextInfillingSettings
from ofa.tasks.vision_language import VisionLanguage, VisionLanguageSettings


@dataclass(frozen=True, kw_only=True)
class PretrainSettings:
    """Settings of the tables of pretraining, the original's four and those in Chinese, and how they are mixed."""

    vision_language: VisionLanguageSettings = VisionLanguageSettings()
    vision_language_zh: VisionLanguageSettings = VisionLanguageSettings(language="chinese")
    text: TextInfillingSettings = TextInfillingSettings(confidence=2.0)
    text_zh: TextInfillingSettings = TextInfillingSettings(confidence=2.0, language="chinese")
    image: ImageInfillingSettings = ImageInfillingSettings(confidence=2.0)
    detection: DetectionSettings = DetectionSettings(confidence=2.0)
    weights: dict[str, float] = field(
        default_factory=lambda: {
            "vision_language": 8.0,
            "vision_language_zh": 8.0,
            "text": 2.0,
            "text_zh": 2.0,
            "image": 1.0,
            "detection": 1.0,
        }
    )
    """Rows of each table in a batch, relative to each other; the defaults are the original's."""
    blocks: dict[str, int] = field(default_factory=dict)
    """Neighboring rows of each table that are read together (`ofa.data.mixing.Source.block`); 1 where none is given."""

    def __post_init__(self):
        for kind in ("vision_language_zh", "text_zh"):
            if getattr(self, kind).language != "chinese":
                raise OFAError(f"{kind}: the texts of this table are Chinese; set language to chinese")
        for name in ("weights", "blocks"):
            for kind in getattr(self, name):
                if kind not in TASKS:
                    known = ", ".join(TASKS)
                    raise OFAError(f"{name}: no table '{kind}'{nearest(kind, list(TASKS))} (known: {known})")


TASKS = {
    "vision_language": VisionLanguage,
    "vision_language_zh": VisionLanguage,
    "text": TextInfilling,
    "text_zh": TextInfilling,
    "image": ImageInfilling,
    "detection": Detection,
}
"""By the kind of table, and for one in Chinese its kind and `_zh`."""

TEXTS = ("text", "text_zh")
"""Tables without pictures."""


def make_tasks(kinds: Iterable[str], settings: PretrainSettings) -> dict[str, Task]:
    """The tasks that read tables of these kinds, with their settings.

    Raises:
        OFAError: pretraining has no table of a kind.
    """
    for kind in kinds:
        if kind not in TASKS:
            raise OFAError(f"pretraining has no table {kind!r}{nearest(kind, list(TASKS))} (known: {', '.join(TASKS)})")
    return {kind: TASKS[kind](getattr(settings, kind)) for kind in kinds}


def answering_tasks(kinds: Iterable[str], settings: PretrainSettings) -> dict[str, Task]:
    """The tasks that tables of vision and language teach, by name, in their languages and as they are learned there."""
    tasks: dict[str, Task] = {}
    for kind in kinds:
        if TASKS[kind] is VisionLanguage:
            learned = getattr(settings, kind)
            shared = {name: getattr(learned, name) for name in ("patch_image_size", "language", "vocabulary")}
            bins = {name: getattr(learned, name) for name in ("num_bins", "max_image_size")}
            for name, own in (
                ("caption", {}),
                ("refcoco", bins),
                ("vqa", {"add_object": False, "prompt_type": "none"}),
            ):
                name += kind.removeprefix("vision_language")
                tasks[name] = create(name, shared | own)
    return tasks


def known_tasks(kinds: Iterable[str], settings: PretrainSettings) -> dict[str, Task]:
    """All tasks that a network can be asked for after pretraining on tables of these kinds, by name."""
    learned = make_tasks([kind for kind in kinds if not kind.endswith("_zh")], settings)
    return answering_tasks(kinds, settings) | {task.name: task for task in learned.values()}


def sources(tables: Mapping[str, Sequence], settings: PretrainSettings = PretrainSettings()) -> list[Source]:
    """The sources of a pretraining stream, for those tables that are given.

    Tables with pictures of one size, of which the encoder reads as many patches, form a group (see
    `ofa.data.mixing.Stream`); texts go with the last group. With the default sizes these are the original's two halves
    of a step: pictures with texts, and all the rest.

    Args:
        tables: by kind, as in `TASKS`.
        settings: of the tasks, and weights.

    Raises:
        OFAError: a table of another kind, or one without a weight.
    """
    tasks = make_tasks(tables, settings)
    for kind in tables:
        if kind not in settings.weights:
            raise OFAError(f"weights lack the table {kind!r} (they have {', '.join(settings.weights)})")
    form_of = {
        kind: (task.settings.patch_image_size, getattr(task.settings, "sample_patch_num", 0))
        for kind, task in tasks.items()
        if kind not in TEXTS
    }
    forms = list(dict.fromkeys(form_of.values()))
    group_of = {kind: forms.index(form) for kind, form in form_of.items()} | dict.fromkeys(
        TEXTS, max(len(forms) - 1, 0)
    )
    return [
        Source(
            table=table,
            task=tasks[kind],
            weight=settings.weights[kind],
            group=group_of[kind],
            name=kind,
            block=settings.blocks.get(kind, 1),
        )
        for kind, table in tables.items()
    ]
