"""Training: the loop, what it shows, what it remembers, what it needs to go on."""
from . import metrics
from .best import KeepBest
from .callback import Callback
from .checkpoint import Checkpoints
from .display import Display
from .early_stopping import EarlyStopping
from .history import History
from .metrics import accuracy
from .run import Run
from .trainer import Trainer

__all__ = [
    "Callback", "Checkpoints", "Display", "EarlyStopping", "History", "KeepBest", "Run", "Trainer", "accuracy",
    "metrics",
]
