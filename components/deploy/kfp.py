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
) -> str:
    """Decide whether the evaluated networks may replace the champion.

    Args:
        evaluations: Evaluation folders, one a task.
        policy: The section `gate` of params.yaml.
        registry: MLflow tracking address.
        decision: The decision as JSON.
        tables: Folder of the tables that were evaluated; the champion is evaluated on them where it was not yet.

    Returns:
        promote, reject or undecided.
    """
    from components.deploy.gate import gate

    decision.path += ".json"
    folders = [evaluation.path for evaluation in evaluations]
    return gate(folders, decision.path, registry=registry, policy=policy).decision


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
        release: The bundle.
    """
    from components.deploy.bundle import bundle

    bundle([evaluation.path for evaluation in evaluations], release.path, [network.path for network in networks])


@dsl.component(base_image=images.DEPLOY, install_kfp_package=False)
def promote_release(
    release: dsl.Input[dsl.Model],
    decision: dsl.Input[dsl.Artifact],
    registry: str,
    report: dsl.Input[dsl.HTML] = None,
    pipeline_run: str = "",
) -> str:
    """Register a release, and make it the champion if the gate let it pass.

    Args:
        release: The bundle.
        decision: The gate's decision.
        registry: MLflow tracking address.
        report: Page to keep with the version.
        pipeline_run: Id of the pipeline run, kept as a tag.

    Returns:
        The version in the registry.
    """
    from components.deploy.promote import promote

    attachments = [report.path] if report else []
    return promote(release.path, decision.path, registry, attachments=attachments, pipeline_run=pipeline_run).version
