"""Data sets, and the loader that cuts them into batches."""
from .augment import Shift
from .classes import class_weights
from .dataset import ArrayDataset, Dataset
from .digits import digits
from .download import DownloadError
from .idx import read_idx
from .loader import DataLoader
from .mnist import fashion_mnist, mnist
from .pixels import Pixels
from .split import split
from .toys import circles, gaussians, moons, spirals, xor

__all__ = [
    "ArrayDataset", "DataLoader", "Dataset", "DownloadError", "Pixels", "Shift", "circles", "class_weights", "digits",
    "fashion_mnist", "gaussians", "mnist", "moons", "read_idx", "spirals", "split", "xor",
]
