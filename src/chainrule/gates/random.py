"""Random numbers as gates: pure functions of a key and a position, so that a recorded step can be replayed.

The generator is NumPy's Philox (4×64 bits, 10 rounds; Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3, SC
2011). Its key is (seed, stream), its counter the position; a block holds four 64-bit words. `chainrule.random` keeps
the positions.
"""
from __future__ import annotations

import threading
from math import pi
from typing import Any

import numpy as np

from ..gate import gate
from .comparison import less
from .elementwise import cast, cos, log1p, sin, sqrt
from .shaping import concatenate, reshape

__all__ = ["philox_bernoulli", "philox_normal", "philox_uniform"]


class _Philox(threading.local):
    """One bit generator a thread, made at its first draw (`numpy.random` loads slowly), set to a position for each."""

    bits: Any = None
    numbers: Any = None

    def at(self, seed: int, stream: int, position: int) -> np.random.Generator:
        if self.bits is None:
            self.bits = np.random.Philox(0)
            self.numbers = np.random.Generator(self.bits)
        key = np.array([seed & 0xFFFF_FFFF_FFFF_FFFF, stream], np.uint64)
        counter = np.array([position, 0, 0, 0], np.uint64)
        self.bits.state = {
            "bit_generator": "Philox", "buffer": np.zeros(4, np.uint64), "buffer_pos": 4, "has_uint32": 0,
            "uinteger": 0, "state": {"counter": counter, "key": key}}
        return self.numbers                            # type: ignore[no-any-return]


_philox = _Philox()


def blocks(numbers: int, dtype: Any) -> int:
    """Count the Philox blocks that so many uniform numbers of a dtype use: 8 of float32 or 4 of float64 a block."""
    return -int(-numbers * np.dtype(dtype).itemsize // 32)


def _size(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape, dtype=np.int64))


def _uniform(seed: int, stream: int, position: int, *, shape: tuple[int, ...], dtype: Any = np.float32,
             out: Any = None) -> Any:
    return _philox.at(seed, stream, position).random(shape, dtype=dtype, out=out)


def _normal(seed: int, stream: int, position: int, *, shape: tuple[int, ...], dtype: Any = np.float32) -> Any:
    n = _size(shape)
    half = (n + 1) // 2
    u = _philox.at(seed, stream, position).random((2, half), dtype=dtype)
    # Box and Muller, A Note on the Generation of Random Normal Deviates, 1958; 1 - u is never 0
    radius, angle = np.sqrt(-2 * np.log1p(-u[0])), (2 * pi) * u[1]
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:n].reshape(shape)


def _bernoulli(seed: int, stream: int, position: int, p: Any, *, shape: tuple[int, ...], dtype: Any = np.float32
               ) -> Any:
    return (_uniform(seed, stream, position, shape=shape, dtype=dtype) < p).astype(dtype)


WHERE = "whole numbers: the generator's key is (seed, stream), its counter the position"
DRAW = {"shape": "tuple of int\n    How many to draw.", "dtype": "dtype\n    float32 or float64."}

philox_uniform = gate(
    "philox_uniform", _uniform, out=True, about=DRAW, shapes=WHERE, formula=r"z \sim U[0, 1)",
    summary="Uniform numbers in [0, 1): the multiples of 2⁻²⁴ (float32) or 2⁻⁵³ (float64).",
    example=">>> cr.philox_uniform(0, 0, 0, shape=(2,)).dtype\ndtype('float32')")


def _parts_of_normal(seed: Any, stream: Any, position: Any, *, shape: tuple[int, ...], dtype: Any = np.float32) -> Any:
    n = _size(shape)
    u = philox_uniform(seed, stream, position, shape=(2, (n + 1) // 2), dtype=dtype)
    radius, angle = sqrt(-2 * log1p(-u[0])), (2 * pi) * u[1]
    return reshape(concatenate([radius * cos(angle), radius * sin(angle)])[:n], shape=shape)


def _parts_of_bernoulli(seed: Any, stream: Any, position: Any, p: Any, *, shape: tuple[int, ...],
                        dtype: Any = np.float32) -> Any:
    return cast(less(philox_uniform(seed, stream, position, shape=shape, dtype=dtype), p), dtype=dtype)


philox_normal = gate(
    "philox_normal", _normal, parts=_parts_of_normal, about=DRAW, shapes=WHERE, formula=r"z \sim N(0, 1)",
    source="Box and Muller, A Note on the Generation of Random Normal Deviates, Ann. Math. Stat. 29, 1958",
    summary="Standard normal numbers by the Box–Muller transform of uniform ones.",
    example=">>> cr.philox_normal(0, 0, 0, shape=(2,)).shape\n(2,)")
philox_bernoulli = gate(
    "philox_bernoulli", _bernoulli, parts=_parts_of_bernoulli, about=DRAW, shapes=WHERE, formula=r"z \sim B(p)",
    summary="Ones with probability `p`, else zeros.",
    example=">>> cr.philox_bernoulli(0, 0, 0, 1.0, shape=(2,))\narray([1., 1.], dtype=float32)")
