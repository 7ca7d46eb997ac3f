"""VQA v2's official accuracy (https://visualqa.org/evaluation.html) with its normalization of answers."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ofa.errors import OFAError

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
_MATCHES_NEEDED = 3
"""An answer that this many people gave is fully right."""


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


def accuracy(answer: str, given: Sequence[str]) -> float:
    """How right an answer is, 0..1, by what people (ten, in VQA v2) answered.

    The mean, over all ways to leave one person out, of min(1, others who gave the answer / 3). Both sides are
    normalized; the published program skips that for people's answers where all agree, but those of VQA v2 are
    normalized already.

    Raises:
        OFAError: nobody answered.
    """
    if not given:
        raise OFAError("VQA accuracy needs at least one human answer")
    wanted = normalize_answer(answer)
    matches = [normalize_answer(other) == wanted for other in given]
    total = sum(matches)
    return sum(min(1.0, (total - match) / _MATCHES_NEEDED) for match in matches) / len(given)


@dataclass(frozen=True)
class VqaReport:
    """Accuracies, all in 0..1."""

    overall: float
    by_answer_type: dict[str, float]
    """yes/no, number, other."""
    by_question_type: dict[str, float]
    """By the question's beginning, such as "how many"."""
    by_question: dict[int, float]


def report(answers: Mapping[int, str], annotations: Iterable[Mapping[str, Any]]) -> VqaReport:
    """Evaluate a set of answers.

    Args:
        answers: answer by question id.
        annotations: the entries of "annotations" in VQA v2's file: question_id, answers (each with "answer"),
            answer_type, question_type.

    Raises:
        OFAError: a question has no answer, or there is no question.
    """
    by_question, answer_types, question_types = {}, defaultdict(list), defaultdict(list)
    for annotation in annotations:
        number = annotation["question_id"]
        if number not in answers:
            raise OFAError(f"question {number} has no predicted answer: predict all questions of the annotations")
        value = by_question[number] = accuracy(answers[number], [given["answer"] for given in annotation["answers"]])
        answer_types[annotation["answer_type"]].append(value)
        question_types[annotation["question_type"]].append(value)
    if not by_question:
        raise OFAError("there are no questions to evaluate")
    return VqaReport(
        overall=_mean(by_question.values()),
        by_answer_type={kind: _mean(values) for kind, values in answer_types.items()},
        by_question_type={kind: _mean(values) for kind, values in question_types.items()},
        by_question=by_question,
    )


def _mean(values: Iterable[float]) -> float:
    values = list(values)
    return sum(values) / len(values)
