"""What every layer does: parameters, state, dtypes, hooks, switches, errors that say where."""
from __future__ import annotations

import copy
import pickle
from collections import OrderedDict

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.mode import Observer, observe


class Net(nn.Layer):
    def __init__(self):
        self.first = nn.Linear(4, 3)
        self.layers = [nn.Linear(3, 3), nn.ReLU()]
        self.heads = {"a": nn.Linear(3, 2, bias=False)}
        self.scales = [nn.Parameter(np.ones(3, np.float32)), nn.Parameter(np.zeros(2, np.float32))]
        self._private = nn.Linear(1, 1)
        self.constant = cr.Tensor([1.0])
        self.register_buffer("seen", np.zeros((), np.int64))

    def forward(self, x):
        x = self.first(x) * self.scales[0]
        for layer in self.layers:
            x = layer(x)
        return self.heads["a"](x)


# ------------------------------------------------------------------ what belongs to a layer
def test_parameters_are_found_by_attribute_and_in_lists_and_dicts():
    net = Net()
    assert [name for name, _ in net.named_parameters()] == [
        "scales.0", "scales.1", "first.weight", "first.bias", "layers.0.weight", "layers.0.bias", "heads.a.weight",
        "_private.weight", "_private.bias"]
    assert [name for name, _ in net.named_buffers()] == ["seen"]
    assert [name for name, _ in net.named_layers()] == ["", "first", "layers.0", "layers.1", "heads.a", "_private"]


def test_super_init_may_be_called_or_left_out():
    class Calls(nn.Layer):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter([1.0])

    assert len(list(Calls().parameters())) == 1
    assert nn.Module is nn.Layer


def test_a_leaf_tensor_that_requires_a_gradient_is_a_parameter_and_stays_one_when_frozen():
    layer = nn.Layer()
    layer.w = cr.Tensor([1.0], requires_grad=True)
    layer.requires_grad_(False)
    assert [name for name, _ in layer.named_parameters()] == ["w"]
    assert not layer.w.requires_grad
    layer.requires_grad_(True)
    assert layer.w.requires_grad


def test_results_kept_during_forward_are_not_parameters():
    class Keeps(nn.Layer):
        def forward(self, x):
            self.seen = x
            return x * 2

    layer = Keeps()
    layer.forward(np.ones(2))
    layer(cr.Tensor([1.0], requires_grad=True))
    assert list(layer.parameters()) == []


def test_a_shared_parameter_counts_once_and_is_saved_under_each_path():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    assert [name for name, _ in model.named_parameters()] == ["0.weight", "0.bias", "1.bias"]
    assert list(model.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    state = dict(model.state_dict())
    del state["1.weight"]                                # as files that keep a shared tensor once have it
    assert model.load_state_dict(state) == ([], [])
    layer = nn.Linear(2, 2)
    twice = nn.Sequential(layer, layer)
    assert len(list(twice.parameters())) == 2
    assert len(list(twice.modules())) == 2
    assert len(twice.state_dict()) == 4
    twice(np.ones((1, 2))).sum().backward()
    x = np.ones((1, 2), np.float32)
    h = x @ layer.weight.numpy().T + layer.bias.numpy()
    d = np.ones((1, 2), np.float32)
    np.testing.assert_allclose(layer.weight.grad.numpy(), d.T @ h + (d @ layer.weight.numpy()).T @ x, rtol=1e-5)


def test_a_layer_that_knows_its_parent_is_no_endless_loop():
    parent, child = nn.Layer(), nn.Linear(1, 1)
    parent.child, child.parent = child, parent
    assert len(list(parent.parameters())) == 2
    assert list(parent.state_dict()) == ["child.weight", "child.bias"]
    child.forward(np.ones((1, 1)))


def test_replacing_and_removing():
    layer = nn.Linear(2, 2)
    layer.weight = nn.Parameter(np.zeros((2, 2)))        # float64 now
    assert layer(np.ones((1, 2), np.float32)).dtype == np.float64
    layer.bias = None
    assert list(layer.state_dict()) == ["weight"]
    model = nn.Sequential(nn.Linear(1, 1))
    setattr(model, "0", nn.ReLU())
    assert list(model.parameters()) == []


# ------------------------------------------------------------------ dtypes
def test_plain_arrays_take_the_dtype_of_the_parameters():
    net = Net()
    assert net(np.ones((2, 4))).dtype == np.float32
    assert net(np.ones((2, 4), int)).dtype == np.float32
    assert net([[1, 2, 3, 4]]).dtype == np.float32
    assert net.double()(np.ones((2, 4), np.float32)).dtype == np.float64
    deep = nn.Sequential(nn.ReLU(), nn.Sequential(nn.Dropout(0.0), nn.Linear(2, 1)))
    assert deep(np.ones((1, 2))).dtype == np.float32


def test_a_layer_whose_parameters_stand_in_a_list_has_their_dtype():
    class Listed(nn.Layer):
        def __init__(self):
            self.act = nn.ReLU()
            self.weights = [nn.Parameter(np.ones(2, np.float32))]

        def forward(self, x):
            return self.act(x * self.weights[0])

    assert Listed()(np.ones(2)).dtype == np.float32
    assert Listed().forward(np.ones(2)).dtype == np.float32


def test_a_tensor_of_another_dtype_is_an_error_with_the_remedy():
    with pytest.raises(TypeError, match=r"Linear\(2 → 1\): got a float64 tensor, .* are float32.*astype"):
        nn.Linear(2, 1)(cr.Tensor([[1.0, 2.0]]))
    assert nn.Linear(2, 1)(cr.Tensor([[1, 2]])).dtype == np.float32


def test_layers_without_parameters_keep_the_dtype():
    for dtype in (np.float32, np.float64):
        x = np.ones((2, 3), dtype)
        for layer in (nn.ReLU(), nn.Softmax(), nn.Dropout(0.5), nn.Flatten(), nn.Sequential(nn.Tanh(), nn.Sigmoid())):
            assert layer(x).dtype == dtype
    assert nn.Identity()(np.arange(3)).dtype == np.int64


def test_training_has_no_float64(rng):
    """Every gate of a step on float64 data, forward and backward, gives float32."""
    wide = []

    class Watch(Observer):
        def applied(self, gate, inputs, options, result):
            if result.dtype == np.float64 and gate.name != "cast":
                wide.append(gate.name)

        def pulled(self, result, source, gradient):
            if gradient.dtype == np.float64:
                wide.append(f"derivative of {result.gate}")

    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Dropout(0.5), nn.BatchNorm1d(
        4, momentum=None), nn.Sigmoid(), nn.Linear(4, 2))
    x, labels, floats = rng.normal(size=(6, 3)), rng.integers(0, 2, 6), rng.random((6, 2))
    losses = [(nn.CrossEntropyLoss(weight=[0.5, 2.0], label_smoothing=0.1, ignore_index=1), labels),
              (nn.CrossEntropyLoss(), labels), (nn.CrossEntropyLoss(), floats), (nn.MSELoss(), floats),
              (nn.BCEWithLogitsLoss(pos_weight=[2.0, 1.0]), floats), (nn.CrossEntropyLoss(ignore_index=0), labels)]
    with observe(Watch()):
        for loss, target in losses:
            loss(model(x), target).backward()
        nn.BCELoss()(nn.Sigmoid()(model(x)), floats).backward()
    assert wide == []
    assert {b.dtype for b in model.buffers()} == {np.dtype(np.float32), np.dtype(np.int64)}


def test_astype_is_there_and_back():
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    before = {name: array.copy() for name, array in model.state_dict().items()}
    view = model[0].weight.numpy()
    model(np.ones((2, 3))).sum().backward()
    model.double()
    assert {t.dtype.name for t in (*model.parameters(), *model.buffers())} == {"float64", "int64"}
    assert all(p.grad.dtype == np.float64 for p in model.parameters())
    assert model(np.ones((2, 3))).dtype == np.float64
    model.float()
    assert model[0].weight.dtype == np.float32
    for name in ("0.weight", "0.bias", "1.weight", "1.bias"):
        np.testing.assert_array_equal(model.state_dict()[name], before[name])
    np.testing.assert_array_equal(view, before["0.weight"])
    with pytest.raises(TypeError, match="int64"):
        model.astype(np.int64)


# ------------------------------------------------------------------ what goes in
def test_settings_strings_and_tensors_in_lists_pass_as_they_are():
    seen = []

    class Looks(nn.Layer):
        def __init__(self):
            self.w = nn.Parameter(np.ones(1, np.float32))

        def forward(self, x, *rest, **options):
            seen.append((x, rest, options))
            return x

    t = cr.Tensor(np.ones(1, np.float32))
    Looks()(t, 3, True, None, "mean", [t, np.ones(1)], flag=False, mask=np.ones(1))
    (x, rest, options), = seen
    assert x is t
    assert rest[:4] == (3, True, None, "mean")
    assert rest[4][0] is t
    assert rest[4][1].dtype == np.float32
    assert options["flag"] is False
    assert isinstance(options["mask"], cr.Tensor)


def test_a_batch_that_is_changed_after_the_forward_is_harmless():
    layer, x = nn.Linear(2, 1, bias=False), np.array([[1.0, 2.0]], np.float32)
    z = layer(x)
    x[:] = 99
    z.sum().backward()
    assert layer.weight.grad.tolist() == [[1.0, 2.0]]


# ------------------------------------------------------------------ hooks and switches
def test_hooks_see_and_replace_and_can_be_taken_away():
    layer, seen = nn.ReLU(), []
    undo = layer.register_forward_hook(lambda layer, inputs, result: seen.append((layer, inputs, result)))
    z = layer(np.array([-1.0, 1.0]))
    assert seen[0][0] is layer
    assert seen[0][1][0].tolist() == [-1.0, 1.0]
    assert seen[0][2] is z
    undo()
    undo()
    layer(np.ones(1))
    assert len(seen) == 1
    layer.register_forward_pre_hook(lambda layer, inputs: inputs[0] * 2)
    layer.register_forward_hook(lambda layer, inputs, result: result + 1)
    assert layer(np.ones(1)).tolist() == [3.0]
    assert layer.forward(np.ones(1)).tolist() == [3.0]   # by hand too
    assert nn.ReLU()(np.ones(1)).tolist() == [1.0]       # and no other layer


def test_train_and_eval_reach_every_layer():
    net = Net()
    assert net.eval() is net
    assert not any(layer.training for layer in net.modules())
    assert all(layer.training for layer in net.train().modules())
    assert nn.ReLU().training


def test_zero_grad_and_apply():
    net = Net()
    net(np.ones((1, 4))).sum().backward()
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())
    order = []
    net.apply(lambda layer: order.append(type(layer).__name__))
    assert order[-1] == "Net"
    assert len(order) == 6


# ------------------------------------------------------------------ errors
def test_an_error_says_where():
    model = nn.Sequential(nn.Flatten(), nn.ReLU(), nn.Linear(100, 10))
    with pytest.raises(ValueError) as error:
        model(np.ones((32, 128)))
    assert str(error.value) == "model.2 Linear(100 → 10): got (32, 128), the last axis must be 100"
    with pytest.raises(ValueError) as error:
        nn.Linear(3, 2)(np.float32(1))
    assert str(error.value) == "Linear(3 → 2): got (), the last axis must be 3"
    nested = nn.Sequential(nn.Sequential(nn.Linear(2, 2), nn.Linear(3, 3)))
    with pytest.raises(ValueError, match=r"^model\.0\.1 Linear\(3 → 3\): got \(1, 2\)"):
        nested.forward(np.ones((1, 2)))


def test_other_errors_get_a_note():
    class Breaks(nn.Layer):
        def forward(self, x):
            raise KeyError("lost")

    with pytest.raises(KeyError) as error:
        nn.Sequential(nn.ReLU(), Breaks())(np.ones(1))
    assert error.value.__notes__ == ["in model.1 Breaks()"]
    assert nn.ReLU().forward(np.ones(1)).tolist() == [1.0]       # by hand works after an error


def test_a_layer_without_forward():
    with pytest.raises(NotImplementedError, match="Layer does not define forward"):
        nn.Layer()(np.ones(1))


def test_repr():
    assert repr(nn.Linear(2, 3, bias=False)) == "Linear(2 → 3, no bias)"
    assert repr(nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.ReLU()))) == (
        "Sequential(\n  (0): Linear(2 → 3)\n  (1): Sequential(\n    (0): ReLU()\n  )\n)")
    assert repr(nn.BatchNorm1d(3, momentum=None)) == "BatchNorm1d(3, momentum=None)"
    assert repr(nn.Dropout(0.25)) == "Dropout(p=0.25)"
    assert repr(nn.CrossEntropyLoss(reduction="sum")) == "CrossEntropyLoss(reduction='sum')"


# ------------------------------------------------------------------ state
def test_state_dict_is_a_snapshot():
    layer = nn.Linear(2, 2)
    state = layer.state_dict()
    before = state["weight"].copy()
    with cr.no_grad():
        layer.weight -= 1
    np.testing.assert_array_equal(state["weight"], before)
    with pytest.raises(ValueError, match="read-only"):
        state["weight"][:] = 0
    layer.load_state_dict(state)
    np.testing.assert_array_equal(layer.weight.numpy(), before)


def test_load_state_dict_lists_everything_and_writes_nothing():
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    before = {name: array.copy() for name, array in model.state_dict().items()}
    wrong = {"0.weight": np.ones((3, 3)), "0.bias": np.ones(3), "1.weight": np.ones(3), "head.weight": np.ones(1),
             "head.bias": np.ones(1)}
    with pytest.raises(ValueError) as error:
        model.load_state_dict(wrong)
    message = str(error.value)
    assert "missing: 1.bias." in message
    assert "unexpected: head.weight, head.bias." in message
    assert "0.weight: expected (3, 2), got (3, 3); 1.weight: expected (1, 3), got (3,)" in message
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    with pytest.raises(ValueError, match="another shape"):
        model.load_state_dict(wrong, strict=False)
    assert model.load_state_dict({"0.bias": np.ones(3), "more": np.ones(1)}, strict=False) == (
        ["0.weight", "1.weight", "1.bias"], ["more"])
    assert model[0].bias.tolist() == [1.0] * 3
    with pytest.raises(ValueError, match="not real numbers: weight"):
        nn.Linear(1, 1).load_state_dict({"weight": np.array([["a"]]), "bias": np.ones(1)})


def test_state_of_another_dtype_is_converted():
    layer = nn.Linear(1, 1)
    layer.load_state_dict({"weight": [[0.5]], "bias": cr.Tensor([2])})
    assert layer.weight.dtype == layer.bias.dtype == np.float32
    assert layer(np.ones((1, 1))).tolist() == [[2.5]]


def test_save_and_load(tmp_path):
    model = nn.Sequential(OrderedDict(hidden=nn.Linear(3, 2), norm=nn.BatchNorm1d(2)))
    model(np.arange(12.0).reshape(4, 3))
    path = tmp_path / "model.safetensors"
    model.save(path, metadata={"epoch": "3"})
    twin = nn.Sequential(OrderedDict(hidden=nn.Linear(3, 2), norm=nn.BatchNorm1d(2)))
    assert twin.load(path) == ([], [])
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(twin.state_dict()[name], array)
        assert twin.state_dict()[name].shape == array.shape
    assert twin.norm.num_batches_tracked.item() == 1
    from safetensors import safe_open
    with safe_open(path, "np") as file:
        assert file.metadata() == {"epoch": "3"}
    assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not one of ours", b"\xff" * 64,
                                     b"\x08\x00\x00\x00\x00\x00\x00\x00{broken}"])
def test_a_corrupt_file_is_a_clear_error(tmp_path, content):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"model\.safetensors is not a readable safetensors file"):
        nn.Linear(1, 1).load(path)


def test_a_cut_off_file_is_a_clear_error(tmp_path):
    path = tmp_path / "model.safetensors"
    layer = nn.Linear(10, 10)
    layer.save(path)
    path.write_bytes(path.read_bytes()[:-7])
    before = layer.weight.numpy().copy()
    with pytest.raises(ValueError, match="not a readable safetensors file"):
        layer.load(path)
    np.testing.assert_array_equal(layer.weight.numpy(), before)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        layer.load(tmp_path / "nowhere.safetensors")


def test_a_file_for_another_model(tmp_path):
    nn.Linear(2, 2).save(tmp_path / "m")
    with pytest.raises(ValueError, match=r"does not fit Linear.*weight: expected \(3, 2\), got \(2, 2\)"):
        nn.Linear(2, 3).load(tmp_path / "m")


def test_deep_copies_and_pickles():
    net = Net()
    net.layers.append(net.first)                         # shared inside
    net.first.forward(np.ones((1, 4)))
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert twin.first is not net.first
        assert twin.layers[2] is twin.first
        assert [n for n, _ in twin.named_parameters()] == [n for n, _ in net.named_parameters()]
        for p, q in zip(net.parameters(), twin.parameters(), strict=True):
            assert p is not q
            assert type(q) is nn.Parameter
            np.testing.assert_array_equal(p.numpy(), q.numpy())
        with pytest.raises(RuntimeError, match="no forward call"):
            twin.first.backward(np.ones((1, 3)))         # by-hand calls stay with the original
        with cr.no_grad():
            twin.first.weight += 1
        assert not np.allclose(net.first.weight.numpy(), twin.first.weight.numpy())
    shallow = copy.copy(net)
    shallow.extra = nn.Parameter([1.0])
    assert "extra" not in net.state_dict()
    net.first.backward(np.ones((1, 3)))


# ------------------------------------------------------------------ Sequential
def test_sequential_slices_appends_and_iterates():
    a, b, c = nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1)
    model = nn.Sequential(a, b, c)
    assert list(model) == [a, b, c]
    assert (len(model), model[-1], model[1:][0]) == (3, c, b)
    assert list(model[1:].state_dict()) == ["2.weight", "2.bias"]
    assert len(model[:0]) == 0
    part = model[1:].append(nn.Sigmoid())
    assert [name for name, _ in part.named_children()] == ["1", "2", "3"]
    assert model.append(nn.Tanh()) is model
    assert list(model.state_dict())[-1] == "2.bias"
    assert [name for name, _ in model.named_children()] == ["0", "1", "2", "3"]
    x = np.ones((1, 2), np.float32)
    np.testing.assert_array_equal(model[:2](x).detach().numpy(), np.maximum(a(x).detach().numpy(), 0))
    assert len(nn.Sequential().extend([a, a])) == 2
    assert nn.Sequential()(cr.Tensor([1.0])).tolist() == [1.0]
    with pytest.raises(IndexError, match="index 4, there are 4"):
        model[4]


def test_sequential_refuses_what_is_not_a_layer_or_no_name():
    with pytest.raises(TypeError, match="got function at 1"):
        nn.Sequential(nn.ReLU(), lambda x: x)
    for name in ("forward", "a.b", "", 3, "training"):
        with pytest.raises(ValueError, match="cannot name a layer"):
            nn.Sequential({name: nn.ReLU()})


def test_flatten():
    x = np.zeros((2, 3, 4, 5))
    assert nn.Flatten()(x).shape == (2, 60)
    assert nn.Flatten(0, 1)(x).shape == (6, 4, 5)
    assert nn.Flatten(-2)(x).shape == (2, 3, 20)
    assert nn.Flatten()(np.zeros((0, 3, 4))).shape == (0, 12)
    assert nn.Flatten(0)(np.float32(1)).shape == (1,)
    with pytest.raises(ValueError, match="no axes 1 to -1"):
        nn.Flatten()(np.zeros(3))
    with pytest.raises(ValueError, match="lies behind"):
        nn.Flatten(2, 1)(x)


def test_linear_of_no_features():
    with pytest.raises(ValueError, match="at least one feature"):
        nn.Linear(0, 1)


def test_linear_takes_any_number_of_leading_axes(rng):
    layer = nn.Linear(3, 2).double()
    w, b = layer.weight.numpy(), layer.bias.numpy()
    for shape in ((3,), (0, 3), (5, 3), (2, 5, 3), (2, 1, 4, 3)):
        x = rng.normal(size=shape)
        z, d = layer.forward(x), rng.normal(size=(*shape[:-1], 2))
        np.testing.assert_allclose(z, np.einsum("...i,oi->...o", x, w) + b)
        np.testing.assert_allclose(layer.backward(d), np.einsum("...o,oi->...i", d, w))
        np.testing.assert_allclose(layer.weight.grad.numpy(), np.einsum("ni,no->oi", x.reshape(-1, 3),
                                                                        d.reshape(-1, 2)), atol=1e-12)
        np.testing.assert_allclose(layer.bias.grad.numpy(), d.reshape(-1, 2).sum(0), atol=1e-12)
