"""The update rules once more, as their papers write them: whole float64 arrays, nothing in place, no sharing.

``REFERENCES[name](lr, **settings)`` is a generator: send it ``(p, g, lr)``, and it gives the next p.
"""
from __future__ import annotations

import inspect
from itertools import count

import numpy as np

from chainrule import Tensor, optim

OPTIMIZERS = {name: kind for name, kind in vars(optim).items()
              if isinstance(kind, type) and issubclass(kind, optim.Optimizer) and kind is not optim.Optimizer}


def variants(kind):
    """The settings of an optimizer: the usual ones, each switch turned on, all of them, and other numbers."""
    usual = {name: p.default for name, p in inspect.signature(kind).parameters.items() if name not in ("params", "lr")}
    switches = {name: True if value is False else 0.3 for name, value in usual.items() if name in kind.switches}
    found = []
    every = {name: value for name, value in switches.items() if name != "dampening"}       # excludes nesterov
    numbers = {name: 1e-2 if name == "eps" else tuple(x / 2 for x in value) if isinstance(value, tuple) else value / 2
               or 0.3 for name, value in usual.items() if name not in switches}
    for chosen in ({}, *({name: value} for name, value in switches.items()), every, *[numbers] * bool(numbers)):
        try:
            kind([Tensor(1.0)], lr=0.1, **chosen)
        except ValueError:                                     # settings that exclude each other
            assert chosen
        else:
            found.append(chosen)
    return found


VARIANTS = [(name, settings) for name, kind in OPTIMIZERS.items() for settings in variants(kind)]


def loop(name, settings, start, gradient, rates):
    """The values of a parameter after each step; `gradient(p, t)` is what the loss gives at p."""
    defaults = {key: p.default for key, p in inspect.signature(OPTIMIZERS[name]).parameters.items()
                if key not in ("params", "lr")}
    settings = defaults | {"decoupled_weight_decay": name == "AdamW"} | settings
    rule, p = REFERENCES[name](**settings), np.asarray(start, np.float64)
    next(rule)
    for t, lr in enumerate(rates):
        g = gradient(p, t)
        if settings["maximize"]:
            g = -g
        if settings["weight_decay"] and name != "Lion":
            if settings["decoupled_weight_decay"]:
                p = p - lr * settings["weight_decay"] * p
            else:
                g = g + settings["weight_decay"] * p
        p = rule.send((p, g, lr))
        next(rule)
        yield p


def sgd(momentum, dampening, nesterov, **_):
    b = None
    while True:
        p, g, lr = yield
        b = g if b is None else momentum * b + (1 - dampening) * g
        yield p - lr * (g + momentum * b if nesterov else b if momentum else g)


def adam(betas, eps, amsgrad=False, **_):
    (b1, b2), m, v, top = betas, 0.0, 0.0, 0.0
    for t in count(1):
        p, g, lr = yield
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        top = np.maximum(top, v)
        yield p - lr * (m / (1 - b1**t)) / (np.sqrt((top if amsgrad else v) / (1 - b2**t)) + eps)


def adamax(betas, eps, **_):
    (b1, b2), m, u = betas, 0.0, 0.0
    for t in count(1):
        p, g, lr = yield
        m, u = b1 * m + (1 - b1) * g, np.maximum(b2 * u, np.abs(g) + eps)
        yield p - lr / (1 - b1**t) * m / u


def nadam(betas, eps, momentum_decay, **_):
    (b1, b2), m, v = betas, 0.0, 0.0

    def mu(t):
        return b1 * (1 - 0.5 * 0.96 ** (t * momentum_decay))

    for t in count(1):
        p, g, lr = yield
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        so_far, further = (np.prod([mu(i) for i in range(1, n + 1)]) for n in (t, t + 1))
        mean = mu(t + 1) * m / (1 - further) + (1 - mu(t)) * g / (1 - so_far)
        yield p - lr * mean / (np.sqrt(v / (1 - b2**t)) + eps)


def radam(betas, eps, **_):
    (b1, b2), m, v = betas, 0.0, 0.0
    for t in count(1):
        p, g, lr = yield
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        longest = 2 / (1 - b2) - 1
        length = longest - 2 * t * b2**t / (1 - b2**t)
        if length > 5:
            r = np.sqrt((length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length))
            yield p - lr * (m / (1 - b1**t)) * r * np.sqrt(1 - b2**t) / (np.sqrt(v) + eps)
        else:
            yield p - lr * m / (1 - b1**t)


def rmsprop(alpha, eps, momentum, centered, **_):
    v, m, b = 0.0, 0.0, 0.0
    while True:
        p, g, lr = yield
        v, m = alpha * v + (1 - alpha) * g**2, alpha * m + (1 - alpha) * g
        b = momentum * b + g / (np.sqrt(v - m**2 if centered else v) + eps)
        yield p - lr * b


def adagrad(lr_decay, initial_accumulator_value, eps, **_):
    total = initial_accumulator_value
    for t in count(1):
        p, g, lr = yield
        total = total + g**2
        yield p - lr / (1 + (t - 1) * lr_decay) * g / (np.sqrt(total) + eps)


def adadelta(rho, eps, **_):
    v, u = 0.0, 0.0
    while True:
        p, g, lr = yield
        v = rho * v + (1 - rho) * g**2
        change = np.sqrt(u + eps) / np.sqrt(v + eps) * g
        u = rho * u + (1 - rho) * change**2
        yield p - lr * change


def lion(betas, weight_decay, **_):
    """Chen et al. 2023, algorithm 2, line by line."""
    (b1, b2), m = betas, 0.0
    while True:
        p, g, lr = yield
        c = b1 * m + (1 - b1) * g
        new = p - lr * (np.sign(c) + weight_decay * p)
        m = b2 * m + (1 - b2) * g
        yield new


REFERENCES = {"SGD": sgd, "Adam": adam, "AdamW": adam, "Adamax": adamax, "NAdam": nadam, "RAdam": radam,
              "RMSprop": rmsprop, "Adagrad": adagrad, "Adadelta": adadelta, "Lion": lion}
