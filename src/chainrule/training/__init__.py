"""Training: the loop, what it shows, what it remembers."""
from .callback import Callback
from .display import Display
from .history import History
from .metrics import accuracy
from .trainer import Trainer

__all__ = ["Callback", "Display", "History", "Trainer", "accuracy"]
