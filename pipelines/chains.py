"""Chains of steps that pipelines share. They are written into the pipeline that calls them."""

from typing import NamedTuple

from kfp import dsl
from kfp.dsl.pipeline_channel import PipelineChannel

from components.deploy.kfp import bundle_release, close_run, gate_release, pick_network
from components.evaluate.kfp import evaluate_network, write_report
from components.preprocess.kfp import build_shards, build_tables, describe_tables, fetch_data, validate_data
from components.train.kfp import pretrain_network, train_stem
from pipelines.placement import DATA, EVALUATE, Machines, fresh, place, place_training, share


class Training(NamedTuple):
    """Where trainings run, as parameters of a pipeline."""

    machines: Machines
    nodes: PipelineChannel
    gpus: PipelineChannel
    queue: PipelineChannel
    hours: PipelineChannel

    @property
    def job(self) -> dict[str, PipelineChannel]:
        """Arguments of a training's component."""
        return {"nodes": self.nodes, "gpus": self.gpus, "queue": self.queue, "hours": self.hours}


def closing(pipeline: str, registry: PipelineChannel, training: Training | None = None) -> dsl.ExitHandler:
    """The block in which a pipeline does its work: however that ends, a page about the run is written, and what its
    trainings left on the cluster is removed.

    KFP lets no output leave such a block: what a run made is with its steps.
    """
    nodes = {"nodes": training.nodes} if training else {}
    task = close_run(pipeline=pipeline, registry=registry, pipeline_run=dsl.PIPELINE_JOB_ID_PLACEHOLDER, **nodes)
    place(fresh(task))
    return dsl.ExitHandler(share(task) if training else task, name="work")


def data_tables(
    fetch: PipelineChannel, validate: PipelineChannel, tables: PipelineChannel, shards: PipelineChannel
) -> PipelineChannel:
    """Fetch, validate, build the tables in as many parts as there are `shards`; the folder of tables."""
    # The address of a folder or a branch may hold other data tomorrow, so the copy is not taken from a cache; what
    # follows is, as long as the data that arrive are the same.
    fetched = place(fresh(fetch_data(settings=fetch)), DATA).outputs["raw"]
    validated = place(validate_data(raw=fetched, settings=validate), DATA).outputs["validated"]
    with dsl.ParallelFor(shards, name="shards") as number:
        part = place(
            build_shards(raw=fetched, validated=validated, number=number, numbers=shards, settings=tables), DATA
        )
    built = build_tables(raw=fetched, validated=validated, settings=tables, parts=dsl.Collected(part.outputs["part"]))
    found = place(built, DATA).outputs["tables"]
    place(describe_tables(tables=found), DATA)
    return found


class Pretrained(NamedTuple):
    """What pretraining gives."""

    network: PipelineChannel
    stem_run: PipelineChannel
    """What the training of the stem left, for its curves."""
    run: PipelineChannel


def pretraining(
    tables: PipelineChannel,
    model: PipelineChannel,
    train: PipelineChannel,
    stem: PipelineChannel,
    pretrain: PipelineChannel,
    registry: PipelineChannel,
    training: Training,
) -> Pretrained:
    """The stem, then the network on all tasks."""
    seeing = train_stem(
        tables=tables, model=model, train=train, stem=stem, pretrain=pretrain, registry=registry, **training.job
    )
    place_training(seeing, training.machines)
    trained = pretrain_network(
        tables=tables,
        stem=seeing.outputs["network"],
        model=model,
        train=train,
        pretrain=pretrain,
        registry=registry,
        **training.job,
    )
    place_training(trained, training.machines)
    return Pretrained(trained.outputs["network"], seeing.outputs["run"], trained.outputs["run"])


def evaluation(
    task: PipelineChannel,
    network: PipelineChannel,
    tables: PipelineChannel,
    settings: PipelineChannel,
    machines: Machines,
):
    """The task that evaluates a network."""
    return place(evaluate_network(task=task, network=network, tables=tables, settings=settings), EVALUATE, machines)


def picked(networks: PipelineChannel, task: PipelineChannel) -> PipelineChannel:
    """The network of a task out of a folder of networks."""
    return place(pick_network(networks=networks, task=task)).outputs["network"]


class Judged(NamedTuple):
    """What the gate and the report give."""

    decision: PipelineChannel
    """promote, reject or undecided."""
    document: PipelineChannel
    """The decision with all its rules."""
    page: PipelineChannel
    """The report."""


def judgement(
    evaluations: PipelineChannel,
    tables: PipelineChannel,
    gate: PipelineChannel,
    registry: PipelineChannel,
    champion: PipelineChannel | str = "",
    **runs: PipelineChannel,
) -> Judged:
    """Hold the evaluations against the champion, and write the report; `runs` are trainings for their curves."""
    # Each consumer needs a Collected of its own: KFP changes the object.
    decided = gate_release(
        evaluations=dsl.Collected(evaluations), tables=tables, policy=gate, registry=registry, champion=champion
    )
    place(fresh(decided), EVALUATE)
    document = decided.outputs["decision"]
    reported = write_report(evaluations=dsl.Collected(evaluations), tables=tables, decision=document, **runs)
    return Judged(decided.outputs["Output"], document, place(reported).outputs["page"])


def bundle(evaluations: PipelineChannel, networks: PipelineChannel) -> PipelineChannel:
    """The release: all networks with the evaluations that they were judged by."""
    made = bundle_release(evaluations=dsl.Collected(evaluations), networks=dsl.Collected(networks))
    return place(made).outputs["release"]
