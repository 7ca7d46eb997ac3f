"""What can be asked of the service, and how its answers look. A new operation is one entry of `OPERATIONS`."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from components.deploy.service.errors import NotFound
from ofa.errors import nearest
from ofa.tasks import Prediction
from ofa.tasks.boxes import Box
from ofa.tasks.image_classify import ImageClassifySettings
from ofa.tasks.vqa import VqaSettings


@dataclass(frozen=True)
class Operation:
    """One thing that can be asked."""

    name: str
    """Its place in the API: `POST /api/{name}`."""
    task: str
    """The task of `ofa.tasks` that answers."""
    summary: str
    """What it does, for the documentation."""
    result: str
    """Field of the answer that holds the task's value."""
    text: str | None = None
    """Field of the request, and column of the task's rows, that holds the text; None: there is no text."""
    text_help: str = ""
    """What the text is."""
    example: str = ""
    """A text that could be sent."""
    limit: Callable[[Any, tuple[str, ...]], Any] | None = None
    """From the task's settings to those whose only answers are the given candidates; None: it takes no candidates."""

    def show(self, prediction: Prediction) -> dict[str, Any]:
        """A prediction as JSON values."""
        return {self.result: _plain(prediction.value), "score": prediction.score}

    def show_alternatives(self, prediction: Prediction) -> list[dict[str, Any]]:
        """Other values that the search found, best first; each once."""
        seen, found = [prediction.value], []
        for value, score in prediction.alternatives:
            if value not in seen:
                seen.append(value)
                found.append({self.result: _plain(value), "score": score})
        return found


def _only_answers(settings: VqaSettings, candidates: tuple[str, ...]) -> VqaSettings:
    inference = "beam" if settings.inference == "open" else settings.inference
    return replace(settings, answers=candidates, answers_file=None, inference=inference)


def _only_labels(settings: ImageClassifySettings, candidates: tuple[str, ...]) -> ImageClassifySettings:
    return replace(settings, labels=candidates, labels_file=None)


PLAIN = (
    Operation("caption", "caption", "Describe a picture in a sentence.", "caption"),
    Operation(
        "answer",
        "vqa",
        "Answer a question about a picture.",
        "answer",
        text="question",
        text_help="The question.",
        example="what is on the left?",
        limit=_only_answers,
    ),
    Operation(
        "ground",
        "refcoco",
        "Find the region of a picture that a text describes.",
        "box",
        text="text",
        text_help="What to find.",
        example="the apple left of the cat",
    ),
    Operation("classify", "image_classify", "Name what a picture shows.", "label", limit=_only_labels),
    Operation("detect", "detection", "List the objects in a picture.", "objects"),
)

"""What any network may do, in its language."""

_CHINESE = {"caption": "", "answer": "左边是什么？", "ground": "猫左边的苹果"}
"""Operations that have a task of their own in Chinese, with an example."""

OPERATIONS = (
    *PLAIN,
    *(
        replace(
            operation,
            name=f"{operation.name}_zh",
            task=f"{operation.task}_zh",
            summary=f"{operation.summary.removesuffix('.')}, in Chinese.",
            example=_CHINESE[operation.name],
        )
        for operation in PLAIN
        if operation.name in _CHINESE
    ),
)
"""In the order in which they are shown."""


def find(name: str) -> Operation:
    """The operation with this name; the name of its task is as good.

    Raises:
        NotFound: there is none.
    """
    for operation in OPERATIONS:
        if name in (operation.name, operation.task):
            return operation
    known = [operation.name for operation in OPERATIONS]
    raise NotFound(f"no operation '{name}'{nearest(name, known)} (known: {', '.join(known)})")


def _plain(value: Any) -> Any:
    """A task's value as JSON values: boxes become objects with corners in pixels."""
    if isinstance(value, Box):
        corners = {"x0": value.x0, "y0": value.y0, "x1": value.x1, "y1": value.y1}
        corners = {name: round(corner, 2) for name, corner in corners.items()}
        return corners | ({"label": value.label} if value.label else {})
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value
