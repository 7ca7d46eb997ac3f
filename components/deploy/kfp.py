"""The release steps as KFP components. Switch their caching off: they read and change the registry."""

from kfp import dsl

from components import images


@dsl.component(base_image=images.DEPLOY, install_kfp_package=False)
def gate_release(
    evaluations: dsl.Input[list[dsl.Artifact]],
    policy: dict,
    registry: str,
    decision: dsl.Output[dsl.Artifact],
    tables: dsl.Input[dsl.Dataset] = None,
    champion: str = "",
) -> str:
    """Decide whether the evaluated networks may replace the champion.

    Args:
        evaluations: Evaluation folders, one a task.
        policy: The section `gate` of params.yaml.
        registry: MLflow tracking address.
        tables: Folder of the tables that were evaluated; the champion is evaluated on them where it was not yet.
        champion: Address of a folder with a champion's evaluations, instead of the registry's.

    Returns:
        decision: The decision as JSON.
        Output: promote, reject or undecided.
    """
    from components.deploy.gate import gate

    decision.path += ".json"
    folders = [evaluation.path for evaluation in evaluations]
    return gate(folders, decision.path, champion=champion, registry=registry, policy=policy).decision


@dsl.component(base_image=images.DEPLOY, install_kfp_package=False)
def bundle_release(
    evaluations: dsl.Input[list[dsl.Artifact]],
    networks: dsl.Input[list[dsl.Model]],
    release: dsl.Output[dsl.Model],
):
    """Collect evaluated networks and their evaluations in one folder.

    Args:
        evaluations: Evaluation folders, one a task.
        networks: The checkpoint folders that were evaluated.

    Returns:
        release: The bundle: the networks with the evaluations that they were judged by.
    """
    from components.deploy.bundle import bundle

    bundle([evaluation.path for evaluation in evaluations], release.path, [network.path for network in networks])


@dsl.component(base_image=images.DEPLOY, install_kfp_package=False)
def promote_release(
    release: dsl.Input[dsl.Model],
    decision: dsl.Input[dsl.Artifact],
    registry: str,
    report: dsl.Input[dsl.HTML] = None,
    tables: dsl.Input[dsl.Dataset] = None,
    pipeline_run: str = "",
) -> str:
    """Register a release, and make it the champion if the gate let it pass.

    Where another version became the champion since the gate decided, it decides again.

    Args:
        release: Networks with their evaluations, in one folder.
        decision: The gate's decision.
        registry: MLflow tracking address.
        report: Page to keep with the version.
        tables: Folder of the tables that were evaluated, in case the gate must evaluate another champion on them.
        pipeline_run: Id of the pipeline run, kept as a tag.

    Returns:
        Output: The version in the registry.
    """
    from components.deploy.promote import promote

    attachments = [report.path] if report else []
    return promote(release.path, decision.path, registry, attachments=attachments, pipeline_run=pipeline_run).version


@dsl.component(base_image=images.DEPLOY, install_kfp_package=False)
def look_for_news(version: str, registry: str) -> str:
    """Find out whether data are new to the champion, and to what was last tried in its place.

    Args:
        version: Version of the data.
        registry: MLflow tracking address.

    Returns:
        Output: new or known.
    """
    from components.deploy.renewal import is_new

    return "new" if is_new(version, registry) else "known"


@dsl.component(base_image=images.DEPLOY, install_kfp_package=False)
def get_champion(registry: str, release: dsl.Output[dsl.Model]):
    """Get the champion out of the model registry.

    Args:
        registry: MLflow tracking address.

    Returns:
        release: Its bundle: a checkpoint folder a task.
    """
    from components.deploy.registry import CHAMPION, Registry
    from ofa.errors import OFAError

    store = Registry(registry)
    champion = store.alias(CHAMPION)
    if champion is None:
        raise OFAError(f"{registry}: no champion yet; run the pipeline finetune first")
    store.download(champion.number, ".", release.path)
    release.metadata.update(version=champion.number)


@dsl.component(base_image=images.DEPLOY, install_kfp_package=False)
def pick_network(networks: dsl.Input[dsl.Model], task: str, network: dsl.Output[dsl.Model]):
    """Take the network of one task out of a folder of networks.

    Args:
        networks: A release, or any folder with a checkpoint folder a task.
        task: Name of the task.

    Returns:
        network: Checkpoint folder.
    """
    import shutil
    from pathlib import Path

    from ofa.errors import OFAError

    source = Path(networks.path) / task
    if not source.is_dir():
        raise OFAError(f"{networks.uri}: no network for the task {task} in it")
    shutil.copytree(source, network.path)


@dsl.component(base_image=images.DEPLOY, install_kfp_package=False)
def roll_out_champion(version: str, service: str, registry: str):
    """Wait until the service answers with the new champion; if it does not, the previous one is the champion again.

    Args:
        version: The new champion.
        service: Address of the service.
        registry: MLflow tracking address.
    """
    from components.deploy.rollout import roll_out

    roll_out(version, service, registry)


@dsl.component(base_image=images.DEPLOY, install_kfp_package=False)
def close_run(
    page: dsl.Output[dsl.HTML],
    status: dsl.PipelineTaskFinalStatus,
    pipeline: str,
    registry: str,
    pipeline_run: str,
    nodes: int = 0,
):
    """Write how the run ended and remove what its trainings left on a cluster: always, whatever went wrong before.

    Args:
        status: Filled in by Kubeflow Pipelines.
        pipeline: Name of the pipeline.
        registry: MLflow tracking address.
        pipeline_run: Id of the run.
        nodes: Nodes of its trainings; 0: they were steps of their own.

    Returns:
        page: How the run ended: its state, the error, the registered version.
    """
    import os

    from components.deploy.closing import close
    from components.train import step

    page.path += ".html"
    close(page.path, pipeline, pipeline_run, status.state, status.error_message or "", registry)
    if nodes:
        step.clear(os.environ[step.RUN], status.state == "SUCCEEDED")
