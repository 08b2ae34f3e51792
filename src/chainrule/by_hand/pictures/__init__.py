"""Pictures that several chapters draw: curves, activation functions, a network and a graph as circles and arrows.

They are figures of matplotlib (the extra `plot`), made without the state of pyplot; `chainrule.by_hand.reading.save`
writes one.
"""
from .curves import COLORS, activations, lines, panels
from .graphs import flow
from .neurons import network

__all__ = ["COLORS", "activations", "flow", "lines", "network", "panels"]
