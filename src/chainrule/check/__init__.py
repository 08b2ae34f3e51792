"""Numerical gradients, and the check of analytic ones against them.

A derivative is right if central differences in float64 say so, element by element. Where they do not, the check looks
closer, along a ladder of steps, and says what it takes the reason to be; and if a gate is wrong by itself, it finds it.
"""
from .gradients import check_gradients
from .numerical import numerical_gradient
from .report import Culprit, Element, GradientError

__all__ = ["Culprit", "Element", "GradientError", "check_gradients", "numerical_gradient"]
