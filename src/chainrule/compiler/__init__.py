"""The compiler: a training step, recorded once from the same gates, becomes a flat program that is run from then on."""
from .program import Program
from .record import record

__all__ = ["Program", "record"]
