"""Layers, losses, state and files against PyTorch: values and gradients."""
from __future__ import annotations

import inspect
from itertools import product

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra `peers`")
pytestmark = pytest.mark.peers

import chainrule as cr  # noqa: E402
from chainrule import nn  # noqa: E402


def agree(got, expected, rtol=1e-10, atol=1e-12, err_msg=""):
    np.testing.assert_allclose(np.asarray(got), expected.detach().numpy(), rtol=rtol, atol=atol, err_msg=err_msg)


def same(ours, theirs):
    """Give our layer the parameters and buffers of PyTorch's, by name."""
    ours.load_state_dict({name: value.numpy() for name, value in theirs.state_dict().items()})
    return ours


LAYERS = [
    (lambda n: n.Linear(5, 4), (3, 5)), (lambda n: n.Linear(5, 4, bias=False), (2, 3, 5)),
    (lambda n: n.Identity(), (3, 5)), (lambda n: n.Flatten(), (2, 3, 4)), (lambda n: n.Flatten(0, 1), (2, 3, 4)),
    (lambda n: n.ReLU(), (3, 5)), (lambda n: n.Sigmoid(), (3, 5)), (lambda n: n.Tanh(), (3, 5)),
    (lambda n: n.Softmax(dim=1), (3, 5, 2)), (lambda n: n.Softmax(dim=-1), (3, 5)),
    (lambda n: n.BatchNorm1d(5), (4, 5)), (lambda n: n.BatchNorm1d(5), (4, 5, 3)),
    (lambda n: n.BatchNorm1d(5, eps=0.1, momentum=0.5), (4, 5)), (lambda n: n.BatchNorm1d(5, momentum=None), (4, 5)),
    (lambda n: n.BatchNorm1d(5, affine=False), (4, 5)), (lambda n: n.BatchNorm1d(5, track_running_stats=False), (4, 5)),
    (lambda n: n.Sequential(n.Linear(5, 6), n.BatchNorm1d(6), n.Sequential(n.Tanh(), n.Linear(6, 2))), (4, 5)),
]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("make", "shape"), LAYERS)
def test_layers(make, shape, training, rng):
    theirs = make(torch.nn).double()
    for p in theirs.parameters():
        torch.nn.init.normal_(p)
    ours = same(make(nn).double(), theirs).train(training)
    theirs.train(training)
    for _ in range(3):                                   # running statistics move
        x = rng.normal(size=shape)
        t = torch.tensor(x, requires_grad=True)
        expected = theirs(t)
        seed = rng.normal(size=tuple(expected.shape))
        out, back = ours.call(x)
        agree(out, expected)
        theirs.zero_grad()
        ours.zero_grad()
        expected.backward(torch.tensor(seed))
        agree(back(seed), t.grad)
        for (name, p), q in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            agree(p.grad.numpy(), q.grad, err_msg=name)
    for name, value in theirs.state_dict().items():
        agree(ours.state_dict()[name], value, err_msg=name)


SCORES = [((6, 4), (6,)), ((4,), ()), ((3, 4, 2), (3, 2)), ((2, 4, 3, 2), (2, 3, 2))]


@pytest.mark.parametrize("shapes", SCORES)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy(shapes, reduction, rng):
    shape, samples = shapes
    weight = rng.random(4) + 0.5
    for weighted, smoothing, ignore, kind in product((False, True), (0.0, 0.3), (-100, 1), ("classes", "floats")):
        if kind == "floats" and ignore >= 0:
            continue                                     # neither takes both
        x = rng.normal(size=shape) * 3
        if kind == "classes":
            target = np.asarray(rng.integers(0, 4, samples))
            if ignore == -100 and target.size > 1:
                target.flat[0] = -100
        else:
            target = rng.dirichlet(np.ones(4), samples)
            target = np.moveaxis(target, -1, 1) if len(shape) > 1 else target
        options = {"reduction": reduction, "label_smoothing": smoothing, "ignore_index": ignore}
        t = torch.tensor(x, requires_grad=True)
        expected = torch.nn.CrossEntropyLoss(torch.tensor(weight) if weighted else None, **options)(
            t, torch.tensor(target))
        seed = rng.normal(size=tuple(expected.shape))
        loss = nn.CrossEntropyLoss(weight if weighted else None, **options)
        agree(loss.forward(x, target), expected)
        if not torch.isnan(expected).any():
            expected.backward(torch.tensor(seed))
            agree(loss.backward(seed), t.grad)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_other_losses(reduction, rng):
    weight, pos = rng.random(3) + 0.5, rng.random(3) + 0.5
    as_torch = torch.tensor
    cases = [
        (nn.MSELoss(reduction=reduction), torch.nn.MSELoss(reduction=reduction), rng.normal(size=(4, 3))),
        (nn.BCELoss(reduction=reduction), torch.nn.BCELoss(reduction=reduction), rng.uniform(0.01, 0.99, (4, 3))),
        (nn.BCELoss(weight, reduction=reduction), torch.nn.BCELoss(as_torch(weight), reduction=reduction),
         rng.uniform(0.01, 0.99, (4, 3))),
        (nn.BCEWithLogitsLoss(reduction=reduction), torch.nn.BCEWithLogitsLoss(reduction=reduction),
         rng.normal(size=(4, 3)) * 5),
        (nn.BCEWithLogitsLoss(weight, reduction=reduction, pos_weight=pos),
         torch.nn.BCEWithLogitsLoss(as_torch(weight), reduction=reduction, pos_weight=as_torch(pos)),
         rng.normal(size=(4, 3)) * 5),
    ]
    for ours, theirs, x in cases:
        for target in (rng.random((4, 3)), rng.integers(0, 2, (4, 3)).astype(float)):
            t = torch.tensor(x, requires_grad=True)
            expected = theirs(t, as_torch(target))
            seed = rng.normal(size=tuple(expected.shape))
            expected.backward(as_torch(seed))
            agree(ours.forward(x, target), expected)
            agree(ours.backward(seed), t.grad)


def test_bce_at_the_ends():
    p, t = np.array([0.0, 0.0, 1.0, 1.0, 1e-20]), np.array([0.0, 1.0, 0.0, 1.0, 1.0])
    agree(nn.BCELoss(reduction="none").forward(p, t), torch.nn.BCELoss(reduction="none")(
        torch.tensor(p), torch.tensor(t)))


def test_all_ignored():
    x, target = torch.ones(2, 3, requires_grad=True), torch.full((2,), -100)
    torch.nn.CrossEntropyLoss()(x, target).backward()
    loss = nn.CrossEntropyLoss()
    assert np.isnan(loss.forward(np.ones((2, 3)), target.numpy()))
    agree(loss.backward(), x.grad)


def test_losses_in_float32(rng):
    x, labels = rng.normal(size=(64, 10)).astype(np.float32) * 10, rng.integers(0, 10, 64)
    t = torch.tensor(x, requires_grad=True)
    expected = torch.nn.CrossEntropyLoss()(t, torch.tensor(labels))
    expected.backward()
    loss = nn.CrossEntropyLoss()
    agree(loss.forward(x, labels), expected, rtol=1e-6)
    agree(loss.backward(), t.grad, rtol=1e-5, atol=1e-8)


def models():
    def make(n):
        return n.Sequential(n.Linear(5, 6), n.BatchNorm1d(6), n.ReLU(), n.Sequential(n.Linear(6, 2, bias=False)))
    return make(nn), make(torch.nn)


def test_state_dict_keys_shapes_and_order():
    ours, theirs = models()
    assert [(k, v.shape) for k, v in ours.state_dict().items()] == [
        (k, tuple(v.shape)) for k, v in theirs.state_dict().items()]
    shared = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    shared[1].weight = shared[0].weight
    twin = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    twin[1].weight = twin[0].weight
    assert list(shared.state_dict()) == list(twin.state_dict())
    assert [n for n, _ in shared.named_parameters()] == [n for n, _ in twin.named_parameters()]

    class Theirs(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.scales = torch.nn.ParameterList([torch.nn.Parameter(torch.ones(1))])
            self.blocks = torch.nn.ModuleList([torch.nn.Linear(1, 1), torch.nn.ReLU(), torch.nn.Linear(1, 1)])
            self.heads = torch.nn.ModuleDict({"a": torch.nn.Linear(1, 1)})

    class Ours(nn.Layer):
        def __init__(self):
            self.scales = [nn.Parameter([1.0])]
            self.blocks = [nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 1)]
            self.heads = {"a": nn.Linear(1, 1)}

    assert list(Ours().state_dict()) == list(Theirs().state_dict())
    assert list(nn.CrossEntropyLoss(weight=[1.0]).state_dict()) == ["weight"]


def test_files_travel_both_ways(tmp_path, rng):
    from safetensors.torch import load_file, save_file

    ours, theirs = models()
    x = rng.normal(size=(4, 5)).astype(np.float32)
    ours(x)
    theirs(torch.tensor(x))
    ours.save(tmp_path / "ours.safetensors")
    save_file(theirs.state_dict(), tmp_path / "theirs.safetensors")
    twin, their_twin = models()
    twin.load(tmp_path / "theirs.safetensors")
    their_twin.load_state_dict(load_file(tmp_path / "ours.safetensors"))
    for layer in (ours, theirs, twin, their_twin):
        layer.eval()
    with torch.no_grad():
        agree(ours.forward(x), their_twin(torch.tensor(x)), rtol=1e-5, atol=1e-6)
        agree(twin.forward(x), theirs(torch.tensor(x)), rtol=1e-5, atol=1e-6)
    for name, value in theirs.state_dict().items():
        np.testing.assert_array_equal(twin.state_dict()[name], value.numpy())
    for name, value in ours.state_dict().items():
        np.testing.assert_array_equal(their_twin.state_dict()[name].numpy(), value)


def test_half_precision_files_are_read(tmp_path):
    from safetensors.torch import save_file

    layer = torch.nn.Linear(3, 2)
    save_file({k: v.half() for k, v in layer.state_dict().items()}, tmp_path / "half.safetensors")
    ours = nn.Linear(3, 2)
    ours.load(tmp_path / "half.safetensors")
    np.testing.assert_array_equal(ours.weight.numpy(), layer.weight.detach().half().float().numpy())
    assert ours.weight.dtype == np.float32
    save_file({k: v.bfloat16() for k, v in layer.state_dict().items()}, tmp_path / "brain.safetensors")
    with pytest.raises(ValueError, match=r"brain\.safetensors holds numbers of dtype 'BF16'"):
        ours.load(tmp_path / "brain.safetensors")


def test_gains_and_fans():
    for name, param in (("linear", None), ("sigmoid", None), ("tanh", None), ("relu", None), ("selu", None),
                        ("leaky_relu", None), ("leaky_relu", 0.3), ("conv2d", None)):
        expected = torch.nn.init.calculate_gain(name, param)
        assert nn.init.calculate_gain(name, param) == pytest.approx(expected, rel=1e-15)


def test_defaults_are_pytorchs():
    for name in ("Linear", "BatchNorm1d", "Dropout", "Flatten", "CrossEntropyLoss", "BCELoss", "BCEWithLogitsLoss",
                 "MSELoss"):
        ours = inspect.signature(getattr(nn, name)).parameters
        theirs = inspect.signature(getattr(torch.nn, name)).parameters
        for parameter in ours.values():
            if parameter.name != "dtype":
                assert parameter.default == theirs[parameter.name].default, (name, parameter.name)


def test_a_training_run_follows_pytorchs(rng):
    """Twenty steps of gradient descent in float64 through every kind of layer: the same losses."""
    ours, theirs = models()
    theirs = theirs.double()
    same(ours.double(), theirs)
    x, labels = rng.normal(size=(30, 5)), rng.integers(0, 2, 30)
    loss, their_loss = nn.CrossEntropyLoss(label_smoothing=0.1), torch.nn.CrossEntropyLoss(label_smoothing=0.1)
    for _ in range(20):
        ours.zero_grad()
        value = loss(ours(x), labels)
        value.backward()
        with cr.no_grad():
            for p in ours.parameters():
                p -= 0.5 * p.grad
        theirs.zero_grad()
        expected = their_loss(theirs(torch.tensor(x)), torch.tensor(labels))
        expected.backward()
        with torch.no_grad():
            for q in theirs.parameters():
                q -= 0.5 * q.grad
        assert value.item() == pytest.approx(expected.item(), rel=1e-9)
