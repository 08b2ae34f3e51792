"""Slopes by differences, written out."""
import numpy as np


def forward_slope(f, x, h):
    return (f(x + h) - f(x)) / h


def centred_slope(f, x, h):
    return (f(x + h) - f(x - h)) / (2 * h)


def update_weights(loss, weights, lr, h=1e-5):
    updated = []
    for i, w in enumerate(weights):
        slopes = np.zeros_like(w)
        for index in np.ndindex(w.shape):

            def loss_at(value, i=i, w=w, index=index):
                moved = w.copy()
                moved[index] = value
                return loss([*weights[:i], moved, *weights[i + 1:]])

            slopes[index] = centred_slope(loss_at, w[index], h)
        updated.append(w - lr * slopes)
    return updated, loss(weights)
