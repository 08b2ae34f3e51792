"""Schedules step by step as PyTorch's."""
from __future__ import annotations

import pytest

from chainrule.optim import schedule

torch = pytest.importorskip("torch", reason="needs the extra `peers`")
pytestmark = pytest.mark.peers


def rates(steps, make):
    p = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([p], lr=0.3)
    schedule = make(optimizer)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


@pytest.mark.parametrize("steps", [10, 23, 500])
@pytest.mark.parametrize("options", [{}, {"pct_start": 0.45, "div_factor": 5.0, "final_div_factor": 20.0}])
def test_one_cycle(steps, options):
    expected = rates(steps, lambda o: torch.optim.lr_scheduler.OneCycleLR(
        o, max_lr=0.3, total_steps=steps + 1, cycle_momentum=False, **options))
    ours = schedule.one_cycle(**options)
    assert [0.3 * ours(step, steps + 1) for step in range(steps)] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("end", [0.0, 0.1])
def test_cosine(end):
    expected = rates(40, lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=40, eta_min=0.3 * end))
    ours = schedule.cosine(end)
    assert [0.3 * ours(step, 40) for step in range(40)] == pytest.approx(expected, rel=1e-9)
