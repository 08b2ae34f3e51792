"""Random numbers in streams: the same seed gives the same numbers, in eager and in recorded runs.

Initialisation, shuffling, dropout and the user's own draws are separate streams of one seed, so adding a layer moves
none of the others. Each draw takes the next stretch of its stream; where a stream stands is a state cell.
"""
from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .gates.comparison import argsort
from .gates.elementwise import cast
from .gates.random import blocks, philox_bernoulli, philox_normal, philox_uniform
from .mode import recorder
from .state import read, write
from .tensor import Tensor

__all__ = ["Generator", "bernoulli", "dropout", "init", "normal", "permutation", "seed", "shuffle", "uniform", "user"]

Size = int | tuple[int, ...] | None
turn = threading.Lock()              # two threads never take the same stretch of a stream


class Generator:
    """A stream of random numbers: NumPy's Philox with the key (seed, stream), read on from a position.

    Parameters
    ----------
    seed : int
        At least 0 and below 2⁶³.
    stream : int
        From 0 to 2⁶⁴ - 1; streams of one seed are independent.
    position : int
        How many blocks of four 64-bit words have been used.

    Raises
    ------
    ValueError
        If one of them is not such a number.

    Examples
    --------
    >>> from chainrule.random import Generator
    >>> a, b = Generator(7), Generator(7)
    >>> bool((a.normal(size=3) == b.normal(size=3)).all())
    True
    """

    def __init__(self, seed: int = 0, stream: int = 3, position: int = 0) -> None:
        self.reset(seed)
        self.stream, self.position = _whole("a stream", stream, 64), _whole("a position", position, 64)

    def reset(self, seed: int) -> None:
        """Begin the stream of another seed."""
        step = recorder()
        if step is not None:
            step.refuse("a seed inside a recorded step would give the same numbers at each call; seed before the step")
        self.seed, self.position = _whole("a seed", seed, 63), 0

    def _take(self, numbers: int, dtype: DTypeLike) -> tuple[Any, int, Any]:
        """Take the next stretch; give its seed, stream and first position."""
        with turn:
            position = read(self, "position")
            write(self, "position", position + blocks(numbers, dtype))
        return read(self, "seed"), self.stream, position

    def uniform(self, low: float = 0.0, high: float = 1.0, size: Size = None, dtype: DTypeLike = np.float32) -> Tensor:
        """Draw from [low, high) with equal probability; rounding can give `high` itself, except for 1.

        Parameters
        ----------
        low, high : float
        size : int or tuple of int, optional
            The shape; a single number by default.
        dtype : float32 or float64

        Returns
        -------
        Tensor

        Examples
        --------
        >>> import chainrule as cr
        >>> draws = cr.random.uniform(-1.0, 1.0, size=1000)
        >>> bool((abs(draws) <= 1).all()), draws.dtype
        (True, dtype('float32'))
        """
        shape, dtype = _shape(size), _floating(dtype)
        z = philox_uniform(*self._take(_count(shape), dtype), shape=shape, dtype=dtype)
        return _tensor(z if (low, high) == (0, 1) else z * (high - low) + low, dtype)

    def normal(self, loc: float = 0.0, scale: float = 1.0, size: Size = None, dtype: DTypeLike = np.float32) -> Tensor:
        """Draw from the normal distribution with mean `loc` and standard deviation `scale`.

        Parameters
        ----------
        loc, scale : float
        size : int or tuple of int, optional
            The shape; a single number by default.
        dtype : float32 or float64

        Returns
        -------
        Tensor

        Examples
        --------
        >>> import chainrule as cr
        >>> cr.random.normal(size=(2, 3)).shape
        (2, 3)
        """
        shape, dtype = _shape(size), _floating(dtype)
        z = philox_normal(*self._take(_count(shape), dtype), shape=shape, dtype=dtype)     # a pair ends in one block
        return _tensor(z if (loc, scale) == (0, 1) else z * scale + loc, dtype)

    def bernoulli(self, p: float = 0.5, size: Size = None, dtype: DTypeLike = np.float32) -> Tensor:
        """Draw 1 with probability `p`, else 0.

        Parameters
        ----------
        p : float
            From 0 to 1.
        size : int or tuple of int, optional
            The shape; a single number by default.
        dtype : float32 or float64

        Returns
        -------
        Tensor

        Raises
        ------
        ValueError
            If `p` is not a probability.

        Examples
        --------
        >>> import chainrule as cr
        >>> cr.random.bernoulli(1.0, size=3)
        Tensor([1., 1., 1.], dtype=float32)
        """
        shape, dtype = _shape(size), _floating(dtype)
        if isinstance(p, int | float) and not 0 <= p <= 1:
            raise ValueError(f"a probability lies between 0 and 1, got {p}")
        return _tensor(philox_bernoulli(*self._take(_count(shape), dtype), p, shape=shape, dtype=dtype), dtype)

    def permutation(self, n: int) -> NDArray[np.intp]:
        """Draw an order of the numbers from 0 to n - 1, each as likely as any other.

        Parameters
        ----------
        n : int

        Returns
        -------
        array of int, shape (n,)

        Examples
        --------
        >>> import chainrule as cr
        >>> sorted(cr.random.permutation(4).tolist())
        [0, 1, 2, 3]
        """
        drawn = philox_uniform(*self._take(n, np.float64), shape=(n,), dtype=np.dtype(np.float64))
        return argsort(drawn)                          # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"Generator(seed={self.seed}, stream={self.stream}, position={self.position})"


def _whole(what: str, value: Any, bits: int) -> int:
    if not isinstance(value, int | np.integer) or not 0 <= value < 2**bits:
        raise ValueError(f"{what} is a whole number from 0 to 2^{bits} - 1, got {value!r}")
    return int(value)


def _shape(size: Size) -> tuple[int, ...]:
    return () if size is None else (int(size),) if isinstance(size, int | np.integer) else tuple(int(n) for n in size)


def _count(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape, dtype=np.int64))


def _floating(dtype: DTypeLike) -> np.dtype[Any]:
    found = np.dtype(dtype)
    if found not in (np.float32, np.float64):
        raise TypeError(f"random numbers are float32 or float64, got {found}; convert them with .astype")
    return found


def _tensor(z: Any, dtype: np.dtype[Any]) -> Tensor:
    z = z if z.dtype == dtype else cast(z, dtype=dtype)          # a NumPy float64 among the bounds does not widen it
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
