"""Many requests at once share batches, and each gets the answer to its own picture."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from ofa import OFA
from ofa.data.images import open_image

TOLERANCE = 2e-4
"""Scores of a sample alone and in a batch differ by rounding."""

QUESTIONS = {"caption": {}, "answer": {"question": "what is it?"}, "ground": {"text": "the red ball"}}


@pytest.fixture(scope="module")
def expected(models, pictures):
    """What each network says about each picture alone: (operation, number) -> (value, score)."""
    rows = {
        "caption": ("caption", {}),
        "answer": ("vqa", {"question": "what is it?", "objects": ""}),
        "ground": ("refcoco", {"text": "the red ball"}),
    }
    found = {}
    for operation, (task, row) in rows.items():
        model = OFA.from_pretrained(models / task)
        for number, picture in enumerate(pictures):
            [prediction] = model.predict(model.task(task), [{"image": open_image(picture), **row}])
            found[operation, number] = prediction.value, prediction.score
    return found


def test_each_request_gets_its_own_answer(server, pictures, expected):
    jobs = [(operation, number) for operation in QUESTIONS for number in range(100)]
    random.Random(1).shuffle(jobs)

    def ask(job):
        operation, number = job
        return server.ask(operation, pictures[number], **QUESTIONS[operation]).json()["results"][0]

    with ThreadPoolExecutor(24) as pool:
        answers = dict(zip(jobs, pool.map(ask, jobs), strict=True))
    for (operation, number), answer in answers.items():
        value, score = expected[operation, number]
        assert (answer["width"], answer["height"]) == (40 + number, 139 - number)
        assert answer["score"] == pytest.approx(score, abs=TOLERANCE)
        if operation == "ground":
            corners = [answer["box"][name] for name in ("x0", "y0", "x1", "y1")]
            assert corners == pytest.approx(value.xyxy, abs=0.01)
        else:
            assert answer[operation] == value
    assert server.metric("ofa_batch_size_sum") > 1.5 * server.metric("ofa_batch_size_count"), "batches formed"


def test_an_answer_to_a_wrong_picture_would_be_noticed(expected):
    """Of two pictures, either the values differ or the scores do, by more than batches change them."""
    for operation in QUESTIONS:
        found = [expected[operation, number] for number in range(100)]
        pairs = [(a, b) for a in found for b in found if a is not b]
        different = sum(a[0] != b[0] or abs(a[1] - b[1]) > 4 * TOLERANCE for a, b in pairs)
        assert different > 0.9 * len(pairs), operation
