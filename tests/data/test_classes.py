"""Weights of classes: known answers, and what they are for."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule import nn
from chainrule.data import class_weights


def test_known_answers():
    weights = class_weights([0, 0, 0, 0, 1, 1, 2, 2])               # 8 / (3 · 4), 8 / (3 · 2)
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights, [2 / 3, 4 / 3, 4 / 3], rtol=1e-7)
    np.testing.assert_array_equal(class_weights(np.array([[0, -100], [1, 1]])), np.float32([3 / 2, 3 / 4]))
    np.testing.assert_array_equal(class_weights([1, 2, 0], 3, ignore_index=-1), [1, 1, 1])


@given(st.lists(st.integers(1, 50), min_size=1, max_size=8))
def test_every_class_has_the_same_weight_in_all_and_a_sample_one_on_average(counts):
    labels = np.repeat(np.arange(len(counts)), counts)
    weights = class_weights(labels)
    np.testing.assert_allclose(weights * counts, len(labels) / len(counts), rtol=1e-6)
    np.testing.assert_allclose(weights[labels].mean(), 1, rtol=1e-5)


def test_the_loss_weighs_a_rare_class_as_much_as_a_common_one():
    """A model that knows nothing loses log 2 either way; one that always says 0 loses as much as it gains."""
    labels = np.array([0, 0, 0, 1])
    loss = nn.CrossEntropyLoss(weight=class_weights(labels))
    sure = np.tile([5.0, 0.0], (4, 1))
    right, wrong = np.log(1 + np.exp(-5.0)), np.log(1 + np.exp(5.0))
    assert float(loss.forward(sure, labels)) == pytest.approx((right + wrong) / 2, rel=1e-6)


@pytest.mark.parametrize(("arguments", "error", "words"), [
    (([0, 2, 2],), ValueError, "no sample of class 1 among 3 labels"),
    (([0, 0], 4), ValueError, "no sample of the classes 1, 2, 3 among 2 labels"),
    (([0, 3], 2), ValueError, "met the label 3; the labels of 2 classes are 0 to 1"),
    (([0, -1],), ValueError, "met the label -1"),
    (([0.0, 1.0],), TypeError, "whole numbers, got float64"),
    (([-100, -100],), ValueError, "no label to count"),
    ((np.zeros(0, int),), ValueError, "no label to count"),
])
def test_what_cannot_be_weighed_is_refused(arguments, error, words):
    with pytest.raises(error, match=words):
        class_weights(*arguments)
