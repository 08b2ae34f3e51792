"""What the tests of programs share."""
from __future__ import annotations

import chainrule as cr


def recorded(function, *arguments, **options):
    """The program of one call of a function, before all passes."""
    step = cr.compile(function, **options)
    step(*arguments)
    return step.recorded


def training_step(model, loss, optimizer):
    """The step of everybody's training loop."""
    def step(x, t):
        optimizer.zero_grad()
        value = loss(model(x), t)
        value.backward()
        optimizer.step()
        return value

    return step
