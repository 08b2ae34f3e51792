"""Data sets, and the loader that cuts them into batches."""
from .dataset import ArrayDataset, Dataset
from .digits import digits
from .loader import DataLoader

__all__ = ["ArrayDataset", "DataLoader", "Dataset", "digits"]
