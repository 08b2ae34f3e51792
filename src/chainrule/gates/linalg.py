"""Products of matrices, and norms."""
from __future__ import annotations

from math import prod as product
from string import ascii_letters
from typing import Any

import numpy as np

from ..gate import gate, stands_for
from .comparison import ALONG, equal
from .elementwise import multiply, sqrt, square, where
from .reduction import _spread, _sum, sum
from .shaping import expand_dims, reshape, swapaxes, transpose

__all__ = ["dot", "einsum", "linear", "matmul", "norm2"]

# ------------------------------------------------------------------ matrix product


def _t(x: Any) -> Any:
    return x.T if x.ndim == 2 else swapaxes(x, axis1=-1, axis2=-2)


def _left(dz: Any, z: Any, x: Any, y: Any) -> Any:
    if y.ndim == 1:
        return dz * y if x.ndim == 1 else expand_dims(dz, axis=-1) * y
    if x.ndim == 1:
        return (y @ expand_dims(dz, axis=-1))[..., 0]
    return dz @ _t(y)


def _right(dz: Any, z: Any, x: Any, y: Any) -> Any:
    if x.ndim == 1:
        return dz * x if y.ndim == 1 else expand_dims(x, axis=-1) * expand_dims(dz, axis=-2)
    if y.ndim == 1:
        return (_t(x) @ expand_dims(dz, axis=-1))[..., 0]
    return _t(x) @ dz


matmul = gate(
    "matmul", np.matmul, (_left, _right), formula=r"Z = X\,Y", partials=(r"dZ\,Y^T", r"X^T\,dZ"), method=True,
    shapes="(..., n, k) and (..., k, m): the last axis of the first as long as the last but one of the second",
    summary="The matrix product; of vectors, and of stacks of matrices, as NumPy has it.",
    example=">>> cr.matmul([[1.0, 2.0]], [[3.0], [4.0]])\narray([[11.]])")


@stands_for(np.dot)
def dot(x: Any, y: Any) -> Any:
    r"""Multiply as `numpy.dot` does.

    Parameters
    ----------
    x, y : tensor or array
        The last axis of `x` is as long as the last but one of `y` (or its only one); a number multiplies.

    Returns
    -------
    tensor or array
        For two vectors the inner product, for two matrices the matrix product, and in general
        :math:`z_{\dots i \dots j} = \sum_k x_{\dots i k} y_{\dots k j}` over all pairs of the leading axes.

    Examples
    --------
    >>> import chainrule as cr
    >>> float(cr.dot([1.0, 2.0], [3.0, 4.0]))
    11.0
    """
    dims = np.ndim(x), np.ndim(y)
    if 0 in dims:
        return multiply(x, y)
    if dims[1] <= 2:
        return matmul(x, y)
    letters = "abcdefghijklmnopqrstuvwxyz"
    first, second = letters[:dims[0]], letters[dims[0]:dims[0] + dims[1]]
    shared = first[-1]
    paired = second[:-2] + shared + second[-1]
    return einsum(f"{first},{paired}->{first[:-1]}{second[:-2]}{second[-1]}", x, y)


# ------------------------------------------------------------------ the affine map of a layer


def _linear(x: Any, w: Any, b: Any = None, out: Any = None) -> Any:
    z = np.matmul(x, w.T, out=out)
    if b is not None:
        z += b
    return z


def _d_weight(dz: Any, z: Any, x: Any, w: Any, b: Any = None) -> Any:
    if x.ndim == 1:
        return expand_dims(dz, axis=-1) * x
    if x.ndim > 2:
        rows = product(x.shape[:-1])
        dz, x = reshape(dz, shape=(rows, dz.shape[-1])), reshape(x, shape=(rows, x.shape[-1]))
    return dz.T @ x


def _parts_of_linear(x: Any, w: Any, b: Any = None) -> Any:
    z = matmul(x, transpose(w))
    return z if b is None else z + b


linear = gate(
    "linear", _linear, (lambda dz, z, x, w, b=None: dz @ w, _d_weight, lambda dz, z, x, w, b=None: dz),
    formula=r"Z = X\,W^T + b", partials=(r"dZ\,W", r"dZ^T X", r"\sum dZ"), out=True,
    parts=_parts_of_linear, shapes="x (..., inputs), w (outputs, inputs), b (outputs,) or None",
    summary="The affine map of a layer, with one row of `w` for each output.",
    example=">>> cr.linear(np.array([1.0, 2.0]), np.array([[3.0, 4.0]]), np.array([0.5]))\narray([11.5])")

# ------------------------------------------------------------------ any product of sums


def _terms(subscripts: str, count: int) -> tuple[list[str], str]:
    """Split the subscripts into one term for each operand and one for the result, the implicit result written out."""
    if not isinstance(subscripts, str):
        raise TypeError(f"einsum: expected subscripts such as 'ij,jk->ik', got {type(subscripts).__name__}")
    left, arrow, result = subscripts.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != count:
        raise ValueError(f"einsum: {subscripts!r} names {len(terms)} operands, got {count}")
    if not arrow:
        letters = sorted(set(left) - set(".,"))
        result = ("..." if "..." in left else "") + "".join(i for i in letters if left.count(i) == 1)
    return terms, result


def _einsum(*operands: Any, subscripts: str) -> Any:
    terms, result = _terms(subscripts, len(operands))
    return np.einsum(f"{','.join(terms)}->{result}", *operands, optimize=len(operands) > 2)


def _spelled(terms: list[str], result: str, operands: tuple[Any, ...]) -> tuple[list[str], str, list[str]]:
    """Write a letter for each axis under an ellipsis; give the letters that are left, too."""
    free = [i for i in ascii_letters if i not in "".join(terms)]
    hidden = [len(x.shape) - len(term) + 3 if "..." in term else 0 for term, x in zip(terms, operands, strict=True)]
    dots, free = free[:max(hidden)], free[max(hidden):]
    terms = [term.replace("...", "".join(dots[len(dots) - n:])) for term, n in zip(terms, hidden, strict=True)]
    return terms, result.replace("...", "".join(dots)), free


def _d_einsum(dz: Any, z: Any, wanted: list[bool], *operands: Any, subscripts: str) -> list[Any]:
    """The derivative by one operand is the einsum of `dz` with the other operands.

    An index that stands in no other term was summed away: it is brought back by a factor of ones. A diagonal
    (``ii->i``) is a product with the identity.
    """
    terms, result, free = _spelled(*_terms(subscripts, len(operands)), operands)
    gradients: list[Any] = []
    for k, (term, x, want) in enumerate(zip(terms, operands, wanted, strict=True)):
        if not want:
            gradients.append(None)
            continue
        names, factors = [result, *terms[:k], *terms[k + 1:]], [dz, *operands[:k], *operands[k + 1:]]
        target, letters = "", iter(free)
        for index, n in zip(term, x.shape, strict=True):
            if index in target:
                again = next(letters)
                names.append(index + again)
                factors.append(np.eye(n, dtype=dz.dtype))
                index = again
            elif n not in [f.shape[name.index(index)] for name, f in zip(names, factors, strict=True) if index in name]:
                names.append(index)
                factors.append(np.ones(n, dz.dtype))
            target += index
        gradients.append(_einsum_gate(*factors, subscripts=f"{','.join(names)}->{target}"))
    return gradients


def _contracted(*operands: Any, subscripts: str, out: Any = None) -> Any:
    z = np.einsum(subscripts, *operands, out=out)
    return z if out is None else out


_contraction = gate(
    "contraction", _contracted, out=True, formula=r"z = \sum \prod_k x_k",
    about={"subscripts": "str\n    One letter for each axis of each operand, and an arrow."},
    summary="One or two operands of `einsum`, in new memory.",
    example=">>> cr.GATES['contraction'](np.ones((2, 3)), subscripts='ij->i')\narray([3., 3.])")


def _parts_of_einsum(*operands: Any, subscripts: str) -> Any:
    """Two operands at a time, in the order that NumPy finds best."""
    terms, result, _ = _spelled(*_terms(subscripts, len(operands)), operands)
    if len(terms) == 1 and set(terms[0]) == set(result):
        return NotImplemented                                      # a view
    rest = list(zip(terms, operands, strict=True))
    shapes = [np.broadcast_to(np.zeros(()), x.shape) for x in operands]
    for taken in np.einsum_path(f"{','.join(terms)}->{result}", *shapes, optimize="greedy")[0][1:]:
        pair = [rest.pop(i) for i in sorted(taken, reverse=True)][::-1]
        needed = set(result).union(*(term for term, _ in rest))
        names = "".join(dict.fromkeys("".join(term for term, _ in pair)))
        target = "".join(i for i in names if i in needed) if rest else result
        z = _contraction(*[x for _, x in pair], subscripts=f"{','.join(term for term, _ in pair)}->{target}")
        rest.append((target, z))
    return rest[0][1]


_einsum_gate = gate(
    "einsum", _einsum, joint=_d_einsum, view=True, parts=_parts_of_einsum, formula=r"z = \sum \prod_k x_k",
    partials=(r"\sum dz \prod_{j \ne k} x_j",),
    about={"subscripts": "str\n    One letter for each axis of each operand, as `numpy.einsum` takes them."},
    summary="Products of elements summed over the indices that the result does not name.",
    example=">>> cr.einsum('ij,j->i', [[1.0, 2.0]], [3.0, 4.0])\narray([11.])")


@stands_for(np.einsum)
def einsum(subscripts: str, *operands: Any) -> Any:
    """Multiply elements and sum over the indices that the result does not name.

    Parameters
    ----------
    subscripts : str
        One letter for each axis of each operand, as `numpy.einsum` takes them: ``"ij,jk->ik"`` is the matrix product,
        ``"ii->i"`` the diagonal, ``"...ij->...ji"`` a transpose; without an arrow, letters that stand once are kept.
    *operands : tensor or array

    Returns
    -------
    tensor or array

    Raises
    ------
    ValueError
        If the subscripts do not fit the operands.

    Examples
    --------
    >>> import chainrule as cr
    >>> cr.einsum("ij,j->i", [[1.0, 2.0]], [3.0, 4.0])
    array([11.])
    """
    return _einsum_gate(*operands, subscripts=subscripts)


# ------------------------------------------------------------------ norm


def _norm2(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return np.sqrt(_sum(np.square(x), axis, keepdims))


def _d_norm2(dz: Any, z: Any, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    z = _spread(z, x, axis, keepdims)
    return _spread(dz, x, axis, keepdims) * (x / where(equal(z, 0), 1, z))


norm2 = gate(
    "norm2", _norm2, (_d_norm2,), formula=r"z = \sqrt{\sum_i x_i^2}", partials=("x/z",), about=ALONG,
    parts=lambda x, axis=None, keepdims=False: sqrt(sum(square(x), axis=axis, keepdims=keepdims)),
    ties="0 at x = 0", summary="The Euclidean length along axes; `chainrule.linalg.norm` has the other norms.",
    example=">>> float(cr.linalg.norm([3.0, 4.0]))\n5.0")
