"""Most calls are like the one before: one written function looks whether they are, and runs the program."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..tensor import Tensor
from .code import Code
from .recording.guards import GONE
from .variant import Variant

__all__ = ["MISS", "quick"]

MISS: Any = object()                     #: a call for which more has to be looked at


def quick(arguments: tuple[Any, ...], variant: Variant) -> Callable[[tuple[Any, ...]], Any] | None:
    """Return what runs a program at calls like this one, if all its arguments are arrays and tensors.

    Parameters
    ----------
    arguments : tuple
        Such as the program is for.
    variant : Variant
        The program, and what it takes for granted.

    Returns
    -------
    callable or None
        Given other arguments, it returns what the program does; `MISS`, if they are of another kind, or if something
        that the program takes for granted is another object.

    Examples
    --------
    >>> import numpy as np, chainrule as cr
    >>> from chainrule.compiler.quick import MISS
    >>> double = cr.compile(lambda x: x * 2)
    >>> _ = double(np.zeros(2)), double(np.zeros(2))
    >>> (variant,), = double.variants.values()
    >>> variant.quick((np.ones(2),)), variant.quick((np.ones(3),)) is MISS
    (Tensor([2., 2.]), True)
    """
    code = Code("arguments")
    miss = f"return {code.name(MISS)}"
    code.line(f"if len(arguments) != {len(arguments)}: {miss}")
    arrays = []
    for i, x in enumerate(arguments):
        if type(x) is not np.ndarray and type(x) is not Tensor:
            return None
        array = f"x{i}" if type(x) is np.ndarray else f"x{i}.array"
        code.line(f"x{i} = arguments[{i}]")
        code.line(f"if type(x{i}) is not {code.name(type(x))}{'' if type(x) is np.ndarray else f' or x{i}.tracked'} "
                  f"or {array}.shape != {x.shape} or {array}.dtype is not {code.name(x.dtype)}: {miss}")
        arrays.append(array)
    code.line("try:")
    code.line(f"    if not ({variant.recorded.guards.text(code)}): {miss}")
    code.line(f"except {code.name(GONE)}: {miss}")
    code.line(f"return {code.name(variant)}.run(({''.join(f'{array}, ' for array in arrays)}))")
    return code.function()
