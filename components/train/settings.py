"""The sections of params.yaml that training reads, field by field."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components.params import load_params
from components.tables import negatives
from ofa.data.remote import below, local_file
from ofa.data.schema import TABLES
from ofa.errors import OFAError, nearest
from ofa.model import OFAConfig
from ofa.model.vqgan import VQGANConfig
from ofa.settings import build
from ofa.tasks import Task, create, get
from ofa.tasks.answers import read_answers
from ofa.tasks.base import Language
from ofa.tasks.pretrain import TASKS, PretrainSettings
from ofa.tasks.vision_language import VisionLanguage
from ofa.train.config import TrainConfig
from ofa.train.vqgan import CodingConfig


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """Section `model`: the network that pretraining starts from."""

    size: str = "nano"
    """Name of a preset: nano, tiny, medium, base, large, huge."""
    seed: int = 0
    """Of the random weights."""
    restrict_output: bool = False
    """Score only the vocabulary rows that the tables of pretraining use, and those of captioning, grounding and
    answering in their languages, which makes a step of a small network several times faster. Every other id can be
    read but never written."""
    smooth_bins: float = 0.0
    """Start the coordinate bins as a smooth curve: the width, in bins, of the Gaussian that their random rows are
    filtered with. What is learned of a coordinate then holds for its neighbors from the start, which small data
    need; 0 starts them independent, as the original."""
    overrides: dict[str, Any] = field(default_factory=dict)
    """Fields of `ofa.model.OFAConfig` that differ from the preset, for example {dropout: 0.0}."""

    def __post_init__(self):
        OFAConfig.preset(self.size, **self.overrides)


@dataclass(frozen=True, kw_only=True)
class StemSection:
    """Section `stem`: dense pretraining of the encoder on boxes and the texts that mean them (`ofa.train.stem`)."""

    patch_image_size: int = 128
    """Side of the square (pixels) that pictures are resized to."""
    languages: tuple[Language, ...] = ("english",)
    """Languages of the rows of visual grounding: english, chinese."""
    regions: float = 0.75
    """Share of rows of visual grounding in a batch; the others are rows of detection."""
    block: int = 1
    """Neighboring rows of visual grounding that are read together; those of a picture then share its encoding."""
    workers: int = 1
    """Processes that prepare batches."""
    max_bad_rows: int = 0
    """Bad rows that are replaced and counted before training stops."""
    train: dict[str, Any] = field(default_factory=dict)
    """What differs from the section `train`."""

    def __post_init__(self):
        if self.patch_image_size % 16:
            raise OFAError(f"patch_image_size must be a multiple of 16, got {self.patch_image_size}")
        if not 0 <= self.regions <= 1:
            raise OFAError(f"regions is a share, 0 to 1, got {self.regions}")


@dataclass(frozen=True, kw_only=True)
class VqganSection:
    """Section `vqgan`: the network between pictures and image codes (`ofa.train.vqgan`)."""

    size: str = "nano"
    """Name of a preset: nano, or f8_8192, which is the original's."""
    seed: int = 0
    """Of the random weights."""
    overrides: dict[str, Any] = field(default_factory=dict)
    """Fields of `ofa.model.vqgan.VQGANConfig` that differ from the preset, for example {codes: 1024}."""
    table: str = "detection"
    """Kind of the tables whose pictures are learned; detection has a row a picture."""
    coding: CodingConfig = CodingConfig()
    """Size of the pictures, temperatures, weight of the codes' divergence."""
    validation_rows: int = 200
    """Rows of the validation table that the network is measured on."""
    workers: int = 1
    """Processes that prepare batches."""
    max_bad_rows: int = 0
    """Bad rows that are replaced and counted before training stops."""
    train: dict[str, Any] = field(default_factory=dict)
    """What differs from the section `train`."""

    def __post_init__(self):
        VQGANConfig.preset(self.size, **self.overrides)
        kinds = [kind for kind, columns in TABLES.items() if "image" in columns]
        if self.table not in kinds:
            raise OFAError(f"table: no kind of table with pictures '{self.table}'{nearest(self.table, kinds)}")


@dataclass(frozen=True, kw_only=True)
class PretrainSection:
    """Section `pretrain`: all tasks together on the pretraining tables."""

    tables: tuple[str, ...] = ("vision_language", "detection", "text")
    """Kinds of tables to mix; each is the file KIND_train.tsv, or its shards."""
    tasks: PretrainSettings = PretrainSettings()
    """Settings of each table's task, their weights in a batch, and how many neighboring rows are read together."""
    workers: int = 1
    """Processes that prepare batches."""
    pool: int = 0
    """Batches whose rows are sorted by the length of their texts and dealt out again, so that a batch holds texts of
    similar length and little padding; 50 is a good value. 0: rows are only shuffled."""
    max_bad_rows: int = 0
    """Bad rows that are replaced and counted before training stops."""
    epochs: float = 0.0
    """Times that the first of the tables is read; sets `train.steps`. 0: `train.steps` says how long."""
    train: dict[str, Any] = field(default_factory=dict)
    """What differs from the section `train`."""

    def __post_init__(self):
        for kind in self.tables:
            if kind not in TASKS:
                raise OFAError(f"tables: pretraining has no table '{kind}'{nearest(kind, list(TASKS))}")


@dataclass(frozen=True, kw_only=True)
class FinetuneSection:
    """A key of the section `finetune`: one task, from the pretrained network."""

    task: str = ""
    """Name of the task; empty: the section's own key."""
    table: str = ""
    """The tables are TABLE_train.tsv and TABLE_val.tsv; empty: those of the task's kind and language."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Settings of the task; they go with the checkpoint, so that it is evaluated and served as it was trained."""
    block: int = 1
    """Neighboring rows that are read together; those of a picture then share its encoding."""
    model: dict[str, Any] = field(default_factory=dict)
    """Fields of `ofa.model.OFAConfig` that differ from the network that training starts from: drop path, frozen
    embeddings, prompts, adapters ..."""
    restrict_output: bool = False
    """Score only the vocabulary rows that the task's training table uses: its words, codes and coordinates. Every
    other id can be read but never written."""
    epochs: float = 0.0
    """Times that the training table is read; sets `train.steps`. 0: `train.steps` says how long."""
    validation_rows: int = 200
    """Rows of the validation table that the network is measured on while it trains."""
    workers: int = 1
    """Processes that prepare batches."""
    pool: int = 0
    """Batches whose rows are sorted by the length of their texts and dealt out again, so that a batch holds texts of
    similar length and little padding; 50 is a good value. 0: rows are only shuffled."""
    max_bad_rows: int = 0
    """Bad rows of the training table that are replaced and counted, or of the validation table that are left out,
    before training stops."""
    train: dict[str, Any] = field(default_factory=dict)
    """What differs from the section `train`."""

    def make_task(self, name: str, tables: str | Path) -> Task:
        """The task; `answers_file` and `labels_file` in its settings are files of the folder `tables`, and so are the
        wrong texts of image-text matching."""
        settings = dict(self.settings)
        try:
            for key in ("answers", "labels"):
                if settings.get(f"{key}_file"):
                    settings[key] = read_answers(local_file(below(tables, settings.pop(f"{key}_file"))))
            if get(self.task or name) is VisionLanguage and settings.get("matching_ratio", 1) > 0:
                settings.setdefault("negatives", negatives(tables, settings.get("language", "english")))
            return create(self.task or name, settings)
        except OFAError as error:
            raise OFAError(f"finetune.{name}: {error}") from None


def train_config(
    params: str | Path,
    section: PretrainSection | FinetuneSection | StemSection | VqganSection,
    where: str,
    rows: float = 0,
) -> TrainConfig:
    """The section `train`, which all stages share, with a stage's own values in front.

    Args:
        params: file with the settings.
        section: the stage's own.
        where: its place in the file.
        rows: length of the table that the section's `epochs` count, as seen by a whole batch.
    """
    shared = load_params(params).get("train") or {}
    if not isinstance(shared, dict):
        raise OFAError(f"{params}: train: expected keys and values, found {shared!r}")
    build(TrainConfig, {"steps": 1} | shared, f"{params}: train")  # what the stage replaces has to be right as well
    values = shared | section.train
    epochs = getattr(section, "epochs", 0)
    if epochs:
        if "steps" in section.train:
            raise OFAError(f"{params}: {where} has both epochs and train.steps; keep one")
        values["steps"] = math.ceil(epochs * rows / values.get("batch_size", TrainConfig.batch_size))
    return build(TrainConfig, values, f"{params}: {where}.train")


def finetune_section(params: str | Path, name: str) -> FinetuneSection:
    """The key `name` of the section `finetune`."""
    sections = load_params(params).get("finetune") or {}
    if name not in sections:
        raise OFAError(f"{params}: no 'finetune.{name}'{nearest(name, list(sections))} (known: {', '.join(sections)})")
    return build(FinetuneSection, sections[name], f"{params}: finetune.{name}")


def only_task(params: str | Path) -> str:
    """The key of the section `finetune` where it has a single one, as in a recipe."""
    names = list(load_params(params).get("finetune") or {})
    if len(names) != 1:
        raise OFAError(f"{params}: the section 'finetune' has {len(names)} keys ({', '.join(names)}): name one of them")
    return names[0]
