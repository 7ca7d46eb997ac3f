"""The last page of a pipeline run, which is written whether it went well or not."""

from html import escape

from components.deploy.registry import MODEL, Registry
from ofa.errors import OFAError
from ofa.files import atomic_write

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 48rem; margin: 2rem auto; padding: 0 1rem; color: #1c2733 }}
h1 {{ font-size: 1.5rem }}
.SUCCEEDED {{ color: #1a7f4b }} .FAILED, .CANCELLED {{ color: #b3261e }}
pre {{ background: #f4f6f8; padding: 1rem; overflow: auto; white-space: pre-wrap }}
table {{ border-collapse: collapse }} td, th {{ padding: .25rem 1rem .25rem 0; text-align: left }}
</style>
<h1>{title}: <span class="{state}">{state}</span></h1>
{body}
</html>
"""


def close(
    out: str, pipeline: str, run: str, state: str, message: str = "", registry: str = "", name: str = MODEL
) -> None:
    """Write a page about how a run ended and what it left in the registry.

    Args:
        out: HTML file to write.
        pipeline: its name.
        run: id of the run; versions that it registered carry it as a tag.
        state: SUCCEEDED, FAILED or CANCELLED.
        message: why it failed.
        registry: MLflow tracking address; empty, or one that does not answer: the page tells nothing of versions.
        name: of the registered model.
    """
    parts = [f"<p>Run {escape(run)}</p>"]
    if message:
        parts.append(f"<h2>Why</h2><pre>{escape(message)}</pre>")
    parts.append(_versions(run, registry, name))
    content = _PAGE.format(title=escape(pipeline), state=escape(state), body="\n".join(parts))
    with atomic_write(out) as file:
        file.write(content)


def _versions(run: str, registry: str, name: str) -> str:
    store = Registry(registry, name) if registry else None
    try:
        version = store.find("pipeline_run", run) if store is not None and store.exists() else None
    except OFAError as error:
        return f"<p>The model registry could not be asked: {escape(str(error))}</p>"
    if version is None:
        return "<p>It registered no version of the model.</p>"
    rows = "".join(
        f"<tr><td>{escape(key)}</td><td>{escape(value)}</td></tr>"
        for key, value in sorted(version.tags.items())
        if key.startswith("gate") or "[" in value or key.endswith((".data_version", ".data_commit"))
    )
    return f"<h2>Version {escape(version.number)} of {escape(name)}</h2><table>{rows}</table>"
