"""From items to answers: admission, deadline, decoding, batches, the model of the moment."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from components.deploy.service.batching import Batcher
from components.deploy.service.errors import Busy, DeadlineExceeded, RequestError
from components.deploy.service.inputs import Item, open_picture
from components.deploy.service.keeper import Keeper
from components.deploy.service.metrics import Metrics
from components.deploy.service.models import Model, Skill
from components.deploy.service.remote import fetch_picture
from components.deploy.service.settings import ServiceSettings
from components.deploy.service.threads import usable_cores
from ofa.data.batch import Sample
from ofa.errors import OFAError
from ofa.tasks import Prediction


@dataclass(frozen=True)
class Answer:
    """The answer to one item."""

    operation: str
    result: dict[str, Any]
    """Value and score, as `Operation.show` gives them, and the seed where it was drawn."""
    alternatives: list[dict[str, Any]]
    """Other values with their scores, best first."""
    size: tuple[int, int] | None
    """Width and height of the upright picture, whose pixels boxes refer to; None where there was no picture."""


class Service:
    """Answers requests. `start` and `stop` frame its life; `answer` may be called by many tasks at a time.

    Args:
        settings: of the service.
        keeper: has the model.
        metrics: where everything is counted.
    """

    def __init__(self, settings: ServiceSettings, keeper: Keeper, metrics: Metrics):
        self.settings, self.keeper, self.metrics = settings, keeper, metrics
        self.draining = False
        self.threads = settings.threads or min(torch.get_num_threads(), usable_cores())
        self._admitted = 0
        self._decoders = ThreadPoolExecutor(min(4, usable_cores()), thread_name_prefix="decode")
        self._batcher: Batcher[Sample, Prediction] = Batcher(
            self._compute, settings.max_batch, settings.max_wait_ms / 1000, lambda: torch.set_num_threads(self.threads)
        )
        metrics.gauge("ofa_items_admitted", "Items in the service.", lambda: {(): self._admitted})
        metrics.gauge("ofa_items_waiting", "Items that wait for a computation.", lambda: {(): len(self._batcher)})
        metrics.gauge("ofa_ready", "1 when requests are answered.", lambda: {(): self.ready})
        metrics.gauge("ofa_model_info", "The model of the moment.", self._model_info, ("version", "source"))

    @property
    def ready(self) -> bool:
        """Whether requests should be sent here."""
        return self.keeper.ready and not self.draining

    @property
    def model(self) -> Model:
        """The model of the moment; raises NotReady when there is none yet."""
        return self.keeper.model

    def start(self) -> None:
        """Begin to load the model and to compute."""
        self._batcher.start()
        self.keeper.start()

    def drain(self) -> None:
        """Say that this is not ready, and answer what is here without waiting for more. For signal handlers."""
        self.draining = True
        self._batcher.hurry()

    def stop(self) -> None:
        """Finish what is waiting."""
        self.keeper.stop()
        self._batcher.close()
        self._decoders.shutdown()

    @contextmanager
    def admit(self, items: int = 1) -> Iterator[None]:
        """Hold places in the service; a request takes one before its body is read.

        Raises:
            Busy: there are not so many places left.
        """
        if self._admitted + items > self.settings.max_queue:
            raise Busy(f"{self._admitted} items are being answered, {self.settings.max_queue} at most; try again")
        self._admitted += items
        try:
            yield
        finally:
            self._admitted -= items

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """The frame of a request: one place in the service, and its deadline.

        Raises:
            Busy: no place is left.
            DeadlineExceeded: the block took too long; it was cancelled.
        """
        seconds = self.settings.deadline_seconds
        with self.admit():
            try:
                async with asyncio.timeout(seconds):
                    yield
            except TimeoutError:
                raise DeadlineExceeded(f"no answer within {seconds:g} seconds; try again later") from None

    async def answer(self, items: Sequence[Item]) -> tuple[Model, list[Answer]]:
        """Answer the items of a request, all with the same model.

        Raises:
            RequestError: an item cannot be answered; none is.
        """
        model = self.model
        skills = [model.skill(item.operation, item.candidates) for item in items]
        places: dict[bytes | str | None, list[int]] = {}  # one picture may have several questions
        for number, item in enumerate(items):
            places.setdefault(item.image, []).append(number)
        answers: list[Answer | None] = [None] * len(items)

        async def answer_all(numbers: list[int]) -> None:
            asked = [(skills[number], items[number]) for number in numbers]
            size, samples = await asyncio.get_running_loop().run_in_executor(self._decoders, self._prepare, asked)
            futures = [self._batcher.submit(skill, sample) for (skill, _), sample in zip(asked, samples, strict=True)]
            predictions = await asyncio.gather(*map(asyncio.wrap_future, futures))
            for number, prediction in zip(numbers, predictions, strict=True):
                answers[number] = _answer(items[number], prediction, size)

        with self.admit(len(items) - 1):
            try:
                async with asyncio.TaskGroup() as together:
                    for numbers in places.values():
                        together.create_task(answer_all(numbers))
            except ExceptionGroup as group:
                ours, _ = group.split(OFAError)
                if ours is None:
                    raise
                raise _first(ours) from None
        for item in items:
            self.metrics.items.labels(item.operation.name).inc()
        return model, answers

    def _prepare(self, asked: Sequence[tuple[Skill, Item]]) -> tuple[tuple[int, int] | None, list[Sample]]:
        """Decode the picture that the items share, if any, and make the samples; in a thread of its own."""
        content = asked[0][1].image
        if isinstance(content, str):
            content = fetch_picture(content, self.settings.image_hosts, self.settings.limits.image_bytes)
        picture = None if content is None else open_picture(content, self.settings.limits)
        samples = [skill.sample(picture, item.text, item.box, item.seed) for skill, item in asked]
        return None if picture is None else picture.size, samples

    def _compute(self, skill: Skill, samples: Sequence[Sample]) -> list[Prediction]:
        started = time.perf_counter()
        predictions = skill.predict(samples)
        self.metrics.batch_size.labels(skill.operation.name).observe(len(samples))
        self.metrics.batch_seconds.labels(skill.operation.name).observe(time.perf_counter() - started)
        return predictions

    def _model_info(self) -> dict[tuple[str, ...], float]:
        return {(self.model.version, self.model.source): 1.0} if self.keeper.ready else {}


def _answer(item: Item, prediction: Prediction, size: tuple[int, int] | None) -> Answer:
    operation = item.operation
    drawn = {} if item.seed is None else {"seed": item.seed}
    return Answer(operation.name, operation.show(prediction) | drawn, operation.show_alternatives(prediction), size)


def _first(errors: ExceptionGroup) -> OFAError:
    """The first problem, as one of the request where it is not one already."""
    error = errors.exceptions[0]
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error if isinstance(error, RequestError) else RequestError(str(error))
