"""What every group of commands shares: help in one style, errors for people, and options of the form KEY=VALUE."""

import errno
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import typer
from typer.core import TyperGroup

from ofa.errors import OFAError


class Guarded(TyperGroup):
    """Shows the problems that a user can solve as one line on standard error and exits with code 1.

    Anything else is a defect of the program and keeps its traceback.
    """

    def invoke(self, ctx: typer.Context) -> object:
        try:
            with _told() if ctx.parent is None else nullcontext():
                return super().invoke(ctx)
        except OFAError as error:
            message = " ".join(str(error).split())
        except OSError as error:
            if error.errno not in _SOLVABLE:
                raise
            place = f": {error.filename}" if error.filename else ""
            message = f"{os.strerror(error.errno)}{place}; {_SOLVABLE[error.errno]}"
        typer.echo(f"error: {message}", err=True)
        raise typer.Exit(1)


@contextmanager
def _told() -> Iterator[None]:
    """Show on standard error what the library logs: which checkpoint it loaded and how it was adapted, for example."""
    handler, logger = logging.StreamHandler(), logging.getLogger("ofa")
    handler.setFormatter(logging.Formatter("%(message)s"))
    handler.addFilter(lambda record: not record.name.startswith("urllib3"))  # it tells of attempts; the error tells all
    level = logger.level
    logger.setLevel(logging.INFO)
    logging.root.addHandler(handler)
    try:
        yield
    finally:
        logging.root.removeHandler(handler)
        logger.setLevel(level)


class Commands(typer.Typer):
    """A `typer.Typer` with the project's conventions; the root program and every group use it.

    `name` is the word on the command line and `help` the text that `--help` shows, in Markdown.
    """

    def __init__(self, name: str, help: str, cls: type[Guarded] = Guarded, **settings):
        super().__init__(
            name=name,
            help=help,
            cls=cls,
            no_args_is_help=True,
            rich_markup_mode="markdown",
            pretty_exceptions_enable=False,
            add_completion=False,
            **settings,
        )


def key_values(options: Sequence[str] | None) -> dict[str, Any]:
    """KEY=VALUE options; values are read as YAML, so that numbers and lists are what they look like.

    Raises:
        OFAError: an option has another form.
    """
    import yaml

    found = {}
    for option in options or ():
        key, mark, value = option.partition("=")
        try:
            found[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            mark = ""
        if not mark:
            raise OFAError(f"{option!r} must have the form KEY=VALUE, the value written as in YAML")
    return found


_SOLVABLE = {
    errno.ENOSPC: "free some space and run the same command again",
    errno.EDQUOT: "free some of your quota and run the same command again",
    errno.EACCES: "choose another folder or change its permissions",
    errno.EPERM: "choose another folder or change its permissions",
    errno.EROFS: "choose a folder on a disk that can be written",
}
