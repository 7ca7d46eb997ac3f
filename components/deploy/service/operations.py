"""What can be asked of the service, and how its answers look. A new operation is one entry of `OPERATIONS`."""

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from PIL.Image import Image

from components.deploy.service.errors import NotFound
from ofa.errors import nearest
from ofa.tasks import Prediction
from ofa.tasks.boxes import Box
from ofa.tasks.image_classify import ImageClassifySettings
from ofa.tasks.instruction import Reply
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
    image: Literal["needed", "possible", "none"] = "needed"
    """Whether a picture goes with it."""
    text: str | None = None
    """Field of the request that holds the text; None: there is no text."""
    column: str | None = None
    """Column of the task's rows that the text becomes; None: it is called as the field."""
    article: bool = False
    """Whether the text may be as long as an article."""
    box: bool = False
    """Whether it is asked about a part of the picture: the field `box`."""
    seed: bool = False
    """Whether its answer is drawn: the field `seed`."""
    text_help: str = ""
    """What the text is."""
    example: str = ""
    """A text that could be sent."""
    limit: Callable[[Any, tuple[str, ...]], Any] | None = None
    """From the task's settings to those whose only answers are the given candidates; None: it takes no candidates."""

    @property
    def fields(self) -> list[str]:
        """Names of the fields that a request may have."""
        known = {"image": self.image != "none", self.text: self.text, "box": self.box, "seed": self.seed}
        known["candidates"] = self.limit
        return [name for name, taken in known.items() if taken]

    def show(self, prediction: Prediction) -> dict[str, Any]:
        """A prediction as JSON values."""
        return {self.result: plain(prediction.value), "score": prediction.score}

    def show_alternatives(self, prediction: Prediction) -> list[dict[str, Any]]:
        """Other values that the search found, best first; each once."""
        seen, found = [prediction.value], []
        for value, score in prediction.alternatives:
            if value not in seen:
                seen.append(value)
                found.append({self.result: plain(value), "score": score})
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
    Operation("region", "region_caption", "Describe what a part of a picture shows.", "text", box=True),
    Operation("classify", "image_classify", "Name what a picture shows.", "label", limit=_only_labels),
    Operation("detect", "detection", "List the objects in a picture.", "objects"),
    Operation(
        "paint",
        "image_gen",
        "Paint a picture of a text.",
        "picture",
        image="none",
        text="text",
        column="caption",
        seed=True,
        text_help="What the picture shows.",
        example="an apple on a yellow background.",
    ),
    Operation(
        "summarize",
        "gigaword",
        "Write the headline of a text.",
        "summary",
        image="none",
        text="text",
        column="source",
        article=True,
        text_help="The text.",
        example="the ferry between the two towns will stop for repairs until the end of june, its owner said.",
    ),
    Operation(
        "instruct",
        "instruction",
        "Follow an instruction in free words, with or without a picture.",
        "reply",
        image="possible",
        text="text",
        text_help="The instruction, in the words that the network was trained with.",
        example="what does the image describe?",
    ),
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


def plain(value: Any) -> Any:
    """A task's value as JSON values: boxes become objects with corners in pixels, pictures data URLs."""
    if isinstance(value, Reply):
        return {"text": value.text, "boxes": plain(value.boxes)}
    if isinstance(value, Image):
        content = io.BytesIO()
        value.save(content, "PNG")
        return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"
    if isinstance(value, Box):
        corners = {"x0": value.x0, "y0": value.y0, "x1": value.x1, "y1": value.y1}
        corners = {name: round(corner, 2) for name, corner in corners.items()}
        return corners | ({"label": value.label} if value.label else {})
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return value
