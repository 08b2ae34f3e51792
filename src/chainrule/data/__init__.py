"""Data sets, and the loader that cuts them into batches."""
from .augment import Shift
from .classes import class_weights
from .dataset import ArrayDataset, Dataset
from .digits import digits
from .loader import DataLoader
from .split import split
from .toys import circles, gaussians, moons, spirals, xor

__all__ = [
    "ArrayDataset", "DataLoader", "Dataset", "Shift", "circles", "class_weights", "digits", "gaussians", "moons",
    "spirals", "split", "xor",
]
