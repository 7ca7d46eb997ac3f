"""The pipeline that judges networks which exist already: what continuous integration asks before a merge."""

from kfp import dsl

from pipelines.chains import closing, evaluation, judgement, picked
from pipelines.placement import LIFE, Machines


@dsl.pipeline(
    name="ofa-evaluate-gate",
    description="Score networks on the test split beside the champion and say whether they may replace it. "
    "Nothing is registered.",
    pipeline_config=LIFE,
)
def evaluate_gate(
    networks: str,
    tables: str,
    evaluate: dict,
    gate: dict,
    tasks: list,
    node_selector: dict,
    tolerations: list,
    registry: str,
    champion: str = "",
):
    """Evaluate and judge.

    Args:
        networks: Address of a folder with a checkpoint folder a task, such as a release.
        tables: Address of a folder of tables.
        evaluate: Evaluation; section of params.yaml, as the following is.
        gate: What the networks must show.
        tasks: Names of the tasks.
        node_selector: Labels that nodes for evaluation must have.
        tolerations: Taints of such nodes that evaluation accepts.
        registry: MLflow tracking address: the champion.
        champion: Address of a folder with a champion's evaluations, a folder a task, instead of the registry's.
    """
    machines = Machines(node_selector, tolerations)
    with closing("ofa-evaluate-gate", registry):
        found = dsl.importer(artifact_uri=networks, artifact_class=dsl.Model, reimport=True)
        data = dsl.importer(artifact_uri=tables, artifact_class=dsl.Dataset, reimport=True)
        with dsl.ParallelFor(tasks, name="tasks") as task:
            evaluated = evaluation(task, picked(found.output, task), data.output, evaluate, machines)
        judgement(evaluated.outputs["evaluation"], data.output, gate, registry, champion)
