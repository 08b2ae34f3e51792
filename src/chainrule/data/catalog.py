"""The data sets that have a name: what is in them, whose they are, and where their files are found."""
from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["CATALOG", "File", "Source"]


@dataclass(frozen=True)
class File:
    """One IDX file of a data set.

    Attributes
    ----------
    name : str
        As it is published, without ``.gz``.
    shape : tuple of int
        Of the bytes in it.
    packed : int
        Bytes to download.
    sha256 : str
        Of the decompressed file, in hexadecimal.
    """

    name: str
    shape: tuple[int, ...]
    packed: int
    sha256: str

    @property
    def size(self) -> int:
        """Bytes of the decompressed file: a header of 4 bytes and 4 for each axis, then the data."""
        return 4 + 4 * len(self.shape) + math.prod(self.shape)


@dataclass(frozen=True)
class Source:
    """A data set with a name.

    Attributes
    ----------
    name, title : str
        What it is called in commands, and in sentences.
    samples : (int, int)
        How many there are to train on, and to test with.
    shape : (int, int)
        Of an image, in pixels.
    maximum : int
        The value of the brightest pixel; the darkest is 0.
    classes : tuple of str
        What the labels 0, 1, … stand for.
    license, citation : str
    files : tuple of File
        Training images and labels, test images and labels; none if the data set ships with the package.
    mirrors : tuple of str
        Addresses of folders that hold the files, compressed.
    folders : tuple of str
        Where other libraries put the files, inside the folder that is given to them.
    """

    name: str
    title: str
    samples: tuple[int, int]
    shape: tuple[int, int]
    maximum: int
    classes: tuple[str, ...]
    license: str
    citation: str
    files: tuple[File, ...] = ()
    mirrors: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()


TRAIN, TEST = (60_000, 28, 28), (10_000, 28, 28)
DIGITS = tuple("0123456789")

#: By name.
CATALOG = {source.name: source for source in (
    Source(
        "digits", "handwritten digits of 8×8 pixels", (1437, 360), (8, 8), 16, DIGITS, "CC BY 4.0",
        "E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998"),
    Source(
        "mnist", "MNIST, handwritten digits", (60_000, 10_000), (28, 28), 255, DIGITS, "CC BY-SA 3.0",
        "Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, Gradient-based learning applied to document recognition, "
        "Proceedings of the IEEE 86(11), 1998",
        (File("train-images-idx3-ubyte", TRAIN, 9_912_422,
              "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
         File("train-labels-idx1-ubyte", TRAIN[:1], 28_881,
              "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
         File("t10k-images-idx3-ubyte", TEST, 1_648_877,
              "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
         File("t10k-labels-idx1-ubyte", TEST[:1], 4_542,
              "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2")),
        ("https://ossci-datasets.s3.amazonaws.com/mnist", "https://storage.googleapis.com/cvdf-datasets/mnist"),
        ("MNIST/raw",)),
    Source(
        "fashion-mnist", "Fashion-MNIST, pictures of clothes", (60_000, 10_000), (28, 28), 255,
        ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        "MIT, © 2017 Zalando SE",
        "H. Xiao, K. Rasul and R. Vollgraf, Fashion-MNIST: a novel image dataset for benchmarking machine learning "
        "algorithms, arXiv:1708.07747, 2017",
        (File("train-images-idx3-ubyte", TRAIN, 26_421_880,
              "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"),
         File("train-labels-idx1-ubyte", TRAIN[:1], 29_515,
              "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
         File("t10k-images-idx3-ubyte", TEST, 4_422_102,
              "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"),
         File("t10k-labels-idx1-ubyte", TEST[:1], 5_148,
              "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34")),
        ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
         "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion"),
        ("FashionMNIST/raw",)),
)}
