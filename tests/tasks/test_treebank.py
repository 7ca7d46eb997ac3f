"""Treebank tokens, case by case."""

import pytest

from ofa.tasks.treebank import treebank_tokens


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a ( b ) c", "a -lrb- b -rrb- c"),
        ('say " yes " or " no', "say `` yes '' or `` no"),
        ("they can ' t", "they ca n't"),
        ("don ' t", "do n't"),
        ("it ' s", "it 's"),
        ("' yes '", "` yes '"),
        ("wait . . .", "wait ..."),
        ("$ 3 , 000 now", "$ 3,000 now"),
        ("$ 3 , 000 , 000", "$ 3,000,000"),
        ("3 . 03 points", "3.03 points"),
        ("a well - known man", "a well-known man"),
        ("a - - b", "a -- b"),
        ("- a -", "- a -"),
        ("us & them <", "us &amp; them &lt;"),
        ("no , not", "no , not"),
        ("", ""),
    ],
)
def test_rules(text, expected):
    assert treebank_tokens(text) == expected
