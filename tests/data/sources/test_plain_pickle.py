"""Pickles of public data are read as data: nothing in them runs."""

import collections
import datetime
import os
import pickle

import pytest

from ofa.data.sources.plain_pickle import load_plain_pickle
from ofa.errors import OFAError


class Malicious:
    """Runs a command when it is unpickled in the ordinary way."""

    def __init__(self, command: str):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_values_are_read(tmp_path, protocol):
    value = [{"ref_id": 1, "sent": "größe 猫", "box": (1.5, -2, 10**30), "none": None}, True, [], {}, ()]
    path = tmp_path / "refs(unc).p"
    path.write_bytes(pickle.dumps(value, protocol))
    assert load_plain_pickle(path) == value


def test_texts_of_python_2_are_read(tmp_path):
    path = tmp_path / "refs.p"
    path.write_bytes(b"(dp0\nS'raw'\np1\nS'caf\\xc3\\xa9'\np2\nsS'n'\np3\nL12L\ns.")
    assert load_plain_pickle(path) == {"raw": "café", "n": 12}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_dicts_that_count_are_read(tmp_path, protocol):
    counts = collections.defaultdict(float, {("a", "dog"): 2.0})
    (tmp_path / "df.p").write_bytes(pickle.dumps(counts, protocol))
    loaded = load_plain_pickle(tmp_path / "df.p")
    assert loaded == counts and loaded["cat",] == 0.0


@pytest.mark.parametrize("name", [b"ccollections\ndefaultdict\n", b"cbuiltins\nfloat\n"])
def test_what_a_dict_that_counts_is_made_of_cannot_be_changed(tmp_path, name):
    (tmp_path / "df.p").write_bytes(name + b"(N(dVharmed\nI1\nstb.")
    with pytest.raises(OFAError, match="not a readable pickle"):
        load_plain_pickle(tmp_path / "df.p")


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_malicious_pickle_is_refused_and_not_run(tmp_path, protocol):
    marker = tmp_path / "ran"
    path = tmp_path / "refs(unc).p"
    path.write_bytes(pickle.dumps([{"ref_id": Malicious(f"touch {marker}")}], protocol))
    with pytest.raises(OFAError, match=r"refs\(unc\)\.p is refused: it holds \w+\.system"):
        load_plain_pickle(path)
    assert not marker.exists()


@pytest.mark.parametrize("value", [datetime.date(2020, 1, 1), collections.OrderedDict(a=1), print, Malicious])
def test_any_class_or_function_is_named_and_refused(tmp_path, value):
    path = tmp_path / "refs.p"
    path.write_bytes(pickle.dumps(value) if value is not Malicious else b"cos\nsystem\n.")
    with pytest.raises(OFAError, match="refused: it holds (datetime.date|collections.OrderedDict|.*print|os.system)"):
        load_plain_pickle(path)


@pytest.mark.parametrize("content", [b"", b"garbage", b"(lp0\n", b"\x80\x04]", b"P1\n.", b"\x80\xff."])
def test_a_damaged_file_is_named(tmp_path, content):
    path = tmp_path / "refs.p"
    path.write_bytes(content)
    with pytest.raises(OFAError, match="refs.p"):
        load_plain_pickle(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(OFAError, match="cannot read .*nothing.p.*fetch the data"):
        load_plain_pickle(tmp_path / "nothing.p")
