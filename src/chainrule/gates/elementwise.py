"""Gates that act on each element by itself. NumPy broadcasts their arguments; the engine undoes it."""
from __future__ import annotations

from math import pi
from math import sqrt as root
from typing import Any

import numpy as np

from ..gate import Gate, gate
from .comparison import equal, greater, greater_equal, less, less_equal, logical_or

__all__ = [
    "abs", "add", "arctan", "cast", "clip", "cos", "detach", "divide", "erf", "exp", "expm1", "log", "log1p",
    "logaddexp", "maximum", "minimum", "multiply", "negative", "power", "reciprocal", "relu", "sigmoid", "sign", "sin",
    "softplus", "sqrt", "square", "subtract", "tan", "tanh", "where",
]

PAIR = "two shapes that broadcast: equal, or 1, counted from the last axis"

# ------------------------------------------------------------------ arithmetic
add = gate(
    "add", np.add, (lambda dz, z, x, y: dz, lambda dz, z, x, y: dz),
    formula="z = x + y", partials=("1", "1"), shapes=PAIR,
    summary="The sum of two arguments. It hands the gradient on to both as it is.",
    example=">>> float(cr.add(3.0, 4.0))\n7.0")
subtract = gate(
    "subtract", np.subtract, (lambda dz, z, x, y: dz, lambda dz, z, x, y: -dz),
    formula="z = x - y", partials=("1", "-1"), shapes=PAIR,
    summary="The difference of two arguments.", example=">>> float(cr.subtract(3.0, 4.0))\n-1.0")
multiply = gate(
    "multiply", np.multiply, (lambda dz, z, x, y: dz * y, lambda dz, z, x, y: dz * x),
    formula=r"z = x\,y", partials=("y", "x"), shapes=PAIR,
    summary="The product, element by element. Each argument receives the gradient times the other.",
    example=">>> float(cr.multiply(3.0, 4.0))\n12.0")
divide = gate(
    "divide", np.divide, (lambda dz, z, x, y: dz / y, lambda dz, z, x, y: -dz * z / y),
    formula="z = x / y", partials=("1/y", "-z/y"), shapes=PAIR, numpy=(np.true_divide,),
    summary="The quotient, element by element.", example=">>> float(cr.divide(3.0, 4.0))\n0.75")
negative = gate(
    "negative", np.negative, (lambda dz, z, x: -dz,), formula="z = -x", partials=("-1",),
    summary="The argument with its sign turned.", example=">>> float(cr.negative(3.0))\n-3.0")
reciprocal = gate(
    "reciprocal", np.reciprocal, (lambda dz, z, x: -dz * (z * z),), formula="z = 1/x", partials=("-z^2",), method=True,
    summary="One over the argument.", example=">>> float(cr.reciprocal(4.0))\n0.25")
square = gate(
    "square", np.square, (lambda dz, z, x: dz * (2 * x),), formula="z = x^2", partials=("2x",), method=True,
    summary="The argument times itself.", example=">>> float(cr.square(3.0))\n9.0")


def _slope_of_power(dz: Any, z: Any, x: Any, n: Any) -> Any:
    if isinstance(n, int | float):
        return dz * (n * x ** (n - 1)) if n != 0 else dz * 0
    return dz * (n * x ** where(equal(n, 0), 1, n - 1))            # 0 · 0⁻¹ is 0: x⁰ is constant


def _slope_of_exponent(dz: Any, z: Any, x: Any, n: Any) -> Any:
    still = equal(x, 0) * greater_equal(n, 0)                      # 0ⁿ stays 0 for every n > 0
    return dz * (z * log(where(still, 1, cast(x, dtype=z.dtype))))


power = gate(
    "power", np.power, (_slope_of_power, _slope_of_exponent),
    formula="z = x^n", partials=("n x^{n-1}", r"z \ln x"), shapes=PAIR,
    ties="at x = 0: 0 with respect to n where n ≥ 0, and 0 with respect to x where n = 0",
    summary="A base to an exponent. The derivative by the exponent is NaN for a negative base.",
    example=">>> float(cr.power(3.0, 2))\n9.0")

# ------------------------------------------------------------------ roots, exponentials, logarithms
sqrt = gate(
    "sqrt", np.sqrt, (lambda dz, z, x: dz / (2 * z),), formula=r"z = \sqrt x", partials=("1/(2z)",), method=True,
    ties="infinite at x = 0", summary="The square root.", example=">>> float(cr.sqrt(9.0))\n3.0")
exp = gate(
    "exp", np.exp, (lambda dz, z, x: dz * z,), formula="z = e^x", partials=("z",), method=True,
    summary="The exponential, its own derivative.", example=">>> float(cr.exp(0.0))\n1.0")
expm1 = gate(
    "expm1", np.expm1, (lambda dz, z, x: dz * exp(x),), formula="z = e^x - 1", partials=("e^x",), method=True,
    summary="The exponential less one, exact for small arguments.", example=">>> float(cr.expm1(0.0))\n0.0")
log = gate(
    "log", np.log, (lambda dz, z, x: dz / x,), formula=r"z = \ln x", partials=("1/x",), method=True,
    summary="The natural logarithm.", example=">>> float(cr.log(1.0))\n0.0")
log1p = gate(
    "log1p", np.log1p, (lambda dz, z, x: dz / (1 + x),), formula=r"z = \ln(1 + x)", partials=("1/(1+x)",), method=True,
    summary="The logarithm of one plus the argument, exact for small arguments.",
    example=">>> float(cr.log1p(0.0))\n0.0")

# ------------------------------------------------------------------ trigonometry
sin = gate(
    "sin", np.sin, (lambda dz, z, x: dz * cos(x),), formula=r"z = \sin x", partials=(r"\cos x",), method=True,
    summary="The sine of an angle in radians.", example=">>> float(cr.sin(0.0))\n0.0")
cos: Gate = gate(
    "cos", np.cos, (lambda dz, z, x: -dz * sin(x),), formula=r"z = \cos x", partials=(r"-\sin x",), method=True,
    summary="The cosine of an angle in radians.", example=">>> float(cr.cos(0.0))\n1.0")
tan = gate(
    "tan", np.tan, (lambda dz, z, x: dz * (1 + z * z),), formula=r"z = \tan x", partials=("1 + z^2",), method=True,
    summary="The tangent of an angle in radians.", example=">>> float(cr.tan(0.0))\n0.0")
arctan = gate(
    "arctan", np.arctan, (lambda dz, z, x: dz / (1 + x * x),), formula=r"z = \arctan x", partials=("1/(1+x^2)",),
    method=True, summary="The angle in radians, from -π/2 to π/2, with this tangent.",
    example=">>> float(cr.arctan(0.0))\n0.0")

# ------------------------------------------------------------------ what neurons do
tanh = gate(
    "tanh", np.tanh, (lambda dz, z, x: dz * (1 - z * z),), formula=r"z = \tanh x", partials=("1 - z^2",), method=True,
    summary="The hyperbolic tangent, from -1 to 1.", example=">>> float(cr.tanh(0.0))\n0.0")


def _sigmoid(x: Any, out: Any = None) -> Any:
    z = np.subtract(0.0, x, out=out)
    if out is None and isinstance(z, np.ndarray):
        out = z
    with np.errstate(over="ignore"):                               # 1/(1 + ∞) is 0, as it should be
        z = np.exp(z, out=out)
    z = np.add(z, 1, out=out)
    return np.reciprocal(z, out=out)


sigmoid = gate(
    "sigmoid", _sigmoid, (lambda dz, z, x: dz * (z * (1 - z)),), formula="z = 1/(1 + e^{-x})", partials=("z(1-z)",),
    method=True, out=True, parts=lambda x: reciprocal(exp(0.0 - x) + 1),
    summary="The logistic function, from 0 to 1. No argument is too large for it.",
    example=">>> float(cr.sigmoid(0.0))\n0.5")
relu = gate(
    "relu", lambda x, out=None: np.maximum(x, 0, out=out), (lambda dz, z, x: dz * (z > 0),),
    formula=r"z = \max(x, 0)", partials=("[x > 0]",), method=True, out=True, ties="0 at x = 0",
    parts=lambda x: maximum(x, 0), summary="The rectified linear unit: the argument where it is positive, else 0.",
    source="Nair and Hinton, Rectified Linear Units Improve Restricted Boltzmann Machines, ICML 2010",
    example=">>> float(cr.relu(-3.0))\n0.0")


def _softplus(x: Any) -> Any:
    return np.maximum(x, 0) + np.log1p(np.exp(0.0 - np.abs(x)))    # the exponential's argument is never positive


softplus = gate(
    "softplus", _softplus, (lambda dz, z, x: dz * sigmoid(x),), formula=r"z = \ln(1 + e^x)", partials=(r"\sigma(x)",),
    method=True, parts=lambda x: maximum(x, 0) + log1p(exp(0.0 - abs(x))),
    summary="A smooth form of relu; exact for arguments of any size.",
    source="Dugas et al., Incorporating Second-Order Functional Knowledge, NIPS 2000",
    example=">>> round(float(cr.softplus(0.0)), 6)\n0.693147")
logaddexp = gate(
    "logaddexp", np.logaddexp, (lambda dz, z, x, y: dz * exp(x - z), lambda dz, z, x, y: dz * exp(y - z)),
    formula=r"z = \ln(e^x + e^y)", partials=("e^{x-z}", "e^{y-z}"), shapes=PAIR,
    summary="The logarithm of the sum of two exponentials, exact for arguments of any size.",
    example=">>> round(float(cr.logaddexp(1000.0, 1000.0)), 6)\n1000.693147")

# Rational approximations of erf near 0 and of e^{x²} erfc(x) beyond, highest power first
# (Cody, Rational Chebyshev Approximations for the Error Function, Math. Comp. 23, 1969, tables II and III).
_NEAR = ((1.85777706184603153e-1, 3.16112374387056560, 1.13864154151050156e2, 3.77485237685302021e2,
          3.20937758913846947e3),
         (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3))
_FAR = ((2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594, 6.61191906371416295e1,
         2.98635138197400131e2, 8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3,
         1.23033935479799725e3),
        (1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
         3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3))


def _rational(x: Any, tables: tuple[tuple[float, ...], tuple[float, ...]]) -> Any:
    above, below = (_polynomial(x, table) for table in tables)
    return above / below


def _polynomial(x: Any, table: tuple[float, ...]) -> Any:
    y = table[0] * x + table[1]
    for coefficient in table[2:]:
        y = y * x + coefficient
    return y


def _erf(x: Any) -> Any:
    size = np.minimum(np.abs(x), 6.0)                              # erf(6) is 1 to the last bit of a float64
    near = np.minimum(size, 0.5)
    far = 1 - np.exp(-(size * size)) * _rational(size, _FAR)
    return np.copysign(np.where(size < 0.46875, near * _rational(near * near, _NEAR), far), x)


def _parts_of_erf(x: Any) -> Any:
    size = minimum(abs(x), 6.0)
    near = clip(x, -0.5, 0.5)
    far = 1 - exp(-(size * size)) * _rational(size, _FAR)
    return where(less(size, 0.46875), near * _rational(near * near, _NEAR), far * sign(x))


erf = gate(
    "erf", _erf, (lambda dz, z, x: dz * (2 / root(pi) * exp(-x * x)),),
    formula=r"z = \frac{2}{\sqrt\pi} \int_0^x e^{-t^2} dt", partials=(r"\frac{2}{\sqrt\pi} e^{-x^2}",), method=True,
    parts=_parts_of_erf, summary="The error function, to the precision of its argument.",
    source="Cody, Rational Chebyshev Approximations for the Error Function, Math. Comp. 23, 1969",
    example=">>> round(float(cr.erf(1.0)), 6)\n0.842701")

# ------------------------------------------------------------------ sizes, choices
abs: Gate = gate(
    "abs", np.absolute, (lambda dz, z, x: dz * sign(x),), formula="z = |x|", partials=(r"\operatorname{sign} x",),
    method=True, ties="0 at x = 0", numpy=(np.fabs,), summary="The absolute value.",
    example=">>> float(cr.abs(-3.0))\n3.0")
sign: Gate = gate(
    "sign", np.sign, (lambda dz, z, x: dz * 0,), formula=r"z = \operatorname{sign} x", partials=("0",), method=True,
    ties="0 everywhere, also at the step", summary="-1, 0 or 1.", example=">>> float(cr.sign(-3.0))\n-1.0")
# A tie shares the gradient equally. Halving after the comparison keeps the dtype: bool * 0.5 would be a float64.
maximum: Gate = gate(
    "maximum", np.maximum, (lambda dz, z, x, y: dz * greater(x, y) + dz * equal(x, y) / 2,
                            lambda dz, z, x, y: dz * less(x, y) + dz * equal(x, y) / 2),
    formula=r"z = \max(x, y)", partials=("[x > y]", "[x < y]"), shapes=PAIR, ties="1/2 to each where x = y",
    summary="The larger of two arguments. It routes the gradient to the one that won.",
    example=">>> float(cr.maximum(3.0, 4.0))\n4.0")
minimum = gate(
    "minimum", np.minimum, (lambda dz, z, x, y: dz * less(x, y) + dz * equal(x, y) / 2,
                            lambda dz, z, x, y: dz * greater(x, y) + dz * equal(x, y) / 2),
    formula=r"z = \min(x, y)", partials=("[x < y]", "[x > y]"), shapes=PAIR, ties="1/2 to each where x = y",
    summary="The smaller of two arguments.", example=">>> float(cr.minimum(3.0, 4.0))\n3.0")


def _inside(dz: Any, z: Any, x: Any, a_min: Any = None, a_max: Any = None) -> Any:
    if a_min is not None:
        dz = dz * greater_equal(x, a_min)
    return dz if a_max is None else dz * less_equal(x, a_max)


def _below(dz: Any, z: Any, x: Any, a_min: Any = None, a_max: Any = None) -> Any:
    dz = dz * less(x, a_min)
    return dz if a_max is None else dz * less(a_min, a_max)


def _above(dz: Any, z: Any, x: Any, a_min: Any = None, a_max: Any = None) -> Any:
    out = greater(x, a_max)
    return dz * out if a_min is None else dz * logical_or(out, less(a_max, a_min))


def _clip(x: Any, a_min: Any = None, a_max: Any = None, out: Any = None) -> Any:
    if a_min is None and a_max is None:
        return np.positive(x, out=out)
    return np.clip(x, a_min, a_max, out=out)


clip = gate(
    "clip", _clip, (_inside, _below, _above), formula=r"z = \min(\max(x, a), b)", method=True, out=True,
    partials=(r"[a \le x \le b]", "[x < a]", "[x > b]"), shapes="three shapes that broadcast; None for no bound",
    ties="at a bound, 1 with respect to x and 0 with respect to the bound", numpy=(np.clip,),
    summary="The argument, kept between two bounds.", example=">>> float(cr.clip(3.0, -1.0, 1.0))\n1.0")


def _where(condition: Any, x: Any, y: Any, out: Any = None) -> Any:
    if out is None:
        return np.where(condition, x, y)
    np.copyto(out, y)
    np.copyto(out, x, where=condition if np.asarray(condition).dtype == bool else np.not_equal(condition, 0))
    return out


where: Gate = gate(
    "where", _where,
    (None, lambda dz, z, c, x, y: where(c, dz, 0), lambda dz, z, c, x, y: where(c, 0, dz)),
    formula=r"z = c \,?\, x : y", partials=("", "[c]", r"[\neg c]"), shapes="three shapes that broadcast",
    numpy=(np.where,), out=True, summary="""The second argument where the first is true, else the third.

A branch that is not taken receives the gradient 0; if its own derivative is infinite, 0 · ∞ is NaN all the same. Make
the argument safe inside the branch as well: ``where(x > 0, log(where(x > 0, x, 1)), 0)``.""",
    example=">>> cr.where([True, False], 1.0, 2.0)\narray([1., 2.])")

# ------------------------------------------------------------------ the same value, otherwise kept


def _cast(x: Any, dtype: Any, out: Any = None) -> Any:
    if out is None:
        return np.asarray(x).astype(dtype)
    np.copyto(out, x, casting="unsafe")
    return out


cast = gate(
    "cast", _cast,
    (lambda dz, z, x, dtype: dz if z.dtype.kind == "f" else dz * 0,), formula="z = x",
    partials=("1",), out=True,
    summary="The argument in another floating-point dtype; its gradient comes back in its own.",
    about={"dtype": "dtype\n    Of floating-point numbers; `Tensor.astype` also makes integers, which are constants."},
    example=">>> cr.cast([1.5], 'float32')\narray([1.5], dtype=float32)")
detach = gate(
    "detach", lambda x: x, view=True, method=True, formula="z = x",
    summary="The same value as a constant: no gradient goes back through it.",
    example=">>> x = cr.Tensor(2.0, requires_grad=True)\n>>> (x * x.detach()).requires_grad, x.detach().requires_grad\n"
            "(True, False)")
