"""Toy data: points in the plane, made by formula, on which a small network can be watched while it learns.

All are `ArrayDataset`: inputs float32 (samples, 2), labels int64. The classes come in turn, so that every stretch of
the data is balanced. Without noise the points lie exactly on their curve, and the seed decides nothing but their order
along it. The numbers come from a stream of their own, which moves no other.
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..random import Generator
from .dataset import ArrayDataset

__all__ = ["circles", "gaussians", "moons", "spirals", "xor"]

STREAM = 5                                               #: 0 to 3 are those of `chainrule.random`, 4 a trainer's noise


def spirals(samples: int = 300, *, classes: int = 3, turns: float = 0.75, noise: float = 0.0,
            seed: int | Generator = 0) -> ArrayDataset:
    r"""Return spirals around the origin, one for each class, each turned against the next by the same angle.

    .. math:: (t \cos\theta,\ t \sin\theta), \quad \theta = 2\pi\,(\text{turns}\; t + c/\text{classes}),
        \quad t = (j + \tfrac12)/m

    for the j-th of the m samples of class c.

    Parameters
    ----------
    samples : int
        Of all classes together.
    classes : int
        How many arms there are, from 1 on.
    turns : float
        How often an arm goes around; negative for clockwise.
    noise : float
        Standard deviation of what is added to each coordinate; the spirals have radius 1.
    seed : int or Generator

    Returns
    -------
    ArrayDataset

    Raises
    ------
    ValueError
        If a number is out of range.

    Examples
    --------
    >>> from chainrule import data
    >>> data.spirals(200, classes=2, turns=1.5, noise=0.02)
    ArrayDataset(200 samples: float32 (2,), int64 ())
    """
    labels, draws = _classes("spirals", samples, classes), _draws(seed)
    t = _shares(labels, classes, draws)
    angle = 2 * np.pi * (_number("spirals", "turns", turns) * t + labels / classes)
    return _dataset("spirals", t[:, None] * _on_circle(angle), labels, noise, draws)


def circles(samples: int = 200, *, factor: float = 0.5, noise: float = 0.0, seed: int | Generator = 0) -> ArrayDataset:
    r"""Return two circles around the origin: class 0 has radius 1, class 1, inside it, has radius `factor`.

    Parameters
    ----------
    samples : int
        Of both classes together.
    factor : float
        Between 0 and 1.
    noise : float
        Standard deviation of what is added to each coordinate.
    seed : int or Generator

    Returns
    -------
    ArrayDataset

    Raises
    ------
    ValueError
        If a number is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import data
    >>> x, y = data.circles(6, factor=0.25)[:]
    >>> np.hypot(*x.T).round(3).tolist(), y.tolist()
    ([1.0, 0.25, 1.0, 0.25, 1.0, 0.25], [0, 1, 0, 1, 0, 1])
    """
    if not 0 < factor < 1:
        raise ValueError(f"circles: factor is the radius of the inner circle, between 0 and 1, got {factor}")
    labels, draws = _classes("circles", samples, 2), _draws(seed)
    radius = np.where(labels == 0, 1.0, factor)
    points = radius[:, None] * _on_circle(2 * np.pi * _shares(labels, 2, draws))
    return _dataset("circles", points, labels, noise, draws)


def moons(samples: int = 200, *, noise: float = 0.0, seed: int | Generator = 0) -> ArrayDataset:
    r"""Return two half circles that reach into each other.

    Class 0 is :math:`(\cos t, \sin t)`, class 1 is :math:`(1 - \cos t, \tfrac12 - \sin t)`, for t from 0 to π.

    Parameters
    ----------
    samples : int
        Of both classes together.
    noise : float
        Standard deviation of what is added to each coordinate.
    seed : int or Generator

    Returns
    -------
    ArrayDataset

    Raises
    ------
    ValueError
        If a number is out of range.

    Examples
    --------
    >>> from chainrule import data
    >>> train, test = data.split(data.moons(400, noise=0.1))
    >>> len(train), len(test)
    (320, 80)
    """
    labels, draws = _classes("moons", samples, 2), _draws(seed)
    upper = _on_circle(np.pi * _shares(labels, 2, draws))
    points = np.where(labels[:, None] == 0, upper, [1.0, 0.5] - upper)
    return _dataset("moons", points, labels, noise, draws)


def xor(samples: int = 4, *, noise: float = 0.0, seed: int | Generator = 0) -> ArrayDataset:
    """Return the corners (0, 0), (0, 1), (1, 0), (1, 1) of a square, in turn; class 1 is where the two numbers differ.

    Parameters
    ----------
    samples : int
        4 for each corner once.
    noise : float
        Standard deviation of what is added to each coordinate: the corners become clouds.
    seed : int or Generator

    Returns
    -------
    ArrayDataset

    Raises
    ------
    ValueError
        If a number is out of range.

    Examples
    --------
    >>> from chainrule import data
    >>> x, y = data.xor()[:]
    >>> x.tolist(), y.tolist()
    ([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0, 1, 1, 0])
    """
    corner = _classes("xor", samples, 4)
    points = np.stack([corner // 2, corner % 2], axis=1)
    return _dataset("xor", points, points[:, 0] ^ points[:, 1], noise, _draws(seed))


def gaussians(samples: int = 300, *, centers: int | ArrayLike = 3, std: float | Sequence[float] = 1.0,
              seed: int | Generator = 0) -> ArrayDataset:
    r"""Return a cloud for each class, normally distributed around its centre.

    Parameters
    ----------
    samples : int
        Of all classes together.
    centers : int or array_like, shape (classes, features)
        Where the centres are; a number of them stands for so many on a circle of radius 4 around the origin, at the
        angles :math:`2\pi c/\text{classes}`.
    std : float or sequence of float
        The standard deviation of each coordinate, of all clouds or of each.
    seed : int or Generator

    Returns
    -------
    ArrayDataset
        The inputs have as many features as the centres.

    Raises
    ------
    ValueError
        If a number is out of range, or a shape is not the one above.

    Examples
    --------
    >>> from chainrule import data
    >>> data.gaussians(100, centers=[[0, 0, 0], [2, 2, 2]], std=[0.5, 1.0])
    ArrayDataset(100 samples: float32 (3,), int64 ())
    """
    if isinstance(centers, int | np.integer):
        _classes("gaussians", samples, int(centers), "centers")
        places = 4 * _on_circle(2 * np.pi * np.arange(centers) / centers)
    else:
        places = np.asarray(centers, np.float64)
        if places.ndim != 2 or not places.size or not np.isfinite(places).all():
            raise ValueError("gaussians: centers is a number of classes, or finite numbers of shape (classes, "
                             f"features), got shape {places.shape}")
    labels = _classes("gaussians", samples, len(places))
    widths = np.asarray(std, np.float64)
    if widths.shape not in ((), (len(places),)) or not (np.isfinite(widths) & (widths >= 0)).all():
        raise ValueError(f"gaussians: std is a number from 0 on, or one for each of the {len(places)} classes, got "
                         f"{std}")
    widths = np.broadcast_to(widths, len(places))[labels, None]
    return _dataset("gaussians", places[labels], labels, widths, _draws(seed))


def _draws(seed: int | Generator) -> Generator:
    return seed if isinstance(seed, Generator) else Generator(seed, stream=STREAM)


def _classes(what: str, samples: int, classes: int, name: str = "classes") -> NDArray[np.int64]:
    """Return the class of each sample, after a look at both numbers."""
    if not isinstance(classes, int | np.integer) or classes < 1:
        raise ValueError(f"{what}: {name} is a whole number from 1 on, got {classes!r}")
    if not isinstance(samples, int | np.integer) or samples < classes:
        least = "number" if classes == 1 else f"number, at least {classes}, so that each class has one"
        raise ValueError(f"{what}: samples is a whole {least}, got {samples!r}")
    return np.arange(samples, dtype=np.int64) % classes


def _number(what: str, name: str, value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{what}: {name} is a finite number, got {value}")
    return value


def _shares(labels: NDArray[np.int64], classes: int, draws: Generator) -> NDArray[np.float64]:
    """Return where on its curve each sample lies: (j + ½)/m for the m samples of a class, in an order that is drawn."""
    shares = np.empty(len(labels))
    for c in range(classes):
        mine = shares[c::classes]
        mine[:] = (draws.permutation(len(mine)) + 0.5) / len(mine)
    return shares


def _on_circle(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _dataset(what: str, points: NDArray[Any], labels: NDArray[np.int64], noise: float | NDArray[np.float64],
             draws: Generator) -> ArrayDataset:
    """Add the noise, and make the arrays read-only, so that batches are shared, not copied."""
    if isinstance(noise, int | float) and _number(what, "noise", noise) < 0:
        raise ValueError(f"{what}: noise is a standard deviation, from 0 on, got {noise}")
    if np.any(noise):
        points = points + noise * draws.normal(size=points.shape, dtype=np.float64).numpy()
    points, labels = points.astype(np.float32), labels.astype(np.int64)
    for array in (points, labels):
        array.flags.writeable = False
    return ArrayDataset(points, labels)
