"""Tests of label_smoothing.py: python -m pytest test_label_smoothing.py"""
import numpy as np
import pytest
from label_smoothing import SmoothedCrossEntropy, log_softmax, smoothed

import chainrule as cr
from chainrule import functional as F

rng = np.random.default_rng(3)
SCORES, CLASSES = 3 * rng.normal(size=(6, 5)), np.array([0, 4, 2, 2, 1, 3])
SMOOTHINGS = pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5, 1.0])


def test_log_softmax():
    np.testing.assert_allclose(log_softmax(np.zeros((2, 4))), -np.log(4) * np.ones((2, 4)), rtol=1e-14)
    np.testing.assert_allclose(log_softmax(SCORES), F.log_softmax(SCORES, dim=1), rtol=1e-12)


def test_log_softmax_of_large_scores():
    found = log_softmax(np.array([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4]]))
    np.testing.assert_allclose(found, [[0, -2e4, -1e4], [-np.log(3)] * 3], rtol=1e-12)


def test_log_softmax_leaves_the_scores_alone():
    given = SCORES.copy()
    log_softmax(given)
    np.testing.assert_array_equal(given, SCORES)


def test_smoothed():
    np.testing.assert_allclose(smoothed(np.array([2, 0]), 4, 0.2), [[0.05, 0.05, 0.85, 0.05], [0.85, 0.05, 0.05, 0.05]])
    np.testing.assert_array_equal(smoothed(np.array([1]), 3, 0.0), [[0, 1, 0]])


@SMOOTHINGS
def test_loss(smoothing):
    right = F.cross_entropy(SCORES, CLASSES, label_smoothing=smoothing)
    assert SmoothedCrossEntropy(smoothing).forward(SCORES, CLASSES) == pytest.approx(float(right), rel=1e-12)


@SMOOTHINGS
def test_gradient(smoothing):
    loss = SmoothedCrossEntropy(smoothing)
    loss.forward(SCORES, CLASSES)
    right = cr.grad(lambda s: F.cross_entropy(s, CLASSES, label_smoothing=smoothing))(SCORES)
    np.testing.assert_allclose(loss.backward(), right, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(loss.backward(-3.0), -3 * right, rtol=1e-10, atol=1e-14)


@SMOOTHINGS
def test_gradient_check(smoothing):
    assert cr.check_gradients(SmoothedCrossEntropy(smoothing), SCORES, CLASSES) < 1e-7


def test_the_best_scores_are_finite():
    """Where softmax gives q itself, nothing pulls any more, and the loss is the entropy of q."""
    q = np.array([[0.05, 0.85, 0.05, 0.05]])
    loss = SmoothedCrossEntropy(0.2)
    assert loss.forward(np.log(q), np.array([1])) == pytest.approx(-np.sum(q * np.log(q)), rel=1e-12)
    np.testing.assert_allclose(loss.backward(), 0, atol=1e-15)
