"""How inputs are prepared, written down: what a run saves, so that new inputs go the same way as the old."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .pixels import Pixels
from .standardize import Standardize

__all__ = ["described", "preparation"]


def described(transform: Pixels | Standardize) -> dict[str, Any]:
    """Return what there is to know of a transform, as numbers, lists and words that JSON keeps exactly.

    Parameters
    ----------
    transform : Pixels or Standardize

    Returns
    -------
    dict

    Raises
    ------
    TypeError
        If it is another one.

    Examples
    --------
    >>> from chainrule import data
    >>> data.described(data.Pixels(255, shape=(784,)))
    {'kind': 'pixels', 'maximum': 255, 'shape': [784]}
    """
    if not isinstance(transform, Pixels | Standardize):
        raise TypeError(f"described: expected Pixels or Standardize, got {type(transform).__name__}; only these can be "
                        "written down")
    shape = {} if transform.shape is None else {"shape": list(transform.shape)}
    if isinstance(transform, Pixels):
        return {"kind": "pixels", "maximum": transform.maximum} | shape
    return {"kind": "standardize", "mean": transform.mean.tolist(), "std": transform.std.tolist()} | shape


def preparation(description: Mapping[str, Any]) -> Pixels | Standardize:
    """Return the transform of which `described` gave a description.

    Parameters
    ----------
    description : mapping

    Returns
    -------
    Pixels or Standardize

    Raises
    ------
    ValueError
        If it describes none.

    Examples
    --------
    >>> from chainrule import data
    >>> data.preparation({"kind": "standardize", "mean": [1.0, 2.0], "std": [1.0, 3.0]})
    Standardize(of 2 numbers each)
    """
    known = dict(description)
    kind, shape = known.pop("kind", None), known.pop("shape", None)
    made = {"pixels": Pixels, "standardize": Standardize}.get(str(kind))
    if made is None:
        raise ValueError(f"preparation: met the kind {kind!r}; expected 'pixels' or 'standardize'")
    try:
        return made(**known, shape=None if shape is None else tuple(shape))  # type: ignore[no-any-return]
    except TypeError as error:
        raise ValueError(f"preparation: {kind} is not described by {', '.join(known)}: {error}") from error
