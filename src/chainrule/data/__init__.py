"""Data sets, and the loader that cuts them into batches."""
from .augment import Shift
from .classes import class_weights
from .dataset import ArrayDataset, Dataset
from .digits import digits
from .files import Loaded, load, load_inputs
from .idx import read_idx
from .listener import DownloadError
from .loader import DataLoader
from .mnist import fashion_mnist, mnist
from .pixels import Pixels
from .preparation import described, preparation
from .split import split
from .standardize import Standardize
from .toys import circles, gaussians, moons, spirals, xor

__all__ = [
    "ArrayDataset", "DataLoader", "Dataset", "DownloadError", "Loaded", "Pixels", "Shift", "Standardize", "circles",
    "class_weights", "described", "digits", "fashion_mnist", "gaussians", "load", "load_inputs", "mnist", "moons",
    "preparation", "read_idx", "spirals", "split", "xor",
]
