"""Random numbers in streams: the same seed gives the same numbers, in eager and in recorded runs.

Initialisation, shuffling, dropout and the user's own draws are separate streams of one seed, so adding a layer moves
none of the others. Each draw takes the next stretch of its stream; where a stream stands is a state cell.
"""
from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .gates.random import blocks, philox_bernoulli, philox_normal, philox_uniform
from .state import read, write
from .tensor import Tensor

__all__ = ["Generator", "bernoulli", "dropout", "init", "normal", "permutation", "seed", "shuffle", "uniform", "user"]

Size = int | tuple[int, ...] | None


class Generator:
    """A stream of random numbers: NumPy's Philox with the key (seed, stream), read on from a position.

    Parameters
    ----------
    seed : int
        At least 0 and below 2⁶³.
    stream : int
        Streams of one seed are independent.
    position : int
        How many blocks of four 64-bit words have been used.

    Examples
    --------
    >>> from chainrule.random import Generator
    >>> a, b = Generator(7), Generator(7)
    >>> bool((a.normal(size=3) == b.normal(size=3)).all())
    True
    """

    def __init__(self, seed: int = 0, stream: int = 3, position: int = 0) -> None:
        self.reset(seed)
        self.stream, self.position = int(stream), int(position)

    def reset(self, seed: int) -> None:
        """Begin the stream of another seed."""
        if not isinstance(seed, int | np.integer) or not 0 <= seed < 2**63:
            raise ValueError(f"a seed is a whole number from 0 to 2⁶³ - 1, got {seed!r}")
        self.seed, self.position = int(seed), 0

    def _take(self, numbers: int, dtype: DTypeLike) -> tuple[Any, int, Any]:
        """Take the next stretch; give its seed, stream and first position."""
        position = read(self, "position")
        write(self, "position", position + blocks(numbers, dtype))
        return read(self, "seed"), self.stream, position

    def uniform(self, low: float = 0.0, high: float = 1.0, size: Size = None, dtype: DTypeLike = np.float32) -> Tensor:
        """Draw from [low, high) with equal probability."""
        shape, dtype = _shape(size), _floating(dtype)
        z = philox_uniform(*self._take(_count(shape), dtype), shape=shape, dtype=dtype)
        return _tensor(z if (low, high) == (0, 1) else z * (high - low) + low)

    def normal(self, loc: float = 0.0, scale: float = 1.0, size: Size = None, dtype: DTypeLike = np.float32) -> Tensor:
        """Draw from the normal distribution with mean `loc` and standard deviation `scale`."""
        shape, dtype = _shape(size), _floating(dtype)
        z = philox_normal(*self._take(_count(shape) + 1 & ~1, dtype), shape=shape, dtype=dtype)
        return _tensor(z if (loc, scale) == (0, 1) else z * scale + loc)

    def bernoulli(self, p: float = 0.5, size: Size = None, dtype: DTypeLike = np.float32) -> Tensor:
        """Draw 1 with probability `p`, else 0."""
        shape, dtype = _shape(size), _floating(dtype)
        if isinstance(p, int | float) and not 0 <= p <= 1:
            raise ValueError(f"a probability lies between 0 and 1, got {p}")
        return _tensor(philox_bernoulli(*self._take(_count(shape), dtype), p, shape=shape, dtype=dtype))

    def permutation(self, n: int) -> NDArray[np.intp]:
        """Draw an order of the numbers from 0 to n - 1, each as likely as any other."""
        drawn = philox_uniform(*self._take(n, np.float64), shape=(n,), dtype=np.dtype(np.float64))
        return np.argsort(drawn, kind="stable")

    def __repr__(self) -> str:
        return f"Generator(seed={self.seed}, stream={self.stream}, position={self.position})"


def _shape(size: Size) -> tuple[int, ...]:
    return () if size is None else (int(size),) if isinstance(size, int | np.integer) else tuple(int(n) for n in size)


def _count(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape, dtype=np.int64))


def _floating(dtype: DTypeLike) -> np.dtype[Any]:
    found = np.dtype(dtype)
    if found not in (np.float32, np.float64):
        raise TypeError(f"random numbers are float32 or float64, got {found}; convert them with .astype")
    return found


def _tensor(z: Any) -> Tensor:
    return z if isinstance(z, Tensor) else Tensor.of(z)


init = Generator(stream=0)           #: what layers draw their first weights from
shuffle = Generator(stream=1)        #: what data loaders draw their orders from
dropout = Generator(stream=2)        #: what dropout layers draw their masks from
user = Generator(stream=3)           #: what the functions of this module draw from


def seed(value: int) -> None:
    """Begin all streams anew from one seed.

    Parameters
    ----------
    value : int
        At least 0 and below 2⁶³.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.random.seed(1)
    >>> a = cr.random.uniform(size=2)
    >>> cr.random.seed(1)
    >>> bool((a == cr.random.uniform(size=2)).all())
    True
    """
    for stream in (init, shuffle, dropout, user):
        stream.reset(value)


uniform, normal, bernoulli, permutation = user.uniform, user.normal, user.bernoulli, user.permutation
