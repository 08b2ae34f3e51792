"""Down in jumps or by powers: step, multi-step, exponential and polynomial decay."""
# ruff: noqa: N801 - a schedule is used as a function
from __future__ import annotations

from dataclasses import dataclass

from .curve import Curve, power

__all__ = ["exponential", "multistep", "polynomial", "step"]


@dataclass(frozen=True, repr=False)
class step(Curve):
    r"""A jump each so many steps: :math:`\gamma^{\lfloor t / s \rfloor}` at step t.

    Parameters
    ----------
    step_size : int or float
        :math:`s`, in steps or as a share of the run.
    gamma : float
        :math:`\gamma \ge 0`, what is left at a jump.

    Notes
    -----
    Source: PyTorch's StepLR.

    Examples
    --------
    >>> from chainrule.optim import schedule
    >>> lr = schedule.step(2, gamma=0.5)
    >>> [lr(t, 6) for t in range(6)]
    [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
    """

    step_size: float
    gamma: float = 0.1

    def check(self) -> None:
        """Raise ValueError if a setting is out of range."""
        self.check_count("step_size")
        self.check_number("gamma")

    def __call__(self, step: int, steps: int) -> float:
        """Return the factor of the learning rates at a step."""
        return power(self.gamma, step // self.count(self.step_size, steps))


@dataclass(frozen=True, repr=False)
class multistep(Curve):
    r"""A jump at each milestone: :math:`\gamma^k` at step t, where :math:`k` milestones are not above t.

    Parameters
    ----------
    milestones : sequence of int or float
        In steps or as shares of the run, in any order; one that is there twice counts twice.
    gamma : float
        :math:`\gamma \ge 0`, what is left at a jump.

    Notes
    -----
    Source: K. He et al., Deep Residual Learning for Image Recognition, 2016, section 3.4; PyTorch's MultiStepLR.

    Examples
    --------
    >>> from chainrule.optim import schedule
    >>> lr = schedule.multistep([0.5, 0.75], gamma=0.5)
    >>> [lr(t, 8) for t in range(8)]
    [1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
    """

    milestones: tuple[float, ...]
    gamma: float = 0.1

    def check(self) -> None:
        """Raise ValueError if a setting is out of range."""
        if not isinstance(self.milestones, tuple):
            raise ValueError(f"multistep: milestones is a list of numbers of steps, got {self.milestones!r}")
        self.check_count("milestones", least=0)
        self.check_number("gamma")

    def __call__(self, step: int, steps: int) -> float:
        """Return the factor of the learning rates at a step."""
        return power(self.gamma, sum(self.count(milestone, steps) <= step for milestone in self.milestones))


@dataclass(frozen=True, repr=False)
class exponential(Curve):
    r"""The same share less at each step: :math:`\gamma^t` at step t.

    Parameters
    ----------
    gamma : float
        :math:`\gamma \ge 0`, what is left after a step. Above 1 the learning rate grows, as in a range test.

    Notes
    -----
    Source: PyTorch's ExponentialLR.

    Examples
    --------
    >>> from chainrule.optim import schedule
    >>> lr = schedule.exponential(0.5)
    >>> [lr(step, 4) for step in range(4)]
    [1.0, 0.5, 0.25, 0.125]
    """

    gamma: float

    def check(self) -> None:
        """Raise ValueError if a setting is out of range."""
        self.check_number("gamma")

    def __call__(self, step: int, steps: int) -> float:
        """Return the factor of the learning rates at a step."""
        return power(self.gamma, step)


@dataclass(frozen=True, repr=False)
class polynomial(Curve):
    r"""Along a power of what is left of the run: :math:`e + (1 - e)\,(1 - \min(t / T, 1))^p` at step t.

    Parameters
    ----------
    power : float
        :math:`p \ge 0`; 1 for a straight line.
    end : float
        :math:`e`, what is left of the learning rate at the end, from 0 to 1.
    total_iters : int or float, optional
        :math:`T`, in steps or as a share of the run; by default the whole run.

    Notes
    -----
    Source: L.-C. Chen et al., DeepLab, 2017, section 4.3.1 (the "poly" policy); PyTorch's PolynomialLR.

    Examples
    --------
    >>> from chainrule.optim import schedule
    >>> lr = schedule.polynomial(power=2)
    >>> [lr(step, 4) for step in range(5)]
    [1.0, 0.5625, 0.25, 0.0625, 0.0]
    """

    power: float = 1.0
    end: float = 0.0
    total_iters: float | None = None

    def check(self) -> None:
        """Raise ValueError if a setting is out of range."""
        self.check_number("power")
        self.check_number("end", high=1)
        self.check_count("total_iters")

    def __call__(self, step: int, steps: int) -> float:
        """Return the factor of the learning rates at a step."""
        total = self.count(self.total_iters, steps)
        return float(self.end + (1.0 - self.end) * power(1.0 - min(step, total) / total, self.power))
