"""Initial weights, written out."""
import numpy as np


def zeros(inputs, outputs, rng):
    return np.zeros((inputs, outputs))


def small(inputs, outputs, rng):
    return rng.normal(0, 0.01, (inputs, outputs))


def xavier(inputs, outputs, rng):
    return rng.normal(0, np.sqrt(2 / (inputs + outputs)), (inputs, outputs))


def he(inputs, outputs, rng):
    return rng.normal(0, np.sqrt(2 / inputs), (inputs, outputs))


def sizes(x, initialise, activation, widths, rng):
    h, found = x, []
    for width in widths:
        h = activation(h @ initialise(h.shape[1], width, rng))
        found.append(float(np.sqrt(np.mean(h ** 2))))
    return found
