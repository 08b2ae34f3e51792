"""Gates whose results are steps: comparisons, logic, rounding. They have no derivative; their results are constants."""
from __future__ import annotations

from typing import Any

import numpy as np

from ..gate import gate

__all__ = [
    "all", "any", "argmax", "argmin", "argsort", "bitwise_and", "bitwise_or", "bitwise_xor", "ceil", "equal", "floor",
    "greater", "greater_equal", "invert", "isfinite", "isinf", "isnan", "less", "less_equal", "logical_and",
    "logical_not", "logical_or", "not_equal", "round", "trunc",
]

ALONG = {"axis": "int, tuple of int or None\n    Along which axes; all of them by default.",
         "keepdims": "bool\n    Whether these axes stay in the result, with length 1."}
BEST = {**ALONG, "axis": "int or None\n    Along which axis; by default of the flattened array."}

greater = gate("greater", np.greater, formula="z = [x > y]", summary="Where the first argument is the larger.",
               example=">>> bool(cr.greater(3.0, 4.0))\nFalse")
greater_equal = gate("greater_equal", np.greater_equal, formula=r"z = [x \ge y]",
                     summary="Where the first argument is as large or larger.",
                     example=">>> bool(cr.greater_equal(3.0, 3.0))\nTrue")
less = gate("less", np.less, formula="z = [x < y]", summary="Where the first argument is the smaller.",
            example=">>> bool(cr.less(3.0, 4.0))\nTrue")
less_equal = gate("less_equal", np.less_equal, formula=r"z = [x \le y]",
                  summary="Where the first argument is as small or smaller.",
                  example=">>> bool(cr.less_equal(3.0, 3.0))\nTrue")
equal = gate("equal", np.equal, formula="z = [x = y]", summary="Where two arguments are the same.",
             example=">>> bool(cr.equal(3.0, 3.0))\nTrue")
not_equal = gate("not_equal", np.not_equal, formula=r"z = [x \ne y]", summary="Where two arguments differ.",
                 example=">>> bool(cr.not_equal(3.0, 3.0))\nFalse")
logical_and = gate("logical_and", np.logical_and, formula=r"z = x \wedge y", summary="Where both are true.",
                   example=">>> bool(cr.logical_and(True, False))\nFalse")
logical_or = gate("logical_or", np.logical_or, formula=r"z = x \vee y", summary="Where at least one is true.",
                  example=">>> bool(cr.logical_or(True, False))\nTrue")
logical_not = gate("logical_not", np.logical_not, formula=r"z = \neg x", summary="Where the argument is false.",
                   example=">>> bool(cr.logical_not(True))\nFalse")
bitwise_and = gate("bitwise_and", np.bitwise_and, formula=r"z = x \mathbin{\&} y",
                   summary="Where both are true; of integers, the bits that both have. The operator ``&``.",
                   example=">>> int(cr.bitwise_and(6, 3))\n2")
bitwise_or = gate("bitwise_or", np.bitwise_or, formula=r"z = x \mid y",
                  summary="Where at least one is true; of integers, the bits that either has. The operator ``|``.",
                  example=">>> int(cr.bitwise_or(6, 3))\n7")
bitwise_xor = gate("bitwise_xor", np.bitwise_xor, formula=r"z = x \oplus y",
                   summary="Where exactly one is true; of integers, the bits that differ. The operator ``^``.",
                   example=">>> int(cr.bitwise_xor(6, 3))\n5")
invert = gate("invert", np.invert, formula=r"z = \neg x",
              summary="Where the argument is false; of integers, all bits turned. The operator ``~``.",
              example=">>> int(cr.invert(0))\n-1")
isnan = gate("isnan", np.isnan, formula=r"z = [x \ne x]", summary="Where the argument is not a number.",
             example=">>> bool(cr.isnan(float('nan')))\nTrue")
isinf = gate("isinf", np.isinf, formula=r"z = [|x| = \infty]", summary="Where the argument is infinite.",
             example=">>> bool(cr.isinf(1.0))\nFalse")
isfinite = gate("isfinite", np.isfinite, formula=r"z = [|x| < \infty]",
                summary="Where the argument is a finite number.",
                example=">>> bool(cr.isfinite(1.0))\nTrue")
floor = gate("floor", np.floor, formula=r"z = \lfloor x \rfloor", method=True,
             summary="The largest whole number that is not larger.", example=">>> float(cr.floor(-1.5))\n-2.0")
ceil = gate("ceil", np.ceil, formula=r"z = \lceil x \rceil", method=True,
            summary="The smallest whole number that is not smaller.", example=">>> float(cr.ceil(-1.5))\n-1.0")
trunc = gate("trunc", np.trunc, formula=r"z = \operatorname{sign}(x) \lfloor |x| \rfloor", method=True,
             summary="The whole number next to it, towards 0.", example=">>> float(cr.trunc(-1.5))\n-1.0")


def _round(x: Any, decimals: int = 0, out: Any = None) -> Any:
    return np.round(x, decimals, out=out)


round = gate("round", _round, formula=r"z = \lfloor x \rceil", method=True, out=True, numpy=(np.round, np.around),
             about={"decimals": "int\n    How many; a negative number rounds to tens, hundreds and so on."},
             summary="To so many decimals; a half goes to the even neighbour, as NumPy's does.",
             example=">>> float(cr.round(2.5))\n2.0")
all = gate("all", lambda x, axis=None, keepdims=False, out=None: np.all(x, axis=axis, keepdims=keepdims, out=out),
           numpy=(np.all,), out=True, about=ALONG, formula=r"z = \bigwedge x", method=True,
           summary="Whether every element along the axes is true.",
           example=">>> bool(cr.all([True, False]))\nFalse")
any = gate("any", lambda x, axis=None, keepdims=False, out=None: np.any(x, axis=axis, keepdims=keepdims, out=out),
           numpy=(np.any,), out=True, about=ALONG, formula=r"z = \bigvee x", method=True,
           summary="Whether some element along the axes is true.",
           example=">>> bool(cr.any([True, False]))\nTrue")
argmax = gate("argmax", lambda x, axis=None, keepdims=False, out=None: np.argmax(x, axis, out, keepdims=keepdims),
              formula=r"z = \arg\max_i x_i", numpy=(np.argmax,), method=True, about=BEST, out=True,
              summary="The index of the largest element; the first of them where there is a tie.",
              example=">>> int(cr.argmax([1.0, 3.0, 2.0]))\n1")
argmin = gate("argmin", lambda x, axis=None, keepdims=False, out=None: np.argmin(x, axis, out, keepdims=keepdims),
              formula=r"z = \arg\min_i x_i", numpy=(np.argmin,), method=True, about=BEST, out=True,
              summary="The index of the smallest element; the first of them where there is a tie.",
              example=">>> int(cr.argmin([1.0, 3.0, 2.0]))\n0")


def _argsort(x: Any, axis: int | None = -1, out: Any = None) -> Any:
    order = np.argsort(x, axis=axis, kind="stable")
    if out is not None:
        np.copyto(out, order)
    return order if out is None else out


argsort = gate("argsort", _argsort, numpy=(np.argsort,), out=True,
               formula=r"z = \pi,\; x_{\pi_1} \le x_{\pi_2} \le \dots", method=True,
               about={"axis": "int or None\n    Along which axis; None for the flattened array."},
               summary="The indices that put the elements in order; equal ones keep theirs.",
               example=">>> cr.argsort([3.0, 1.0, 2.0])\narray([1, 2, 0])")
