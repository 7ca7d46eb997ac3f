"""The arguments of a data step out of its section of params.yaml."""

import dataclasses
import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any

from components.params import restored
from ofa.settings import build


def step_arguments(step: Callable, values: Mapping[str, Any], where: str, **given: Any) -> dict[str, Any]:
    """The arguments of a step that have defaults: those `given` and not None, then `values`, then the defaults.

    Args:
        step: its signature says which keys there are, and their types.
        values: its section.
        where: how errors name the section.
        given: what goes before the section.

    Raises:
        OFAError: the section has a key that the step does not know, or a value of a wrong type.
    """
    hints = typing.get_type_hints(step)
    fields = [
        (name, hints[name], dataclasses.field(default=parameter.default))
        for name, parameter in inspect.signature(step).parameters.items()
        if parameter.default is not parameter.empty
    ]
    arguments = dataclasses.make_dataclass("Arguments", fields, frozen=True)
    chosen = {name: value for name, value in given.items() if value is not None}
    built = build(arguments, restored(values), where)
    return {field.name: getattr(built, field.name) for field in dataclasses.fields(built)} | chosen
