"""The expectations of each kind of table, read from YAML files that a data engineer can edit.

`expectations/KIND.yaml` is a list; each entry names an expectation of Great Expectations (`expect`), says why it must
hold (`because`), and gives its arguments; `severity: warning` reports without stopping. They run on the records of
`components.preprocess.records`, where a value that does not apply to a row is absent, so that no condition is needed.
`partition_object: last version` stands for the shares of a column's values in the last version of the data; without a
last version the entry is left out.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ofa.errors import OFAError, nearest

if TYPE_CHECKING:
    from great_expectations import ExpectationSuite
    from great_expectations.expectations.expectation import Expectation

SHIPPED = Path(__file__).parent / "expectations"
_LAST = "last version"

Shares = Mapping[str, Mapping[str, float]]
"""By column, the share of each of its values."""


class Suite:
    """The expectations of one kind of table.

    Args:
        kind: kind of table, or "picture".
        folder: where to look for `KIND.yaml`; where it has no such file, and without a folder, the project's is read.

    Raises:
        OFAError: the file is not understood.
    """

    def __init__(self, kind: str, folder: str | Path = ""):
        own = Path(folder, f"{kind}.yaml")
        self.kind = kind
        self.path = own if folder and own.is_file() else SHIPPED / f"{kind}.yaml"
        try:
            entries = yaml.safe_load(self.path.read_text(encoding="utf-8"))
        except yaml.YAMLError as error:
            raise OFAError(f"{self.path}: not valid YAML: {' '.join(str(error).split())}") from None
        if not isinstance(entries, list):
            raise OFAError(f"{self.path}: must be a list of expectations")
        for number, entry in enumerate(entries, 1):
            if not isinstance(entry, dict) or not {"expect", "because"} <= entry.keys():
                raise OFAError(f"{self.path}, entry {number}: needs the keys 'expect' and 'because'")
        self._entries: list[dict[str, Any]] = entries

    @property
    def compared(self) -> list[str]:
        """Columns whose values are compared to the last version."""
        return [entry["column"] for entry in self._entries if entry.get("partition_object") == _LAST]

    def make(self, last: Shares) -> "ExpectationSuite":
        """The suite for Great Expectations; `last` are the shares in the last version of the data.

        Raises:
            OFAError: an entry is not understood, with the file and the number of the entry.
        """
        from great_expectations import ExpectationSuite

        expectations = []
        for number, entry in enumerate(self._entries, 1):
            arguments = dict(entry)
            if arguments.get("partition_object") == _LAST:
                shares = last.get(entry["column"])
                if not shares:
                    continue
                arguments["partition_object"] = {"values": list(shares), "weights": list(shares.values())}
            expectations.append(_expectation(arguments, f"{self.path}, entry {number}"))
        return ExpectationSuite(name=self.kind, expectations=expectations)


def _expectation(arguments: dict[str, Any], where: str) -> "Expectation":
    from great_expectations.exceptions import ExpectationNotFoundError
    from great_expectations.expectations import registry

    name, because = arguments.pop("expect"), arguments.pop("because")
    try:
        return registry.get_expectation_impl(name)(notes=because, **arguments)
    except ExpectationNotFoundError:
        known = registry.list_registered_expectation_implementations()
        raise OFAError(f"{where}: Great Expectations has no '{name}'{nearest(str(name), known)}") from None
    except (ValueError, TypeError) as error:
        raise OFAError(f"{where}: {' '.join(str(error).split())}") from None
