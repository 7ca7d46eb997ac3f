"""Grounding scores against the original, torchvision, and counting by hand."""

import math

import numpy as np
import pytest
import torch
from torchvision.ops import box_iou

from ofa.errors import OFAError
from ofa.metrics.grounding import accuracy, iou, report


@pytest.fixture
def boxes():
    corners = np.random.default_rng(0).uniform(0, 100, (2, 500, 2, 2)).astype(np.float32)
    return np.sort(corners, axis=2).reshape(2, 500, 4)


def test_hits_equal_the_original(golden):
    recorded = np.load(golden / "generate_micro.npz")
    found, truth = recorded["refcoco/ap_hyps"], recorded["refcoco/ap_refs"]
    hits = [accuracy([f], [t]) for f, t in zip(found, truth, strict=True)]
    assert hits == recorded["refcoco/ap_scores"].tolist()


def test_iou_equals_torchvisions(boxes):
    predicted, truth = boxes
    expected = box_iou(torch.tensor(predicted), torch.tensor(truth)).diagonal().numpy()
    np.testing.assert_allclose(iou(predicted, truth), expected, atol=1e-5)


def test_iou_is_symmetric_and_bounded(boxes):
    values = iou(*boxes)
    np.testing.assert_array_equal(values, iou(*boxes[::-1]))
    assert values.min() >= 0 and values.max() <= 1 and 0.9999 < iou([[0, 0, 5, 5]], [[0, 0, 5, 5]])[0] <= 1


def test_touching_and_inverted_boxes_do_not_count():
    assert iou([[0, 0, 5, 5]], [[5, 0, 9, 5]])[0] == 0
    assert iou([[9, 9, 5, 5]], [[5, 5, 9, 9]])[0] == 0
    assert iou([[60, 60, 50, 50]], [[5, 5, 9, 9]])[0] == 0


def test_thresholds():
    truth = [[0, 0, 10, 10]] * 2
    predicted = [[0, 0, 10, 6], [0, 0, 10, 9.5]]
    assert accuracy(predicted, truth, 0.5) == 1.0
    assert accuracy(predicted, truth, 0.7) == 0.5
    assert math.isnan(accuracy([], []))


def test_report_counts_by_hand():
    truth = [[0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 100, 100], [0, 0, 30, 30]]
    predicted = [[0, 0, 10, 10], [50, 50, 60, 60], [0, 0, 100, 55], [0, 0, 30, 29]]
    found = report(predicted, truth)
    assert found.accuracy == {0.5: 0.75, 0.6: 0.5, 0.7: 0.5, 0.8: 0.5, 0.9: 0.5}
    assert found.mean_iou == pytest.approx((1 + 0 + 0.55 + 29 / 30) / 4, abs=1e-6)
    assert found.histogram == (1, 0, 0, 0, 0, 1, 0, 0, 0, 2)


def test_numbers_of_boxes_must_agree():
    with pytest.raises(OFAError, match="2 predicted boxes cannot be compared with 1"):
        iou([[0, 0, 1, 1]] * 2, [[0, 0, 1, 1]])
