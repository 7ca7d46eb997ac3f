"""The model that answers: what is in a folder, loaded, and ready for batches."""

import copy
import dataclasses
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any

import torch
from PIL import Image

from components.deploy.bundle import BUNDLE, load_bundle
from components.deploy.service.errors import NotFound, RequestError
from components.deploy.service.operations import OPERATIONS, PLAIN, Operation
from components.deploy.service.reports import has_report, render_report
from components.lineage import checkpoint_hash
from ofa import OFA
from ofa.checkpoint.folder import CONFIG
from ofa.data.batch import Sample, collate
from ofa.errors import OFAError
from ofa.generate import SearchConfig
from ofa.paint import Painter
from ofa.settings import build
from ofa.tasks import Prediction, Task, create, get
from ofa.tasks.image_gen import ImageGen
from ofa.tasks.store import learned_settings, load_task, saved_settings

_REMEMBERED = 32
"""Lists of candidates whose compiled form a model keeps."""

_WARM_SIZE = (64, 64)

PAINTED = 4
"""Pictures of one text that are shown: the best of those that were drawn."""


@dataclass(frozen=True, eq=False)
class Skill:
    """A network with a task: what a batch is made for. Batches hold samples of one skill."""

    operation: Operation
    ofa: OFA
    task: Task
    search: SearchConfig | None
    """None: the task's own."""

    def sample(
        self,
        image: Image.Image | None,
        text: str | None,
        box: Sequence[float] | None = None,
        seed: int | None = None,
    ) -> Sample:
        """What the network reads for one item; the box is in pixels of the picture, the seed that of what is drawn.

        Raises:
            OFAError: the item cannot be used.
        """
        row: dict[str, Any] = {"uniq_id": "", "image_id": "", "objects": ""}  # as the evaluation's rows, without truth
        if image is not None:
            row["image"] = image
        if self.operation.text is not None:
            row[self.operation.column or self.operation.text] = text
        if box is not None:
            x0, y0, x1, y1 = box
            if min(x0, y0) < 0 or x1 > image.width or y1 > image.height:
                raise RequestError(f"the box {box} is not inside the picture of {image.width} x {image.height} pixels")
            row["box"] = f"{x0},{y0},{x1},{y1}"
        sample = self.task.sample(row, False, Random(0))
        sample.seed = seed
        return sample

    def predict(self, samples: Sequence[Sample]) -> list[Prediction]:
        """Predictions of a batch; image codes are painted."""
        with torch.inference_mode():
            found = self.task.predict(self.ofa.net, collate(samples).to(self.ofa.device), self.search)
        return list(map(self._painted, found)) if isinstance(self.task, ImageGen) else found

    def _painted(self, prediction: Prediction) -> Prediction:
        drawn = [(prediction.value, prediction.score), *prediction.alternatives][:PAINTED]
        pictures = Painter(self.ofa.vqgan).pictures([codes for codes, _ in drawn])
        first, *others = zip(pictures, (score for _, score in drawn), strict=True)
        return dataclasses.replace(prediction, value=first[0], score=first[1], alternatives=tuple(others))


@dataclass(frozen=True, eq=False)
class Model:
    """Everything that answers requests between two changes of the model."""

    version: str
    """Number in the registry, or for a folder the first digits of its content's hash."""
    source: str
    """Where it came from, as it was asked for."""
    skills: dict[str, Skill]
    """By name of the operation."""
    scores: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By name of the operation: metric, score, interval of the evaluation that the release was judged by."""
    folder: Path | None = None
    """Where a release is, with the evaluations that it was judged by."""
    registered: str | None = None
    """Web address where the registry shows this version."""
    loaded: datetime = field(default_factory=lambda: datetime.now(UTC))
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _limited: OrderedDict[tuple[str, ...], Skill] = field(default_factory=OrderedDict, repr=False)

    @cached_property
    def report(self) -> str | None:
        """The page about the release's evaluations; None where it carries none. Slow at first."""
        return render_report(self.folder, self.version) if self.folder and has_report(self.folder) else None

    def does(self, operation: Operation) -> bool:
        """Whether it can be asked for this."""
        return operation.name in self.skills

    def skill(self, operation: Operation, candidates: tuple[str, ...] = ()) -> Skill:
        """The skill for an operation, its answers limited to `candidates` where there are any.

        Raises:
            NotFound: the model does not do this.
            RequestError: the operation takes no candidates.
        """
        if not self.does(operation):
            raise NotFound(f"this model cannot {operation.name}; it can {', '.join(self.skills)}")
        skill = self.skills[operation.name]
        if not candidates:
            return skill
        if operation.limit is None:
            raise RequestError(f"{operation.name} takes no candidates; leave them out")
        with self._lock:
            key = (operation.name, *candidates)
            if key not in self._limited:
                self._limited[key] = _limit(skill, candidates)
            self._limited.move_to_end(key)
            if len(self._limited) > _REMEMBERED:
                self._limited.popitem(last=False)
            return self._limited[key]

    def warm(self) -> None:
        """Run every skill once, so that the first request does not pay for what happens only once."""
        for skill in self.skills.values():
            if isinstance(skill.task, ImageGen):  # thousands of tokens: once is enough
                skill = dataclasses.replace(
                    skill, search=dataclasses.replace(skill.search or skill.task.search, beam=1)
                )
            skill.predict([_example(skill)])


def load_model(folder: str | Path, source: str, version: str | None = None, device: str = "auto") -> Model:
    """Load a bundle, a checkpoint, or a folder of checkpoint folders, best named after their tasks.

    Args:
        folder: where it is.
        source: as it was asked for.
        version: None takes it from the content.
        device: auto, cpu or cuda.

    Raises:
        OFAError: nothing there that the service could answer with.
    """
    folder = Path(folder)
    if (folder / BUNDLE).is_file():
        return _load_bundle(folder, source, version, device)
    if folder.is_dir() and not (folder / CONFIG).is_file():
        return _load_folders(folder, source, version, device)
    if not folder.exists():
        raise OFAError(f"{folder}: no such model; name a checkpoint, a bundle, or models:/NAME@ALIAS of the registry")
    digest, _ = checkpoint_hash(folder)
    skills = _skills(OFA.from_pretrained(folder, device), saved_settings(folder))
    if not skills:
        known = ", ".join(operation.task for operation in OPERATIONS)
        trained = ", ".join(saved_settings(folder))
        raise OFAError(f"{folder}: trained for {trained} alone, the service answers with {known}")
    return Model(version or digest[:12], source, skills)


def _skills(ofa: OFA, trained: Mapping[str, Any]) -> dict[str, Skill]:
    """All that a network can be asked for: what it was trained for, or where that is not known, what it can read."""
    skills = {}
    for operation in OPERATIONS if trained else PLAIN:
        if trained and learned_settings(trained, operation.task) is None:
            continue
        skill = Skill(operation, ofa, ofa.task(operation.task), None)
        if trained or _reads(skill):
            skills[operation.name] = skill
    return _able(skills)


def _able(skills: dict[str, Skill]) -> dict[str, Skill]:
    """Those for which everything is there: painting needs a VQ-GAN. Where a network captions, it chooses the best
    picture, as in the evaluation."""
    paint, caption = skills.get("paint"), skills.get("caption")
    if paint is not None and paint.ofa.vqgan is None:
        return {name: skill for name, skill in skills.items() if name != "paint"}
    if paint is not None and caption is not None and caption.task.settings.language == "english":
        task = copy.copy(paint.task)
        task.rank = Painter(paint.ofa.vqgan, caption.ofa.caption_scores).rank
        return skills | {"paint": dataclasses.replace(paint, task=task)}
    return skills


def _reads(skill: Skill) -> bool:
    """Whether the task speaks the network's language."""
    try:
        _example(skill)
    except OFAError:
        return False
    return True


def _example(skill: Skill) -> Sample:
    operation = skill.operation
    blank = None if operation.image == "none" else Image.new("RGB", _WARM_SIZE, "white")
    return skill.sample(blank, operation.example or None, (0, 0, *_WARM_SIZE) if operation.box else None)


def _load_bundle(folder: Path, source: str, version: str | None, device: str) -> Model:
    content = load_bundle(folder)
    networks: dict[str, OFA] = {}  # tasks that share a checkpoint share the network in memory
    skills, scores = {}, {}
    for operation in OPERATIONS:
        name = next((name for name in (operation.task, get(operation.task).part_of) if name in content.tasks), None)
        if name is None:
            continue
        member, place = content.tasks[name], folder / name
        if member.checkpoint_sha256 not in networks:
            networks[member.checkpoint_sha256] = OFA.from_pretrained(place, device)
        task, search = load_task(place, operation.task), None
        if name == operation.task:
            search = build(SearchConfig, member.search, f"{folder / BUNDLE}: tasks.{name}.search")
            interval = list(member.interval)
            scores[operation.name] = {"metric": member.metric, "score": member.score, "interval": interval}
        skills[operation.name] = Skill(operation, networks[member.checkpoint_sha256], task, search)
    skills = _able(skills)
    if not skills:
        raise OFAError(f"{folder}: a bundle of {', '.join(content.tasks)}, none of which the service answers with")
    return Model(version or content.sha256[:12], source, skills, scores, folder)


def _load_folders(folder: Path, source: str, version: str | None, device: str) -> Model:
    """For each operation the network in the folder that is named after its task, else the first that learned it."""
    places = {path.parent.name: saved_settings(path.parent) for path in sorted(folder.glob(f"*/{CONFIG}"))}
    networks: dict[str, OFA] = {}
    skills = {}
    for operation in OPERATIONS:
        learned = [name for name, trained in places.items() if learned_settings(trained, operation.task) is not None]
        name = operation.task if operation.task in places else next(iter(learned), None)
        if name is None:
            continue
        if name not in networks:
            networks[name] = OFA.from_pretrained(folder / name, device)
        skills[operation.name] = Skill(operation, networks[name], networks[name].task(operation.task), None)
    skills = _able(skills)
    if not skills:
        known = ", ".join(operation.task for operation in OPERATIONS)
        raise OFAError(
            f"{folder}: neither a checkpoint nor a bundle, and no checkpoint folder in it is for one of: {known}"
        )
    digests = "".join(checkpoint_hash(folder / name)[0] for name in networks)
    return Model(version or hashlib.sha256(digests.encode()).hexdigest()[:12], source, skills)


def _limit(skill: Skill, candidates: tuple[str, ...]) -> Skill:
    settings = skill.operation.limit(skill.task.settings, candidates)
    return dataclasses.replace(skill, task=create(skill.task.name, settings))
