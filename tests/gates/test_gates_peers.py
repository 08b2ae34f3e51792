"""Values and gradients against PyTorch's, over the whole table of cases, ties included."""
from __future__ import annotations

import numpy as np
import pytest
from tests.gates.cases import TIES, Case
from tests.gates.checks import BY_GATE, GATES, named, seed, value

import chainrule as cr
from chainrule.reverse import pullback

torch = pytest.importorskip("torch", reason="needs the extra `peers`")
pytestmark = pytest.mark.peers


def reduced(function, **always):
    """A PyTorch reduction under NumPy's arguments: `axis` is `dim`, and None is all axes."""
    def call(x, axis=None, keepdims=False, **options):
        dim = tuple(range(x.ndim)) if axis is None or not x.ndim else axis
        return x.clone() if dim == () and function is torch.amax else function(
            x, dim=dim, keepdim=keepdims, **options, **always)
    return call


def deviation(function):
    return lambda x, axis=None, ddof=0, keepdims=False: function(
        x, dim=axis, correction=ddof, keepdim=keepdims)


def product(x, axis=None, keepdims=False):
    axes = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    for a in sorted((int(a) % max(x.ndim, 1) for a in axes), reverse=True):
        x = torch.prod(x, dim=a, keepdim=keepdims)
    return x


def flat(function):
    """A function along one axis, or along all of them at once, as softmax over several is."""
    def call(x, axis=-1):
        axes = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        if len(axes) == 1 or not x.ndim:
            return function(x, dim=axes[0] if axes else -1)
        axes = tuple(a % x.ndim for a in axes)
        last = tuple(range(-len(axes), 0))
        moved = x.movedim(axes, last)
        return function(moved.flatten(-len(axes)), dim=-1).reshape(moved.shape).movedim(last, axes)
    return call


def indexed(x, *index):
    """NumPy's index, for steps that PyTorch has: a negative one goes through a flip."""
    return x[tuple(torch.as_tensor(np.array(i)) if isinstance(i, np.ndarray) else
                   int(i) if isinstance(i, np.integer) else i for i in index)]


def scattered(x, *index, shape):
    places = np.arange(np.prod(shape)).reshape(shape)[index]
    zeros = torch.zeros(int(np.prod(shape)), dtype=x.dtype)
    return zeros.index_add(0, torch.as_tensor(np.array(places).ravel()), x.reshape(-1)).reshape(shape)


def widths(pad_width, ndim):
    return [int(n) for pair in reversed(np.broadcast_to(pad_width, (ndim, 2))) for n in pair]


#: Each gate as PyTorch has it: under the same name, where it takes the same arguments.
PEERS = {
    **{name: getattr(torch, name) for name, gate in GATES.items() if not gate.options and hasattr(torch, name)},
    "swapaxes": lambda x, axis1, axis2: torch.swapaxes(x, axis1, axis2),
    "power": torch.pow,
    "softmax_cross_entropy": lambda x, classes: torch.nn.functional.cross_entropy(x, classes[:, 0].long()),
    "softplus": lambda x: torch.nn.functional.softplus(x, threshold=1e9),
    "log_loss": lambda p, t: torch.nn.functional.binary_cross_entropy(
        *torch.broadcast_tensors(p, torch.as_tensor(t, dtype=p.dtype)), reduction="none"),
    "sigmoid_cross_entropy": lambda x, t: torch.nn.functional.binary_cross_entropy_with_logits(
        *torch.broadcast_tensors(x, torch.as_tensor(t, dtype=x.dtype)), reduction="none"),
    "clip": lambda x, low=None, high=None: x.clone() if low is None and high is None else torch.clamp(x, low, high),
    "where": lambda c, x, y: torch.where(torch.as_tensor(c).bool(), x, y), "cast": lambda x, dtype: x.double(),
    "sum": reduced(torch.sum), "mean": reduced(torch.mean), "max": reduced(torch.amax), "min": reduced(torch.amin),
    "logsumexp": reduced(torch.logsumexp), "norm2": reduced(torch.linalg.vector_norm), "prod": product,
    "var": deviation(torch.var), "std": deviation(torch.std), "softmax": flat(torch.softmax),
    "log_softmax": flat(torch.log_softmax), "sum_to": lambda x, shape: x.sum_to_size(shape),
    "cumsum": lambda x, axis=None: torch.cumsum(x.reshape(-1) if axis is None else x, 0 if axis is None else axis),
    "reshape": lambda x, shape: x.reshape(shape),
    "transpose": lambda x, axes=None: x.permute(tuple(axes or range(x.ndim)[::-1])),
    "moveaxis": lambda x, source, destination: torch.moveaxis(x, source, destination),
    "expand_dims": lambda x, axis: x.reshape(np.expand_dims(np.empty(x.shape), axis).shape),
    "squeeze": lambda x, axis=None: torch.squeeze(x) if axis is None else torch.squeeze(x, axis),
    "broadcast_to": lambda x, shape: torch.broadcast_to(x, shape),
    "flip": lambda x, axis=None: torch.flip(x, tuple(range(x.ndim)) if axis is None else (
        axis if isinstance(axis, tuple) else (axis,))),
    "roll": lambda x, shift, axis=None: torch.roll(
        x, np.broadcast_to(shift, np.shape(axis)).tolist(), () if axis is None else axis),
    "concatenate": lambda *parts, axis=0: torch.cat([torch.as_tensor(p) for p in parts], axis),
    "pad": lambda x, pad_width, constant_values=0: torch.nn.functional.pad(
        x, widths(pad_width, x.ndim), value=constant_values),
    "getitem": indexed, "scatter_add": scattered,
    "take_along_axis": lambda x, indices, axis=-1: torch.take_along_dim(x, indices % x.shape[axis or 0] if (
        axis is not None) else indices, axis),
    "sort": lambda x, axis=-1: torch.sort(
        x.reshape(-1) if axis is None else x, dim=0 if axis is None else axis, stable=True)[0],
    "linear": torch.nn.functional.linear, "einsum": lambda *operands, subscripts: torch.einsum(subscripts, *operands),
}
#: Gates that PyTorch has not.
ALONE = {"scatter_along_axis": "its scatter_add_ does not broadcast; it is the transpose of take_along_axis"}


def without_counterpart(case: Case) -> bool:
    """Calls that PyTorch's function does not take."""
    x, index = case.inputs[0], case.inputs[1:]
    return (
        (case.gate == "getitem" and any(isinstance(i, slice) and (i.step or 1) < 0 for i in index))
        or (case.gate in ("maximum", "minimum", "clip", "logaddexp") and isinstance(x, float))      # no numbers
        or (case.gate in ("maximum", "minimum", "logaddexp") and isinstance(index[0], float))
        or (case.gate == "clip" and len({type(i) for i in index if i is not None}) > 1)
        or (case.gate == "logaddexp" and case.inputs[1].dtype.kind == "i")
        or (case.gate == "clip" and any(i.size > np.size(x) for i in case.floats.values()))    # bounds larger than x
        or (case.gate in ("sum", "prod", "mean", "logsumexp", "max", "min", "norm2", "var", "std") and np.ndim(x)
            and str(case.options.get("axis")) == "()")                                  # () means all axes there
        or (case.gate in ("pad", "cumsum") and np.ndim(x) == 0)
        or (case.gate in ("var", "std") and x.size == 0)                                # it warns
        or (case.gate == "getitem" and any(isinstance(i, int) for i in index)           # 0 is an array to NumPy
            and any(isinstance(i, np.ndarray) for i in index))
        or (case.gate == "einsum" and "ij,ij->" in case.options["subscripts"] and 1 in x.shape)
        or (case.gate == "linear" and len(case.inputs[0].shape) and x.size == 0 and x.shape[-1] == 0)
    )


def theirs(case):
    """Their value and gradients, for the same dz."""
    tensors = [torch.tensor(x, requires_grad=i in case.floats) if isinstance(x, np.ndarray | np.float64) and (
        (x.dtype.kind in "fi" and case.gate not in ("getitem", "scatter_add")) or i == 0) else x
        for i, x in enumerate(case.inputs)]
    options = {k: tuple(v) if isinstance(v, list) else int(v) if isinstance(v, np.integer) else v
               for k, v in case.options.items()}
    z = PEERS[case.gate](*tensors, **options)
    z.backward(torch.tensor(np.asarray(seed(case, z.detach().numpy()))))
    return z.detach().numpy(), {i: tensors[i].grad for i in case.floats}


def test_every_gate_has_a_peer_or_a_reason():
    assert set(PEERS) | set(ALONE) == set(GATES)
    assert not set(PEERS) & set(ALONE)


@pytest.mark.parametrize("gate", sorted(PEERS))
def test_values_and_gradients(gate):
    compared = 0
    for case in BY_GATE[gate]:
        if without_counterpart(case):
            continue
        with named(case):
            expected, gradients = theirs(case)
            tensors = [cr.Tensor(x, requires_grad=True) if i in case.floats else x for i, x in enumerate(case.inputs)]
            z = case.rule(*tensors, **case.options)
            assert z.shape == expected.shape
            np.testing.assert_allclose(z.numpy(), expected, rtol=1e-13, atol=1e-15)
            z.backward(seed(case, value(case)))
            for i, gradient in gradients.items():
                np.testing.assert_allclose(tensors[i].grad.numpy(), gradient.numpy(), rtol=1e-11, atol=1e-14)
            compared += 1
    assert compared > len(BY_GATE[gate]) / 3


#: Conventions of our own: PyTorch's binary cross-entropy goes on as (p - t) / 1e-12 where its logarithm is bounded.
OWN = {"log_loss"}


@pytest.mark.parametrize("tie", [t for t in TIES if t.gate in set(PEERS) - OWN and "dtype" not in t.options],
                         ids=lambda t: f"{t.gate}-{t.inputs}")
def test_conventions_are_pytorchs(tie):
    """Each line of TIES, from PyTorch's side."""
    tensors = [torch.tensor(x, requires_grad=True) if isinstance(x, np.ndarray) else x for x in tie.inputs]
    z = PEERS[tie.gate](*tensors, **tie.options)
    z.backward(torch.tensor(np.broadcast_to(np.asarray(tie.dz, float), z.shape).copy()))
    found = [t.grad.numpy() for t in tensors if isinstance(t, torch.Tensor)]
    for gradient, expected in zip(found, tie.gradients, strict=True):
        if tie.gate in LIMITS:
            expected = np.where(np.isnan(gradient), np.nan, expected)
        np.testing.assert_allclose(gradient, expected, rtol=1e-14)


#: Gates that give the limit where PyTorch gives NaN: of elements that are all -∞, and of a factor beside ∞.
LIMITS = {"logsumexp", "prod"}


def ours(loss, inputs, create_graph):
    found = pullback({loss: np.ones(())}, targets=set(inputs), create_graph=create_graph)
    return [found[x] for x in inputs]


def test_a_sum_along_a_chain_of_gates():
    """One longer expression, with shared inputs, second derivatives included."""
    x = np.random.default_rng(0).normal(size=(3, 4))
    w = np.random.default_rng(1).normal(size=(4, 4))
    results = []
    for lib, make in ((cr, lambda a: cr.Tensor(a, requires_grad=True)),
                      (torch, lambda a: torch.tensor(a, requires_grad=True))):
        a, b = make(x), make(w)
        h = lib.tanh(a @ b) * lib.sigmoid(a) + lib.softmax(b[:3], -1)
        loss = (h * h).sum() + lib.exp(-h).mean() + (lib.log(lib.abs(a) + 1) @ b.T).sum()
        gradients = ours if lib is cr else torch.autograd.grad
        da, db = gradients(loss, (a, b), create_graph=True)
        again = gradients((da * da).sum() + (db * db).sum(), (a, b), create_graph=True)
        results.append([t.detach().numpy() for t in (da, db, *again)])
    for found, expected in zip(*results, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10)
