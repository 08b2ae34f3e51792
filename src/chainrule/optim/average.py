"""An exponential moving average of parameters, which often predicts better than the last of them."""
from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..mode import mode, no_grad
from ..state import given, reach, read, write
from ..tensor import Tensor
from .blocks import blocks
from .parameters import collected

__all__ = ["ExponentialMovingAverage"]


class ExponentialMovingAverage:
    r"""Keeps an average of parameters in which older values count less and less.

    .. math:: a_0 = p_0, \qquad a_t = d\, a_{t-1} + (1 - d)\, p_t

    Call `update` after each step of the optimizer, and use the averages inside ``with average.applied():``.

    Parameters
    ----------
    params : iterable of Tensor, or of (name, Tensor)
        What to average, such as ``model.parameters()`` or ``model.named_parameters()``.
    decay : float
        :math:`d`, from 0 to 1: the averages look back over about :math:`1 / (1 - d)` updates. It may be changed at any
        time.
    warmup : bool
        Take :math:`\min(d, (1 + t) / (10 + t))` at update t = 1, 2, … instead, so that the first, untrained parameters
        are forgotten quickly.

    Attributes
    ----------
    averages : dict of str to array
        By the names of the parameters, or by their numbers, from ``"0"``.
    updates : int
        How many there have been.

    Raises
    ------
    ValueError
        If there are no parameters, one is the result of a gate or appears twice, or `decay` is out of range.
    TypeError
        If one is not a tensor, or `decay` is no number.

    Notes
    -----
    Sources: Polyak and Juditsky, Acceleration of Stochastic Approximation by Averaging, SIAM Journal on Control and
    Optimization 30, 1992; Tarvainen and Valpola, Mean Teachers Are Better Role Models, NeurIPS 2017, eq. 2. The average
    begins with the first parameters rather than with 0, so there is no bias towards 0 to correct; what it has is a
    memory of them, of weight :math:`d^t`. The warm-up is TensorFlow's.

    Buffers, such as the running statistics of batch normalisation, belong to the model and stay what they are when the
    averages are applied: they are running means already, and are those of the latest training step. Tensors of whole
    numbers among `params` (a count of batches) are copied instead of averaged.

    Examples
    --------
    >>> import chainrule as cr
    >>> from chainrule import optim
    >>> w = cr.Tensor([0.0], requires_grad=True)
    >>> average = optim.ExponentialMovingAverage([w], decay=0.5)
    >>> for value in 8.0, 16.0:
    ...     w.assign(value)                              # in place of optimizer.step()
    ...     average.update()
    >>> with average.applied():
    ...     print(w)
    Tensor([10.], requires_grad=True)
    >>> w
    Tensor([16.], requires_grad=True)
    """

    def __init__(self, params: Iterable[Any], decay: float = 0.999, *, warmup: bool = False) -> None:
        title = type(self).__name__
        names, self.params = collected(params, title)
        if not self.params:
            raise ValueError(f"{title}: there are no parameters to average. Was the generator model.parameters() used "
                             "up before?")
        self.names = names or [str(i) for i in range(len(self.params))]
        if len(set(self.names)) < len(self.names):
            raise ValueError(f"{title}: two parameters have the same name")
        _check(decay)
        self.decay, self.warmup, self.updates = decay, warmup, 0
        self.averages: dict[str, NDArray[Any]] = {name: np.array(p.array) for name, p in self._pairs()}
        self._held: list[NDArray[Any]] | None = None   # the parameters, while the averages stand in their place

    def update(self) -> None:
        """Move the averages towards the parameters as they are now.

        Raises
        ------
        RuntimeError
            While the averages are applied.
        """
        self._not_applied("update")
        reach(self)
        write(self, "updates", read(self, "updates") + 1)
        keep = read(self, "decay")
        if given(self, "warmup"):
            warm = (1 + read(self, "updates")) / (10 + read(self, "updates"))
            keep = keep * (keep <= warm) + warm * (warm < keep)       # the smaller, as a recorded step can have it
        for name, p in self._pairs():
            if mode.symbolic:
                with no_grad():
                    write(self.averages, name, _moved(read(self.averages, name), read(p, "array"), keep))
                continue
            average: Any
            for (average,), value in blocks([self.averages[name]], p.array):
                new = _moved(average, value, keep)
                if new is not average:
                    average[...] = new

    def restart(self) -> None:
        """Begin anew with the parameters as they are.

        Raises
        ------
        RuntimeError
            While the averages are applied.
        """
        self._not_applied("restart")
        self.updates = 0
        for name, p in self._pairs():
            self.averages[name][...] = p.array

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Put the averages in the place of the parameters inside a ``with`` block, and take them out again after.

        However the block ends, by an exception or by Ctrl-C too, the parameters are afterwards what they were before;
        what was written into them inside is lost.

        Raises
        ------
        RuntimeError
            If the averages are applied already.
        """
        self._not_applied("applied")
        held = [p.numpy() for p in self.params]        # views: whoever writes to the parameters moves them elsewhere
        try:
            self._held = held
            self.copy_to()
            yield
        finally:
            for p, value in zip(self.params, held, strict=True):
                p.assign(value)
            self._held = None

    def copy_to(self, params: Iterable[Any] | None = None) -> None:
        """Write the averages into the parameters, for good, or into those of a second model.

        Parameters
        ----------
        params : iterable of Tensor, or of (name, Tensor), optional
            As many, in the same order and of the same shapes as those that were averaged, which are the default.

        Raises
        ------
        ValueError
            If number or shapes do not fit; nothing is then written.
        """
        title = type(self).__name__
        targets = self.params if params is None else collected(params, title)[1]
        shapes, ours = [p.shape for p in targets], [p.shape for p in self.params]
        if shapes != ours:
            raise ValueError(f"{title}: the averages have shapes {ours}, the parameters to write into {shapes}")
        for name, p in zip(self.names, targets, strict=True):
            p.assign(read(self.averages, name))

    # ------------------------------------------------------------------ saving
    def state_dict(self) -> dict[str, Any]:
        """Return the averages (copies, by name), the settings and the number of updates."""
        return {"decay": self.decay, "warmup": self.warmup, "updates": self.updates,
                "averages": {name: average.copy() for name, average in self.averages.items()}}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned.

        Parameters
        ----------
        state_dict : mapping
            Arrays are converted to the dtypes of the parameters.

        Raises
        ------
        ValueError
            If names or shapes do not fit; all of them are listed, and nothing is changed.
        RuntimeError
            While the averages are applied.
        """
        self._not_applied("load_state_dict")
        saved = {name: np.asarray(value) for name, value in state_dict["averages"].items()}
        wrong = [f"{name} is missing" for name in self.names if name not in saved]
        wrong += [f"{name} is not averaged here" for name in saved if name not in self.averages]
        wrong += [f"{name}: expected {average.shape}, got {saved[name].shape}"
                  for name, average in self.averages.items() if name in saved and saved[name].shape != average.shape]
        if wrong:
            raise ValueError(f"{type(self).__name__}: the saved state does not fit. {'; '.join(wrong)}")
        _check(state_dict["decay"])
        self.decay, self.warmup = state_dict["decay"], bool(state_dict["warmup"])
        self.updates = int(state_dict["updates"])
        for name, average in self.averages.items():
            average[...] = saved[name]

    # ------------------------------------------------------------------ inside
    def _pairs(self) -> Iterator[tuple[str, Tensor]]:
        return zip(self.names, self.params, strict=True)

    def _not_applied(self, what: str) -> None:
        if self._held is not None:
            raise RuntimeError(f"{type(self).__name__}.{what}: the averages stand in the place of the parameters now; "
                               "leave the block `with average.applied():` first")

    def __repr__(self) -> str:
        return (f"{type(self).__name__}({len(self.params)} parameters, decay={self.decay}, warmup={self.warmup}, "
                f"updates={self.updates})")


def _moved(average: Any, value: Any, keep: Any) -> Any:
    """Return an average, moved in place if it is an array: the rule, for arrays and for tensors under a recorder.

    By the difference, since keep and 1 - keep, each rounded to float32, do not add up to 1: an average of what never
    changes would be off by 3e-4 where keep is 0.9999.
    """
    if value.dtype.kind not in "fc":
        return value                                   # whole numbers are copied
    change = value - average
    change *= 1 - keep
    average += change
    return average


def _check(decay: Any) -> None:
    if not isinstance(decay, int | float | np.integer | np.floating):
        raise TypeError(f"ExponentialMovingAverage: decay must be a number, got {decay!r}")
    if not 0 <= decay <= 1:
        raise ValueError(f"ExponentialMovingAverage: decay is a number from 0 to 1, got {decay}")
