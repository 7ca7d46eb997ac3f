"""Settings that make no sense are refused with the field, its value and the rule."""

import pytest

from ofa.errors import OFAError
from ofa.generate.config import SearchConfig


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"beam": 0}, "beam must be a whole number of at least 1, got 0"),
        ({"beam": 2.5}, "beam must be a whole number of at least 1, got 2.5"),
        ({"min_len": 20}, "min_len 20 is larger than max_len_b 16"),
        ({"temperature": 0}, "temperature must be above 0, got 0"),
        ({"max_len_a": -1}, "max_len_a must not be negative"),
        ({"top_k": 5}, "top_k and top_p need sampling=True"),
        ({"top_p": 0.0, "sampling": True}, r"top_p must lie in \(0, 1\], got 0.0"),
        ({"diverse_groups": 2}, "diverse_groups 2 must divide beam 5"),
        ({"diverse_groups": 5, "sampling": True}, "diverse_groups belongs to beam search"),
        ({"constraint_range": (9, 9)}, r"constraint_range must be \(first, last\), first < last, got \(9, 9\)"),
    ],
)
def test_refused(settings, message):
    with pytest.raises(OFAError, match=message):
        SearchConfig(**settings)


def test_a_range_from_yaml_is_a_list():
    assert SearchConfig(constraint_range=[4, 9]).constraint_range == (4, 9)
    assert hash(SearchConfig(constraint_range=[4, 9]))
