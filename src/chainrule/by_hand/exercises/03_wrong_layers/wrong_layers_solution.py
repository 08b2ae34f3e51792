"""The wrong layers, found and mended."""
import numpy as np
import suspects
from suspects import CASES

import chainrule as cr

ACCUSING = {"wrong formula", "writes into its arguments"}


def find_wrong():
    wrong = set()
    for name, (kind, parameters, inputs) in CASES.items():
        try:
            cr.check_gradients(kind(*parameters), *inputs)
        except ValueError:                                 # a gradient of the wrong shape
            wrong.add(name)
        except cr.GradientError as error:
            if any(element.verdict in ACCUSING for element in error.elements):
                wrong.add(name)
    return wrong


class Relu(suspects.Relu):
    """Gives a new array, and leaves dout to others who may need it."""

    def backward(self, dout):
        return np.where(self.mask, 0.0, dout)


class Sigmoid(suspects.Sigmoid):
    """The slope is σ · (1 - σ)."""

    def backward(self, dout):
        return dout * self.out * (1 - self.out)


class Affine(suspects.Affine):
    """b was added to every row: a fork, so its gradient is the sum over the rows."""

    def backward(self, dout):
        dx = super().backward(dout)
        self.db = dout.sum(axis=0)
        return dx


class SoftmaxWithLoss(suspects.SoftmaxWithLoss):
    """The chain rule does not end at the loss: somebody may halve it, or add a penalty."""

    def backward(self, dout=1):
        return dout * super().backward()


class RememberingTanh:
    """A memory for each call; backward goes through them from the newest to the oldest."""

    def __init__(self):
        self.outs = []

    def forward(self, x):
        self.outs.append(np.tanh(x))
        return self.outs[-1]

    def backward(self, dout):
        return dout * (1 - self.outs.pop() ** 2)


class Twice(suspects.Twice):
    """The second call must not overwrite what the first remembered."""

    def __init__(self):
        self.layer = RememberingTanh()


def mend():
    return {"Relu": Relu, "Sigmoid": Sigmoid, "Affine": Affine, "SoftmaxWithLoss": SoftmaxWithLoss, "Twice": Twice}
