"""The compiler: a training step, recorded once from the same gates, becomes a flat program that is run from then on."""
from .compiled import Compiled, compile
from .errors import RecordingError
from .program import Program

__all__ = ["Compiled", "Program", "RecordingError", "compile"]

