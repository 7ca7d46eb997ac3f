"""One champion after the other, also where programs die, wait, or change aliases by hand."""

import pytest

from components.deploy.registry import Registry
from components.deploy.succession import ChampionMoved, history, move_champion


def aliases(store):
    found = (store.alias(name) for name in ("champion", "previous"))
    return tuple(version and version.number for version in found)


def steps(store):
    return [(move.after, move.version) for move in history(store)]


class Dies(Registry):
    """A program that is killed before it sets the aliases."""

    def set_alias(self, alias, version):
        raise KeyboardInterrupt


class Waits(Registry):
    """A program that is held up before it sets the aliases, while others go on."""

    meanwhile = None

    def set_alias(self, alias, version):
        if action := self.meanwhile:
            self.meanwhile = None
            action()
        super().set_alias(alias, version)


def test_only_the_expected_champion_is_replaced(uri):
    store = Registry(uri)
    move_champion(store, "1", None)
    move_champion(store, "2", "1")
    with pytest.raises(ChampionMoved, match="version 2 is the champion now, not version 1 any more"):
        move_champion(store, "3", "1")
    with pytest.raises(ChampionMoved, match="not no version"):
        move_champion(store, "3", None)
    assert steps(store) == [(None, "1"), ("1", "2")] and aliases(store) == ("2", "1")
    move_champion(store, "1", "2")
    assert steps(store)[-1] == ("2", "1") and aliases(store) == ("1", "2")


def test_what_a_dead_program_began_is_finished(uri):
    store = Registry(uri)
    move_champion(store, "1", None)
    with pytest.raises(KeyboardInterrupt):
        move_champion(Dies(uri), "2", "1")
    assert aliases(store) == ("1", None), "readers see the champion before"
    with pytest.raises(ChampionMoved, match="version 2 is the champion now"):
        move_champion(store, "3", "1")
    assert aliases(store) == ("2", "1")
    move_champion(store, "3", "2")
    assert steps(store) == [(None, "1"), ("1", "2"), ("2", "3")] and aliases(store) == ("3", "2")


def test_a_late_program_does_not_turn_the_aliases_back(uri):
    store, slow = Registry(uri), Waits(uri)
    move_champion(store, "1", None)
    slow.meanwhile = lambda: move_champion(store, "3", "2")
    move_champion(slow, "2", "1")
    assert steps(store) == [(None, "1"), ("1", "2"), ("2", "3")] and aliases(store) == ("3", "2")


def test_of_two_that_looked_at_the_same_moment_one_wins(uri, monkeypatch):
    """Both saw version 1 before either wrote."""
    store, other = Registry(uri), Registry(uri)
    move_champion(store, "1", None)
    write = other.write_once

    def wait_and_write(*arguments):
        monkeypatch.undo()
        move_champion(store, "2", "1")
        return write(*arguments)

    monkeypatch.setattr(other, "write_once", wait_and_write)
    with pytest.raises(ChampionMoved, match="version 2 is the champion now"):
        move_champion(other, "3", "1")
    assert steps(store) == [(None, "1"), ("1", "2")] and aliases(store) == ("2", "1")


def test_an_alias_set_by_hand_counts(uri):
    store = Registry(uri)
    move_champion(store, "1", None)
    move_champion(store, "2", "1")
    store.set_alias("champion", "1")
    with pytest.raises(ChampionMoved, match="version 1 is the champion now"):
        move_champion(store, "3", "2")
    move_champion(store, "3", "1")
    assert aliases(store) == ("3", "1")


def test_an_answer_that_was_lost_is_no_defeat(uri):
    store = Registry(uri)
    run = store.first().run_id
    assert store.write_once(run, "key", "mine") and store.write_once(run, "key", "mine")
    assert not store.write_once(run, "key", "other") and store.parameters(run)["key"] == "mine"
