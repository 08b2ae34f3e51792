"""One table of cases for every differentiable gate: arguments in float64, away from kinks, and options.

Each check of the gates runs over this table. A gate without a case fails `test_derivatives.py`, so a new gate brings
its own lines here. Kinks and ties stand in `TIES`, where the conventions are asserted by value.
"""
from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np

import chainrule as cr

SEEDS = count()
inf = np.inf


def values(*shape: int, low: float | None = None) -> np.ndarray:
    """Distinct numbers 0.1 apart in random order, around 0 or from `low` upwards.

    None is closer than 0.02 to 0, nor to a number of the array made before or after this one: no step of a numerical
    derivative crosses a kink.
    """
    seed = next(SEEDS)
    n = int(np.prod(shape))
    start = -(n // 2) * 0.1 if low is None else low
    grid = np.random.default_rng(seed).permutation(n) * 0.1 + start + (0.02, 0.05, 0.08)[seed % 3]
    return grid.reshape(shape)


@dataclass(frozen=True)
class Case:
    gate: str
    inputs: tuple[Any, ...]
    options: dict[str, Any] = field(default_factory=dict)
    number: int = 0

    @property
    def id(self) -> str:
        shapes = ",".join("x".join(map(str, x.shape)) or "0d" for x in self.floats.values())
        options = "".join(f",{k}={v}".replace(" ", "") for k, v in self.options.items())
        return f"{self.gate}-{self.number}-{shapes}{options}"

    @property
    def floats(self) -> dict[int, np.ndarray]:
        """The arguments that are differentiated, by their place."""
        return {i: x for i, x in enumerate(self.inputs) if getattr(x, "dtype", None) == np.float64}

    @property
    def rule(self) -> cr.Gate:
        return cr.GATES[self.gate]


CASES: list[Case] = []


def case(gate: str, *inputs: Any, **options: Any) -> None:
    CASES.append(Case(gate, inputs, options, sum(c.gate == gate for c in CASES)))


# ------------------------------------------------------------------ elementwise
SHAPES = [(), (3,), (2, 3), (0,), (2, 0)]
PAIRS = [((3,), (3,)), ((2, 3), (3,)), ((3,), (2, 3)), ((2, 1), (1, 3)), ((2, 3), ()), ((), (2, 3)), ((), ()),
         ((1,), ()), ((2, 1, 2), (3, 1)), ((0,), (0,)), ((0, 2), (1, 2)), ((1, 2), (0, 2)), ((1,), (0,)), ((), (0,))]

for name in ("negative", "square", "exp", "expm1", "sin", "cos", "tan", "arctan", "tanh", "sigmoid", "relu", "softplus",
             "erf", "abs", "sign"):
    for shape in SHAPES:
        case(name, values(*shape))
    case(name, np.float64(0.3))
for name in ("erf", "sigmoid", "softplus", "tanh"):
    case(name, values(12, low=-0.61) * 5)
for name in ("sqrt", "log", "log1p"):
    for shape in SHAPES:
        case(name, values(*shape, low=0.4))
case("log1p", values(4, low=-0.6))
for shape in SHAPES:
    case("reciprocal", values(*shape, low=0.4))
case("reciprocal", -values(3, low=0.4))

for name in ("add", "subtract", "multiply", "maximum", "minimum", "logaddexp"):
    for first, second in PAIRS:
        case(name, values(*first), values(*second))
    case(name, values(2, 3), 0.4)
    case(name, -0.4, values(3))
    case(name, values(3), np.array([1, -2, 3]))
for name in ("divide", "power"):
    for first, second in PAIRS:
        case(name, values(*first, low=0.5), values(*second, low=0.5))
    case(name, values(2, 3, low=0.5), -1.7)
    case(name, 1.7, -values(3, low=0.5))
    case(name, values(3, low=0.5), -values(3, low=0.5))
    case(name, -values(3, low=0.5), np.array([1, -2, 3]))
for exponent in (0, 1, 2, 3, -1, 0.5, 2.0, np.float64(3.0)):
    case("power", values(3, low=0.3), exponent)
case("power", values(4), 2)                            # negative bases, whole exponents
case("power", values(4), np.array([0, 1, 2, 3]))
case("divide", -values(3, low=0.3), values(3, low=0.3))

for bounds in ((None, None), (-0.1, None), (None, 0.135), (-0.135, 0.135), (0.2, -0.2)):
    case("clip", values(2, 3), *bounds)
case("clip", values(4), -0.1)
case("clip", values(2, 3), values(3) - 0.2, values(2, 1) + 0.2)
case("clip", values(3), values(2, 3), None)
case("clip", values(3), None, values(2, 3))
case("clip", values(1), values(2, 3) + 1, values(3) - 1)          # bounds that cross: the upper one holds
case("clip", values(), values(), values())
case("clip", values(0), -1.0, 1.0)
case("clip", values(1, 2), values(0, 2), 1.0)

MASK = np.array([[True, False, True], [False, False, True]])
case("where", MASK, values(2, 3), values(2, 3))
case("where", MASK, values(3), values(2, 1))
case("where", MASK[0], values(2, 3), values(2, 3))
case("where", MASK, values(), 1.5)
case("where", MASK, 2, values(1, 3))
case("where", True, values(2), values(2))
case("where", np.array([0, 2, 1]), values(3), values(3))
case("where", np.zeros((0,), bool), values(0), values(1))
for shape in SHAPES:
    case("cast", values(*shape), dtype=np.float64)

# ------------------------------------------------------------------ reductions
REDUCED = [((2, 3), [None, 0, 1, -1, -2, (0, 1), (0,), (-1, 0), ()]), ((3,), [None, 0, (0,)]), ((), [None, (), 0]),
           ((2, 3, 2), [(0, 2), (-1, 1), 1, np.int64(1)]), ((1, 2), [0, None]), ((0, 3), [1]), ((3, 1), [(0, 1)])]
EMPTY = [((0,), [None, 0]), ((0, 3), [0, (0, 1), None]), ((2, 0), [-1])]
MEANS = ("mean", "var", "std", "max", "min")                      # of nothing these are not defined
for name in ("sum", "prod", "norm2", "logsumexp", *MEANS):
    for shape, axes in REDUCED + ([] if name in MEANS else EMPTY):
        for axis in axes:
            if name in ("mean", "var", "std") and shape == () and axis == 0:
                continue                                           # NumPy has no such mean, but such a sum
            if name == "std" and np.any(np.std(values(*shape), axis=axis) == 0):
                continue                                           # of one element: a kink, see TIES
            case(name, values(*shape), axis=axis)
            case(name, values(*shape), axis=axis, keepdims=True)
    case(name, values(2, 3))
    case(name, values(3, 2), keepdims=True)
for name in ("var", "std"):
    case(name, values(2, 3), ddof=1)
    case(name, values(2, 3), axis=1, ddof=1)
    case(name, values(2, 3), axis=0, ddof=0.5, keepdims=True)
case("logsumexp", values(2, 3) * 400, axis=1)
case("logsumexp", np.array([[-inf, 0.3, 0.1], [0.2, -inf, -inf]]) + values(3), axis=-1)
for n in range(1, 10):
    case("prod", values(n))
case("prod", values(2, 7), axis=1)
case("prod", values(5, 3, 2), axis=(2, 0))
case("prod", np.array([[0.0, 0.3, 0.5], [0.0, 0.0, 0.7], [0.2, 0.3, 0.4]]), axis=1)
case("prod", np.array([0.0, 0.3, 0.0, 0.5, 0.0]))
for shape, target in [((2, 3), (3,)), ((2, 3), (1, 3)), ((2, 3), (2, 1)), ((2, 3), ()), ((4, 2, 3), (2, 3)),
                      ((4, 2, 3), (2, 1)), ((4, 2, 3), (1, 1)), ((3,), ()), ((3,), (3,)), ((0, 3), (3,)),
                      ((2, 0), (2, 1)), ((0, 3), (1, 3)), ((), ()), ((2, 1, 3), (1, 3))]:
    case("sum_to", values(*shape), shape=target)
for shape, axes in [((4,), [None, 0, -1]), ((2, 3), [None, 0, 1, -1]), ((), [None, 0]), ((0,), [None, 0]),
                    ((2, 0), [1])]:
    for axis in axes:
        case("cumsum", values(*shape), axis=axis)
for name in ("softmax", "log_softmax"):
    for shape, axes in [((3,), [-1, 0, None, (0,)]), ((2, 3), [-1, 0, 1, (0, 1), None]), ((2, 3, 2), [1, (0, -1)]),
                        ((), [-1, None]), ((0, 3), [-1, 0]), ((2, 0), [-1]), ((1,), [0])]:
        for axis in axes:
            case(name, values(*shape), axis=axis)
    case(name, values(2, 3))
    case(name, values(2, 3) * 400)

# ------------------------------------------------------------------ shapes
case("reshape", values(2, 3), shape=(3, 2))
case("reshape", values(2, 3), shape=-1)
case("reshape", values(2, 3), shape=(1, -1, 2))
case("reshape", values(), shape=(1, 1))
case("reshape", values(1), shape=())
case("reshape", values(0, 3), shape=(3, 0))
for axes in (None, (0, 1, 2), (2, 0, 1), (1, 2, 0), (-1, 0, 1), [0, -1, -2]):
    case("transpose", values(2, 3, 4), axes=axes)
case("transpose", values(2, 3))
case("transpose", values())
case("transpose", values(3), axes=(0,))
case("transpose", values(0, 2), axes=(1, 0))
case("swapaxes", values(2, 3, 2), axis1=0, axis2=1)
case("swapaxes", values(2, 3, 2), axis1=-1, axis2=1)
case("swapaxes", values(2), axis1=0, axis2=0)
case("swapaxes", values(0, 2), axis1=0, axis2=1)
for source, destination in ((0, 2), (2, 0), (-1, 1), ((0, 1), (-1, 0)), ([2, 0], [0, 1]), ((), ())):
    case("moveaxis", values(2, 3, 4), source=source, destination=destination)
case("moveaxis", values(0, 2), source=0, destination=1)
for axis in (0, 1, -1, (0, 2), (-1, 0), ()):
    case("expand_dims", values(2, 3) if axis != () else values(2), axis=axis)
case("expand_dims", values(), axis=0)
case("expand_dims", values(0), axis=1)
for axis in (None, 0, -1, (0, 2), (-1,)):
    case("squeeze", values(1, 3, 1), axis=axis)
case("squeeze", values(1), axis=0)
case("squeeze", values())
case("squeeze", values(1, 0))
for shape, target in [((3,), (2, 3)), ((2, 1), (2, 3)), ((), (2, 2)), ((1, 3), (2, 2, 3)), ((3,), (3,)), ((1,), (0,)),
                      ((0,), (2, 0)), ((), ())]:
    case("broadcast_to", values(*shape), shape=target)
for shape, axes in [((2, 3), [None, 0, 1, -1, (0, 1)]), ((3,), [None]), ((), [None]), ((0, 2), [0])]:
    for axis in axes:
        case("flip", values(*shape), axis=axis)
for shift, axis in ((1, None), (-2, None), (1, 0), (-1, 1), (4, -1), ((1, -2), (0, 1)), (1, (0, 1)),
                    (np.array([1, 2]), (0, 1))):
    case("roll", values(2, 3), shift=shift, axis=axis)
case("roll", values(), shift=1)
case("roll", values(0), shift=1)
case("concatenate", values(2), values(3), axis=0)
case("concatenate", values(2, 1), values(2, 3), values(2, 2), axis=1)
case("concatenate", values(2, 2), values(2, 1), axis=-1)
case("concatenate", values(2, 2), np.ones((1, 2)), values(0, 2), axis=0)
case("concatenate", values(2), np.array([1, 2]), axis=0)
case("concatenate", values(3))
for width, shape in ((1, (3,)), ((1, 2), (3,)), (((1, 0), (0, 2)), (2, 3)), (((1, 2),), (2, 2)), (1, (0,)), (1, ()),
                     (0, (2,))):
    case("pad", values(*shape), pad_width=width)
case("pad", values(2), pad_width=1, constant_values=7.5)

# ------------------------------------------------------------------ indices
SOME = np.array([2, 0, 2])
INDICES = [
    (0,), (-1,), (np.int64(1),), (slice(None),), (slice(1, None),), (slice(None, None, -2),), (slice(5, 9),), (...,),
    (None,), (..., 0), (0, ...), (slice(None), 1), (None, slice(1, 3), None), (1, 2), (SOME,), (slice(None), SOME),
    (SOME, np.array([0, 1, 0])), (SOME[:, None], np.array([0, 1])), (SOME, 1), (0, SOME), (np.array([[0, 1], [1, 1]]),),
    (np.array([True, False, True]),), (np.arange(12).reshape(3, 4) % 3 == 0,), (slice(None), np.arange(4) < 2),
    (np.array([True, False, True]), SOME[:2]), (np.array([], int),), (np.zeros(3, bool),), (True,), (False,),
    (np.array(1),), (np.array([-1, 2]),), (None, SOME, ..., None), (..., SOME, slice(None, 2)), (),
]
for index in INDICES:
    case("getitem", values(3, 4), *index)
    case("scatter_add", np.array(values(*np.empty((3, 4))[index].shape)), *index, shape=(3, 4))
case("getitem", values(2, 3, 4), SOME - 1, slice(None), np.array([0, 3, 0]))
case("getitem", values(2, 3, 4), slice(None), SOME, 1)
case("getitem", values(2, 3, 4), 0, ..., SOME)
case("getitem", values(0, 3), slice(None), 1)
case("getitem", values(), ...)
case("getitem", values(), None)
ROWS = np.array([[0, 2], [1, 1]])
for shape, indices, axis in [
    ((2, 3), ROWS, 1), ((2, 3), ROWS, -1), ((2, 3), ROWS[:, :1], 1), ((3, 2), ROWS, 0), ((3, 2), ROWS[:1], 0),
    ((2, 3), ROWS[:1], 1), ((1, 3), ROWS, 1), ((2, 3), ROWS.ravel(), None), ((3,), ROWS[0], 0),
    ((2, 3, 2), ROWS[:, :, None], 1), ((2, 3), -ROWS, 1), ((1, 3), ROWS[:, :1], 1), ((2, 3), ROWS[:, :0], 1),
    ((0, 3), ROWS[:0], 1),
]:
    case("take_along_axis", values(*shape), indices, axis=axis)
    z = cr.take_along_axis(np.empty(shape), indices, axis=axis)
    case("scatter_along_axis", values(*z.shape), indices, axis=axis, shape=shape)
for shape, axes in [((5,), [-1, 0, None]), ((3, 4), [-1, 0, 1, None]), ((0,), [0]), ((2, 0), [1, 0]), ((1,), [0])]:
    for axis in axes:
        case("sort", values(*shape), axis=axis)
case("sort", values(2, 4))

# ------------------------------------------------------------------ products
for first, second in [((2, 3), (3, 4)), ((3,), (3,)), ((3,), (3, 2)), ((2, 3), (3,)), ((2, 2, 3), (3, 2)),
                      ((2, 3), (2, 3, 2)), ((2, 2, 3), (2, 3, 2)), ((3,), (2, 3, 2)), ((2, 2, 3), (3,)),
                      ((2, 1, 1, 3), (2, 3, 1)), ((1, 2, 3), (2, 3, 2)), ((0, 3), (3, 2)), ((2, 0), (0, 3)),
                      ((2, 3), (3, 0)), ((0,), (0,)), ((0, 2, 3), (3, 2)), ((3,), (3, 1))]:
    case("matmul", values(*first), values(*second))
for first in ((2, 3), (3,), (2, 2, 3), (0, 3), (1, 3), (2, 0, 3)):
    case("linear", values(*first), values(4, 3), values(4))
    case("linear", values(*first), values(4, 3))
    case("linear", values(*first), values(4, 3), None)
case("linear", values(2, 2, 0), values(3, 0), values(3))
for subscripts, *shapes in [
    ("ij,jk->ik", (2, 3), (3, 2)), ("ij,jk", (2, 3), (3, 2)), ("ij->ji", (2, 3)), ("ij->", (2, 3)), ("ij->j", (2, 3)),
    ("ii->i", (3, 3)), ("ii", (3, 3)), ("ii->", (2, 2)), ("iij->ij", (2, 2, 3)), ("iji->j", (2, 3, 2)),
    ("iii->i", (2, 2, 2)), ("ij,ij->", (2, 3), (2, 3)), ("i,j->ij", (2,), (3,)), ("i,i", (3,), (3,)),
    ("i,ij,j->", (2,), (2, 3), (3,)), ("ij,jk,kl->il", (2, 3), (3, 2), (2, 2)), ("ij,k->i", (2, 3), (2,)),
    ("...ij,...jk->...ik", (2, 2, 3), (3, 2)), ("...i,...i->...", (2, 3), (1, 3)), ("...->...", (2, 3)),
    ("...i,j->...j", (3,), (2,)),
    ("...ii->...i", (2, 2, 2)), ("i...->...i", (2, 3)), ("i...,i->...", (2, 3), (2,)), ("...,...", (2, 3), (3,)),
    ("bij,bjk->bik", (2, 2, 3), (2, 3, 2)), ("ij,ij->ij", (2, 3), (2, 3)), (",i->i", (), (3,)), ("->", ()),
    ("ba", (2, 3)), ("ij,jk->ik", (0, 3), (3, 2)), ("ij,jk->ik", (2, 0), (0, 2)), ("i->", (0,)),
    ("ij,ij->i", (2, 1), (2, 3)),
    ("i...j->...", (2, 3, 2)), ("...,...i->i", (), (3,)), ("ij,ij->", (2, 1), (1, 3)),
    ("i...,j...->...", (2, 1, 3), (2, 2, 1)), ("i...,...j->ij...", (2, 2), (3, 2, 2)),
    ("ij , jk -> ki", (2, 3), (3, 2)), ("ii,ii->", (2, 2), (2, 2)),
]:
    case("einsum", *[values(*shape) for shape in shapes], subscripts=subscripts)
x = values(2, 2)
case("einsum", x, x, subscripts="ij,jk->ik")                       # one array twice


# ------------------------------------------------------------------ losses
for classes in ([1, 0, 2], [2, 2, 2], [0]):
    case("softmax_cross_entropy", values(len(classes), 3), np.array(classes)[:, None])
case("softmax_cross_entropy", values(2, 4).T, np.array([[1], [0], [1], [1]]))
case("softmax_cross_entropy", values(2, 1), np.array([[0], [0]]))
case("softmax_cross_entropy", values(2, 3) * 30, np.array([[0], [2]], np.int32))
for first, second in [((), ()), ((3,), (3,)), ((2, 3), (2, 3)), ((2, 3), (3,)), ((3,), (2, 1)), ((0,), (0,)),
                      ((2, 0), (2, 0))]:
    case("log_loss", values(*first) * 0.3 + 0.5, values(*second) * 0.3 + 0.5)
    case("sigmoid_cross_entropy", values(*first) * 5, values(*second) * 0.3 + 0.5)
case("log_loss", values(4) * 0.3 + 0.5, np.array([0, 1, 1, 0]))
case("log_loss", values(3) * 0.3 + 0.5, 1.0)
case("sigmoid_cross_entropy", values(4) * 100, np.array([0, 1, 1, 0]))
case("sigmoid_cross_entropy", values(3), 0.0)

# ------------------------------------------------------------------ kinks and ties, by value
@dataclass(frozen=True)
class Tie:
    """What comes back where a derivative is not defined: PyTorch's convention, written out."""

    gate: str
    inputs: tuple[Any, ...]
    gradients: tuple[Any, ...]
    options: dict[str, Any] = field(default_factory=dict)
    dz: Any = 1.0


def tie(gate: str, *inputs: Any, gives: Any, dz: Any = 1.0, **options: Any) -> None:
    arrays = tuple(np.array(x, np.float64) if isinstance(x, list) else x for x in inputs)
    TIES.append(Tie(gate, arrays, gives if isinstance(gives, tuple) else (gives,), options, dz))


TIES: list[Tie] = []
tie("relu", [-1.0, 0.0, -0.0, 2.0], gives=[0, 0, 0, 1])
tie("abs", [-1.0, 0.0, -0.0, 2.0], gives=[-1, 0, 0, 1])
tie("sign", [-1.0, 0.0, 2.0], gives=[0, 0, 0])
tie("sqrt", [0.0, 4.0], gives=[inf, 0.25])
tie("maximum", [1.0, 2.0, 3.0], [2.0, 2.0, 2.0], gives=([0, 0.5, 1], [1, 0.5, 0]))
tie("minimum", [1.0, 2.0, 3.0], [2.0, 2.0, 2.0], gives=([1, 0.5, 0], [0, 0.5, 1]))
tie("max", [1.0, 3.0, 3.0, 2.0], gives=[0, 0.5, 0.5, 0])
tie("max", [[1.0, 1.0], [1.0, 0.0]], axis=1, dz=[6.0, 3.0], gives=[[3, 3], [3, 0]])
tie("max", [[1.0, 1.0], [1.0, 0.0]], dz=6.0, gives=[[2, 2], [2, 0]])
tie("min", [1.0, 3.0, 1.0, 2.0], gives=[0.5, 0, 0.5, 0])
tie("clip", [-1.0, 0.0, 0.5, 1.0, 2.0], [0.0] * 5, [1.0] * 5, gives=([0, 1, 1, 1, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 1]))
tie("clip", [0.0, 1.0, 2.0], [1.0, 1.0, 1.0], [1.0, 1.0, 1.0], gives=([0, 1, 0], [0, 0, 0], [0, 0, 1]))
tie("clip", [-1.0, 0.0, 1.0], [0.0] * 3, None, gives=([0, 1, 1], [1, 0, 0]))
tie("clip", [0.0, 3.0], [2.0] * 2, [1.0] * 2, gives=([0, 0], [0, 0], [1, 1]))
tie("power", [0.0, 0.0, 0.0, 2.0], [0.0, 2.0, 1.0, 0.0], gives=([0, 0, 1, 0], [0, 0, 0, np.log(2.0)]))
tie("power", [0.0], [-1.0], gives=([-inf], [-inf]))
tie("power", [0.0, 2.0], 0, gives=([0, 0],))
tie("power", [0.0, 2.0], 1, gives=([1, 1],))
tie("power", [0.0, 0.25], 0.5, gives=([inf, 1],))
tie("power", 0.0, [0.0, 1.0, 2.0], gives=[0, 0, 0])
tie("cast", [1.5, -0.5], dtype=np.int64, gives=[0, 0])
tie("std", [3.0, 3.0, 3.0], gives=[0, 0, 0])
tie("std", [[3.0, 3.0], [1.0, 2.0]], axis=1, gives=[[0, 0], [-0.5, 0.5]])
tie("std", np.array(3.0), gives=0)
tie("norm2", [0.0, 0.0], gives=[0, 0])
tie("norm2", [[0.0, 0.0], [3.0, 4.0]], axis=1, gives=[[0, 0], [0.6, 0.8]])
tie("norm2", np.array(0.0), gives=0)
tie("sort", [2.0, 1.0, 2.0, 1.0], dz=[1.0, 2.0, 3.0, 4.0], gives=[3, 1, 4, 2])
tie("logsumexp", [-inf, -inf], gives=[0, 0])
tie("logsumexp", [[-inf, -inf], [-inf, 0.0]], axis=1, gives=[[0, 0], [0, 1]])
tie("prod", [0.0, 2.0, 3.0], gives=[6, 0, 0])
tie("prod", [0.0, 2.0, 0.0], gives=[0, 0, 0])
tie("prod", [inf, 2.0], gives=[2, inf])
tie("log_loss", [0.0, 0.0, 1.0, 1.0, 1e-50, 1e-40], [0.0, 1.0, 0.0, 1.0, 1.0, 1.0],
    gives=([0, -np.exp(100), np.exp(100), 0, -np.exp(100), -1e40], [100, 100, -100, -100, 100, np.log(1e40)]))
