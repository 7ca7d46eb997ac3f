"""The training loop: update, record, validate, checkpoint, resume.

It knows nothing of tasks and tables. What a batch is worth is the objective's affair (`ofa.train.losses`,
`ofa.train.stem`), which rows make up a batch is the stream's (`ofa.data.mixing`).
"""

import logging
import math
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from ofa.device import exact_float32
from ofa.errors import OFAError
from ofa.progress import bar
from ofa.train.batches import Batches
from ofa.train.checkpoints import Checkpoints
from ofa.train.compact import CompactVocabulary
from ofa.train.config import TrainConfig
from ofa.train.distributed import World, exchange
from ofa.train.ema import EMA, copy_into
from ofa.train.flops import peak_flops
from ofa.train.history import History, Window
from ofa.train.layers import memory_and_speed
from ofa.train.losses import Objective, SequenceLoss, TokenLoss
from ofa.train.optimizer import AdamW, freeze
from ofa.train.preemption import Interrupted, Pause, Preempted, StopRequest
from ofa.train.reproducible import difference, fingerprint, seed_everything
from ofa.train.schedule import learning_rate
from ofa.train.sharding import fill, release, shard_root, sharded_copy
from ofa.train.statistics import BatchStatistics, batch_statistics

logger = logging.getLogger(__name__)

Callback = Callable[[int, Mapping[str, float]], None]
Validate = Callable[[nn.Module, Pause], Mapping[str, float]]


class BatchLike(Protocol):
    """What the loop asks of a batch."""

    ids: list[str]

    def __len__(self) -> int: ...
    def to(self, device: torch.device) -> "BatchLike": ...


class BatchStream(Protocol):
    """What the loop asks of a stream: batches from `step` on, endlessly; `ofa.data.mixing.Stream` is one."""

    step: int

    def __iter__(self) -> Iterator[BatchLike]: ...


@dataclass(frozen=True)
class TrainResult:
    """How a run ended. The network then holds the weights to deliver: the best, the averaged or the last ones."""

    steps: int
    """Updates made, by this and by interrupted runs before it."""
    metrics: dict[str, float]
    """The last validation's metrics; those of the best step where `best_metric` selects one."""
    best_step: int | None
    """Step of the best validation; None without `best_metric`."""
    skipped: int
    """Steps without an update because the loss or the gradient was not finite."""
    stopped_early: bool
    """True when `patience` ran out."""


def train(
    net: nn.Module,
    stream: BatchStream,
    config: TrainConfig,
    out_dir: str | Path,
    callbacks: Sequence[Callback] = (),
    validate: Validate | None = None,
    *,
    objective: Objective | None = None,
    identity: Mapping[str, Any] | None = None,
    restart: bool = False,
    world: World | None = None,
) -> TrainResult:
    """Train `net`, or go on where an interrupted run in `out_dir` stopped.

    A resumed run ends with the same weights, bit by bit, as one that was never interrupted (on a CPU, with the same
    number of ranks). For this every step draws its random numbers from (seed, step, rank), and the stream starts at
    the checkpoint's step.

    Files in `out_dir`: `checkpoints/` (see `ofa.train.checkpoints`), `history.csv` (loss, learning rate, gradient
    norm, speed) and `validation.csv`.

    Args:
        net: trained in place. Make it with the same weights each time (seed them): a resumed run checks that. With
            FSDP2 it has weights during a validation and in the end only.
        stream: batches of this rank; an update takes `config.accumulate` of them.
        config: settings.
        out_dir: made if it is missing.
        callbacks: called on rank 0 with (step, metrics); metrics of validations have the prefix "validation/".
        validate: measures the network on every rank (evaluation mode, averaged weights if there are any); rank 0's
            numbers count. Its second argument is to be called between batches, see `ofa.train.preemption.Pause`.
        objective: what to minimize; by default `SequenceLoss(config)`.
        identity: what else decides the result (data, task settings), as plain values; a checkpoint of a run with
            another identity or other settings is not resumed.
        restart: such a checkpoint is deleted and training starts anew; otherwise it is an error.
        world: this process among the others; by default as the launcher's environment says.

    Raises:
        OFAError: a checkpoint of another run is in the way; too many steps in a row are not finite; the batch does
            not divide among the ranks; the data loader or a rank is stalled; the GPU's memory is full.
        Preempted: SIGTERM or Ctrl-C came; a checkpoint was written.
    """
    world = world or World.connect(config.device, config.timeout)
    if config.batch_size % (config.accumulate * world.size):
        raise OFAError(
            f"batch_size {config.batch_size} does not divide into {config.accumulate} parts on each of {world.size} "
            "ranks: change batch_size, accumulate or the number of processes"
        )
    run_identity = fingerprint(net, config, identity)
    freeze(net, config.freeze)
    compact = CompactVocabulary.of(net) if objective is None and config.allowed_range is None else None
    if compact is not None:
        net, stream, validate = compact.net, compact.stream(stream), compact.validate(validate)
    objective = objective or SequenceLoss(config)
    if config.parallel == "fsdp" and not world.alone and objective.generates:
        raise OFAError(f"parallel: {type(objective).__name__} generates, which needs whole weights; use 'ddp'")
    trainer = _Trainer(net, stream, config, Path(out_dir), list(callbacks), validate, objective, world)
    with StopRequest() as stop:
        result = trainer.run(stop, run_identity, restart)
    if compact is not None:
        compact.write_back()
    return result


class _Step(nn.Module):
    """Network and objective as one module, so that everything differentiable happens inside one (parallel) call."""

    def __init__(self, net: nn.Module, objective: Objective):
        super().__init__()
        self.net, self.objective = net, objective

    def forward(self, batch: BatchLike, updates: int) -> TokenLoss:
        return self.objective(self.net, batch, updates)


class _Trainer:
    """The state of a run and the steps that change it."""

    def __init__(self, net, stream, config, out_dir, callbacks, validate, objective, world):
        self.config, self.world, self.stream, self.objective = config, world, stream, objective
        self.callbacks, self.validate = callbacks, validate
        self.given = net
        if config.parallel == "fsdp" and not world.alone:
            self.net = sharded_copy(net, world)
            self.module = shard_root(_Step(self.net, objective), world)
            release(net)
        else:
            self.net = net.to(device=world.device, memory_format=torch.channels_last)
            self.module = world.parallel(_Step(net, objective))
        self.optimizer = AdamW(self.net, config)
        self.ema = EMA(self.net, config.ema_decay) if config.ema_decay else None
        self.autocast = torch.autocast(world.device.type, torch.bfloat16, enabled=config.precision == "bf16")
        self.checkpoints = Checkpoints(out_dir / "checkpoints", config.keep, world)
        self.history = History(out_dir / "history.csv")
        self.validation = History(out_dir / "validation.csv")
        self.peak = peak_flops(world.device, config.precision)
        self.window = Window(world, self.peak, objective.unit)
        self.checkpoint_step: int | None = None
        self.rejected: list[Exception] = []
        self.state: dict[str, Any] = {
            "step": 0,
            "skipped": 0,
            "nonfinite_in_a_row": 0,
            "metrics": {},
            "best": None,
            "best_step": None,
            "validations_without_best": 0,
            "validated": 0,
            "stopped_early": False,
        }

    @property
    def step(self) -> int:
        return self.state["step"]

    def run(self, stop: StopRequest, run_identity: dict[str, Any], restart: bool) -> TrainResult:
        self.state["identity"] = run_identity
        self._resume(restart)
        self.stream.step = self.step * self.config.accumulate
        try:
            with memory_and_speed(self.net, self.config), exact_float32(self.config.precision):
                self._train(stop)
        except torch.OutOfMemoryError as error:
            raise OFAError(
                f"{self._where()}: CUDA out of memory; raise accumulate, which leaves the update as it is, turn on "
                "activation_checkpointing, or spread the network over several processes with parallel: fsdp"
            ) from error
        finally:
            self.checkpoints.wait()
        return self._deliver()

    def _train(self, stop: StopRequest) -> None:
        batches = Batches(self.stream, self.config.timeout)
        self.window.start()
        with bar(self.config.steps, "train", "step", self.step) if self.world.is_main else nullcontext() as progress:
            self._settle(stop)  # a run that was stopped while it validated goes on with that
            while self.step < self.config.steps and not self.state["stopped_early"]:
                parts = [self._prepare(batches.take(self._where()), i) for i in range(self.config.accumulate)]
                sizes, signum = self._agree(parts, stop)
                if signum:
                    self._leave(signum)
                self._update(parts, sizes)
                if self._due(self.config.log_every):
                    self._record(progress)
                self._settle(stop)
                if progress is not None:
                    progress.update()

    def _prepare(self, batch: BatchLike, part: int) -> BatchLike:
        self.rejected += getattr(batch, "rejected", ())
        self.objective.check(self.net, batch)
        seed_everything(self.config.seed, self.step, self.world.rank, part)
        if self.objective.generates:
            self.world.copy_from_main(batch_statistics(self.net))
        with self.autocast:
            return self.objective.prepare(self.net, batch.to(self.world.device))

    def _where(self) -> str:
        return f"step {self.step + 1}" + (f", rank {self.world.rank}" if self.world.size > 1 else "")

    def _settle(self, stop: StopRequest) -> None:
        """Validate and write a checkpoint where that is due after a step and not done yet."""
        if self.validate and self._due(self.config.validate_every) and self.state["validated"] != self.step:
            try:
                with self.window.paused():
                    self._validate(stop)
            except Interrupted as interrupted:
                self._leave(interrupted.signum)
            if self.checkpoint_step == self.step:
                self.checkpoint_step = None  # it was written before the validation
        if self._due(self.config.checkpoint_every) or self.state["stopped_early"]:
            self._checkpoint()

    def _due(self, every: int) -> bool:
        """Whether what happens every so many steps, and after the last one, does so now."""
        return self.step == self.config.steps or (every > 0 and self.step > 0 and self.step % every == 0)

    def _agree(self, parts: list[BatchLike], stop: StopRequest) -> tuple[list[float], int]:
        """The size of every part over all ranks (summed within its group), and whether any rank was asked to stop.

        The bad rows that any of them has met count for all.
        """
        # Read once: a request that comes after the exchange is unknown to the other ranks until the next one.
        asked = stop.signum
        groups = self._groups()
        sizes = [0.0] * groups
        for i, part in enumerate(parts):
            sizes[i % groups] += self.objective.size(part, self.step)
        rejected, self.rejected = self.rejected, []
        totals = self.world.meet([*sizes, len(rejected), asked], self._where())
        if self.world.size > 1 and totals[-2]:
            self.stream.bad_rows.add(self.world.from_all(rejected), report=self.world.is_main)
        signum = asked or (signal.SIGTERM if totals[-1] else 0)
        return [max(totals[i % groups], 1.0) for i in range(len(parts))], signum

    def _groups(self) -> int:
        return len(getattr(self.stream, "groups", [0])) if self.config.group_average else 1

    def _update(self, parts: list[BatchLike], sizes: list[float]) -> None:
        """One step: forward and backward of every part, then one update, unless something is not finite."""
        config = self.config
        self.module.train()
        statistics = BatchStatistics(self.net)
        self.optimizer.zero_grad()
        for i, (part, size) in enumerate(zip(parts, sizes, strict=True)):
            seed_everything(config.seed, self.step, self.world.rank, i)
            with exchange(self.module, now=i == len(parts) - 1):
                with self.autocast:
                    result = self.module(part, self.step)
                # Parallel gradients are means over the ranks; the loss is a mean over the tokens of all of them.
                (result.loss * (self.world.size / size)).backward()
            self.window.add(result, len(part), size, self.objective.flops(self.given, part) if self.peak else 0.0)
        norm = self.optimizer.clip(config.clip_norm)
        self.state["step"] += 1
        if not math.isfinite(norm):
            statistics.restore()
            self._skip(parts)
            return
        self.window.close_step(norm)
        self.state["nonfinite_in_a_row"] = 0
        self.optimizer.step(learning_rate(config, self.step - 1))
        if self.ema:
            self.ema.update()

    def _skip(self, parts: list[BatchLike]) -> None:
        finite = math.isfinite(self.window.step_sums[0].item())
        self.window.drop_step()
        self.state["skipped"] += 1
        self.state["nonfinite_in_a_row"] += 1
        own = [name for part in parts for name in part.ids]
        # Those of the ranks whose loss is not finite; all of them where only the gradient is not.
        ids = self.world.from_all([] if finite else own) or self.world.from_all(own)
        shown = ", ".join(ids[:20]) + (", ..." if len(ids) > 20 else "")
        if self.world.is_main:
            logger.warning("step %d skipped: loss or gradient is not finite (samples %s)", self.step, shown)
        if self.state["nonfinite_in_a_row"] >= self.config.max_nonfinite:
            raise OFAError(
                f"{self.config.max_nonfinite} steps in a row, the last of them {self.step}, had a loss or gradient "
                f"that is not finite; samples of the last: {shown}. Lower lr, or look at these rows"
            )

    def _record(self, progress) -> None:
        values = self.window.flush() | {
            "learning_rate": learning_rate(self.config, self.step - 1),
            "skipped": self.state["skipped"],
        }
        if self.world.is_main:
            self.history.add(self.step, values)
            self._tell(values)
            shown = ["loss {loss:.3f}", "{samples_per_second:.0f} samples/s"]
            if unit := self.objective.unit:
                shown.append(f"{{{unit}_per_second:.0f}} {unit}/s")
            shown += ["{memory_gib:.1f} GiB"] + ["MFU {mfu:.0%}"] * ("mfu" in values)
            progress.set_postfix_str(", ".join(shown).format(**values), refresh=False)

    def _tell(self, values: Mapping[str, float]) -> None:
        for callback in self.callbacks:
            callback(self.step, values)

    def _validate(self, stop: StopRequest) -> None:
        """Measure the network as it would be delivered, and keep it when it is the best so far."""
        state, config = self.state, self.config

        def pause() -> None:
            asked = stop.signum
            if self.world.meet([asked], f"the validation after step {self.step}")[0]:
                raise Interrupted(asked or signal.SIGTERM)

        with self.ema.applied() if self.ema else nullcontext():
            self.world.copy_from_main(batch_statistics(self.net))
            with self._as_given() as net:
                found = self.validate(net.eval(), pause)
            metrics = self.world.from_main({name: float(value) for name, value in found.items()})
            state |= {"metrics": metrics, "validated": self.step}
            if self.world.is_main:
                self.validation.add(self.step, metrics)
                self._tell({f"validation/{name}": value for name, value in metrics.items()})
            if not config.best_metric:
                return
            if config.best_metric not in metrics:
                raise OFAError(f"best_metric '{config.best_metric}' is not measured; there are {', '.join(metrics)}")
            if state["best"] is not None and metrics[config.best_metric] <= state["best"][config.best_metric]:
                state["validations_without_best"] += 1
                state["stopped_early"] = 0 < config.patience <= state["validations_without_best"]
                return
            state |= {"best": metrics, "best_step": self.step, "validations_without_best": 0}
            self.checkpoints.save_best(self.step, self._weights(), {"step": self.step, "metrics": metrics})

    @contextmanager
    def _as_given(self) -> Iterator[nn.Module]:
        """The caller's network, with the current weights inside the block."""
        if self.given is self.net:
            yield self.given
            return
        fill(self.given, self.net)
        try:
            yield self.given
        finally:
            release(self.given)

    def _weights(self) -> dict[str, torch.Tensor]:
        """The live weights by their names in a checkpoint."""
        return {f"model.{name}": tensor for name, tensor in self.net.state_dict().items()}

    def _tensors(self) -> dict[str, torch.Tensor]:
        """Every tensor of the run; live, so that reading into them resumes it."""
        parts = {"optimizer": self.optimizer.state(), "ema": self.ema.average if self.ema else {}}
        return self._weights() | {f"{part}.{name}": t for part, tensors in parts.items() for name, t in tensors.items()}

    def _checkpoint(self) -> None:
        if self.checkpoint_step != self.step:
            self.checkpoint_step = self.step
            self.checkpoints.save(self.step, self._tensors(), self.state)

    def _leave(self, signum: int) -> None:
        self._checkpoint()
        self.checkpoints.wait()
        self.world.barrier()
        logger.warning("stopped on request after step %d; start again to go on", self.step)
        raise Preempted(signum)

    def _resume(self, restart: bool) -> None:
        """Take up the newest checkpoint that is whole."""
        step, state = self.checkpoints.latest() or (0, None)
        if state is not None:
            changed = self.world.from_main(difference(state["identity"], self.state["identity"]))
            if changed and not restart:
                raise OFAError(
                    f"{self.checkpoints.folder} holds a run with other settings ({changed}): "
                    "choose another folder, delete this one, or ask to restart"
                )
            if changed:
                logger.warning("training starts anew, its settings changed (%s)", changed)
                state = None
        if state is not None:
            self.state |= state
            self.checkpoints.load(step, self._tensors())
            self.optimizer.refresh()
            self.checkpoint_step = self.step
            logger.info("going on after step %d", self.step)
        if self.world.is_main:
            if state is None:
                self.checkpoints.remove_all()
            self.checkpoints.clean(after=self.step)
            self.history.truncate(self.step)
            self.validation.truncate(self.state["validated"])

    def _deliver(self) -> TrainResult:
        """Leave the best weights in the network, or the averaged ones, or the last."""
        state = self.state
        if state["best_step"] is not None:
            self.checkpoints.load_best(state["best_step"], self._weights())
        elif self.ema:
            copy_into(self.net.state_dict(), self.ema.average)
        if self.given is not self.net:
            fill(self.given, self.net)
        self.given.eval()
        return TrainResult(
            steps=self.step,
            metrics=state["best"] or state["metrics"],
            best_step=state["best_step"],
            skipped=state["skipped"],
            stopped_early=state["stopped_early"],
        )
