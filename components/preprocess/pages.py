"""HTML pages from the templates beside this module; each is one file that needs no network."""

from pathlib import Path

TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, **values: object) -> str:
    """The page that a template makes of `values`; text in them is escaped."""
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template(template).render(**values)
