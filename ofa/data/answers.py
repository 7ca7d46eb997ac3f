"""Short answers as VQA v2 compares and counts them (https://visualqa.org/evaluation.html)."""

import re

_CONTRACTIONS = """
'ow's'at 'twas ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't
haven't he'd he'd've he's how'd how'll how's isn't it'd it'd've it'll ma'am might've mightn't mightn't've
must've mustn't needn't not've o'clock oughtn't shan't she'd've should've shouldn't shouldn't've somebody'd've
somebody'll somebody's someone'd someone'd've someone'll someone's something'd something'd've something'll
that's there'd there'd've there're there's they'd they'd've they'll they're they've wasn't we'd've we've weren't
what'll what're what's what've when's where'd where's where've who'd who'd've who'll who's who've why'll why're
why's won't would've wouldn't wouldn't've y'all y'all'd've y'all'll you'd you'd've you'll you're you've
""".split()

CONTRACTIONS = {word[:i] + word[i + 1 :]: word for word in _CONTRACTIONS for i, c in enumerate(word) if c == "'"}
"""Words that lack one apostrophe, and what they become."""
CONTRACTIONS["somebody'd"] = "somebodyd"  # the wrong way round in the official table

NUMBERS = {"none": "0"} | {
    word: str(number) for number, word in enumerate("zero one two three four five six seven eight nine ten".split())
}
ARTICLES = {"a", "an", "the"}

_PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
_PERIOD = re.compile(r"\.(?!\d)")
_COMMA = re.compile(r"\d,\d")
_VOTE = 0.3


def normalize_answer(answer: str) -> str:
    """An answer as the official evaluation compares it.

    Lower case, no punctuation, digits instead of number words up to ten, no articles, apostrophes in contractions.
    """
    text = answer.replace("\n", " ").replace("\t", " ").strip()
    words = [NUMBERS.get(word, word) for word in _without_punctuation(text).lower().split()]
    return " ".join(CONTRACTIONS.get(word, word) for word in words if word not in ARTICLES)


def _without_punctuation(text: str) -> str:
    """A mark goes if a space is beside one of its kind, or the text has a comma between digits; else it is a space."""
    thousands = _COMMA.search(text) is not None
    out = text
    for mark in _PUNCTUATION:
        beside_space = f"{mark} " in text or f" {mark}" in text
        out = out.replace(mark, "" if beside_space or thousands else " ")
    return _PERIOD.sub("", out)


def confidence(votes: int) -> float:
    """How right an answer is, 0..1, that so many of ten people gave.

    The mean, over all ways to leave one person out, of min(1, others who gave the answer / 3).
    """
    return round(min(1.0, _VOTE * votes), 1)
