"""The order in which versions become the champion: one after the other, whoever writes at the same moment.

MLflow points an alias at a version whatever it pointed at before, so of two programs that looked first and wrote then,
both would win. What its server does refuse is a second value for a parameter of a run: (run, parameter) is a key of
its database. So each move of the champion is first written as a parameter with the next number, in the run that made
the model's first version; whoever is second is refused, and looks again. Then the aliases follow.

This decides between any number of programs on any machines, without a lock that a dead one could keep. The aliases can
be late, since they are requests of their own: until the winner has set them, readers see the champion before. Where a
program dies between, the next one that moves the champion sets them first. An alias that someone sets by hand counts:
the next move starts from it. Deleting the run of the first version, while moves are being made, loses the order.
"""

import json
import uuid
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from components.deploy.registry import CHALLENGER, CHAMPION, PREVIOUS, Registry
from ofa.errors import OFAError

_PREFIX, _DONE = "champion.", ".done"


class ChampionMoved(OFAError):
    """Another version is the champion than the one that was expected."""


@dataclass(frozen=True)
class Move:
    """A version that became the champion."""

    version: str
    after: str | None
    """The champion before; None for the first one."""
    at: str
    """When, in UTC."""
    writer: str
    """Tells two moves apart that say the same."""


def history(store: Registry) -> list[Move]:
    """All moves, the first one first."""
    return list(_read(store)[0].values())


def move_champion(store: Registry, version: str, after: str | None) -> None:
    """Make a version the champion if `after` is the champion now, which becomes the previous one.

    Args:
        store: the registry, which knows the version.
        version: the next champion.
        after: version of the champion as the caller knows it; None for none.

    Raises:
        ChampionMoved: another version is.
        RegistryDown: the registry does not answer. Starting again finishes a move that was written.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    mine = Move(version, after, now, uuid.uuid4().hex)
    while True:
        number = settle(store) + 1
        champion = store.alias(CHAMPION)
        current = None if champion is None else champion.number
        if current != after:
            shown = ["no version" if n is None else f"version {n}" for n in (current, after)]
            raise ChampionMoved(f"{shown[0]} is the champion now, not {shown[1]} any more")
        if store.write_once(_run(store), _key(number), json.dumps(asdict(mine))):
            _apply(store, number, mine)
            return


def settle(store: Registry) -> int:
    """Set the aliases of a move whose writer did not come to it.

    Returns:
        The number of the newest move; 0 for none.
    """
    moves, done = _read(store)
    number = max(moves, default=0)
    if number and number not in done:
        return _apply(store, number, moves[number])
    return number


def _apply(store: Registry, number: int, move: Move) -> int:
    """Set the aliases of the newest move; its number, which is greater where others went on meanwhile."""
    while True:
        if move.after is not None:
            store.set_alias(PREVIOUS, move.after)
        store.set_alias(CHAMPION, move.version)
        challenger = store.alias(CHALLENGER)
        if challenger is not None and challenger.number == move.version:
            store.drop_alias(CHALLENGER)
        store.write_once(_run(store), _key(number) + _DONE, "true")
        moves, _ = _read(store)
        if max(moves) == number:
            return number
        number = max(moves)  # this program was late, and may have turned the aliases back
        move = moves[number]


def _read(store: Registry) -> tuple[dict[int, Move], set[int]]:
    """Moves by number, and the numbers of those whose aliases were set."""
    written = store.parameters(_run(store))
    names = sorted(name.removeprefix(_PREFIX) for name in written if name.startswith(_PREFIX))
    moves = {int(name): Move(**json.loads(written[_PREFIX + name])) for name in names if not name.endswith(_DONE)}
    return moves, {int(name.removesuffix(_DONE)) for name in names if name.endswith(_DONE)}


def _run(store: Registry) -> str:
    """The run that made the first version."""
    first = store.first()
    if first is None or not first.run_id:
        raise OFAError(f"{store.uri}: model '{store.name}' has no first version that a run made; promote a release")
    return first.run_id


def _key(number: int) -> str:
    return f"{_PREFIX}{number:06d}"
