"""The gradient check, written out."""
import numpy as np


def to_vector(arrays):
    return np.concatenate([np.ravel(array) for array in arrays.values()])


def to_dictionary(theta, like):
    found, begin = {}, 0
    for name, array in like.items():
        end = begin + array.size
        found[name] = theta[begin:end].reshape(array.shape).copy()
        begin = end
    return found


def numerical_gradient(f, theta, epsilon=1e-6):
    slopes = np.zeros(len(theta))
    for i in range(len(theta)):
        values = []
        for sign in (1, -1):
            moved = theta.astype(float)                    # a copy, so that there is nothing to put back
            moved[i] += sign * epsilon
            values.append(f(moved))
        slopes[i] = (values[0] - values[1]) / (2 * epsilon)
    return slopes


def relative_difference(a, n):
    size = np.linalg.norm(a) + np.linalg.norm(n)
    return np.linalg.norm(a - n) / size if size > 0 else 0.0


def gradient_check(cost, parameters, gradients, epsilon=1e-6):
    analytic = to_vector({name: gradients[f"d{name}"] for name in parameters})
    numeric = numerical_gradient(lambda theta: cost(to_dictionary(theta, parameters)), to_vector(parameters), epsilon)
    return relative_difference(analytic, numeric)
