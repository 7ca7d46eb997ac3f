"""The expectations of each kind of table, read from YAML files that a data engineer can edit.

`expectations/KIND.yaml` is a list; each entry names an expectation of Great Expectations (`expect`), says why it must
hold (`because`), and gives its arguments; `severity: warning` reports without stopping. They run on the records of
`components.preprocess.records`, where a value that does not apply to a row is absent, so that no condition is needed.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from ofa.errors import OFAError, nearest

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite
    from great_expectations.expectations.expectation import Expectation

SHIPPED = Path(__file__).parent / "expectations"


def load_suite(kind: str, folder: str | Path = "") -> "ExpectationSuite":
    """The expectations of a kind of table from `folder`, or those that come with the project where it has no such file.

    Raises:
        OFAError: an entry is not understood, with the file and the number of the entry.
    """
    from great_expectations import ExpectationSuite

    path = Path(folder, f"{kind}.yaml") if folder else SHIPPED / f"{kind}.yaml"
    if not path.is_file():
        path = SHIPPED / f"{kind}.yaml"
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise OFAError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(entries, list):
        raise OFAError(f"{path}: must be a list of expectations")
    expectations = [_expectation(entry, f"{path}, entry {number}") for number, entry in enumerate(entries, 1)]
    return ExpectationSuite(name=kind, expectations=expectations)


def _expectation(entry: object, where: str) -> "Expectation":
    from great_expectations.exceptions import ExpectationNotFoundError
    from great_expectations.expectations.registry import (
        get_expectation_impl,
        list_registered_expectation_implementations,
    )

    if not isinstance(entry, dict) or not {"expect", "because"} <= entry.keys():
        raise OFAError(f"{where}: needs the keys 'expect' and 'because'")
    arguments = dict(entry)
    name, because = arguments.pop("expect"), arguments.pop("because")
    try:
        return get_expectation_impl(name)(notes=because, **arguments)
    except ExpectationNotFoundError:
        known = list_registered_expectation_implementations()
        raise OFAError(f"{where}: Great Expectations has no '{name}'{nearest(str(name), known)}") from None
    except (ValueError, TypeError) as error:
        raise OFAError(f"{where}: {' '.join(str(error).split())}") from None
