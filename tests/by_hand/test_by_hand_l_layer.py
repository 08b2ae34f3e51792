"""The functions of `l_layer` against formulas written out in plain NumPy, plain differences, and the numbers known."""
# ruff: noqa: NPY002 - the stream that course notes draw from
from __future__ import annotations

import builtins

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.test_perturbation import doubled

import chainrule as cr
from chainrule.by_hand import l_layer, reading
from chainrule.by_hand.l_layer import (
    L_layer_model,
    L_model_backward,
    L_model_forward,
    batch_norm_backward,
    batch_norm_forward,
    clip_gradients,
    compute_cost,
    dictionary_to_vector,
    gradient_check,
    gradients_to_vector,
    initialize_parameters,
    linear_activation_backward,
    linear_activation_forward,
    linear_backward,
    linear_forward,
    load_data,
    predict,
    relu,
    relu_backward,
    sigmoid,
    sigmoid_backward,
    training,
    update_parameters,
    vector_to_dictionary,
)

SPIRAL = [2, 4, 3, 1]


def drawn(rng, dims, dtype=np.float64):
    """Parameters with nothing on a kink."""
    return {f"{kind}{n}": rng.normal(size=(dims[n], dims[n - 1] if kind == "W" else 1)).astype(dtype)
            for n in range(1, len(dims)) for kind in "Wb"}


def locked(*arrays):
    for array in arrays:
        array.flags.writeable = False
    return arrays


def by_formula(X, Y, parameters):
    """The five equations, as they are derived in chapter 8."""
    layers, samples, A, kept = len(parameters) // 2, X.shape[1], X, []
    for n in range(1, layers + 1):
        Z = parameters[f"W{n}"] @ A + parameters[f"b{n}"]
        kept.append((A, Z))
        A = np.where(Z > 0, Z, 0) if n < layers else 1 / (1 + np.exp(-Z))
    cost = -(Y * np.log(A) + (1 - Y) * np.log(1 - A)).sum() / samples
    dZ, gradients = A - Y, {}
    for n in range(layers, 0, -1):
        before, _ = kept[n - 1]
        gradients[f"dW{n}"] = dZ @ before.T / samples
        gradients[f"db{n}"] = dZ.sum(axis=1, keepdims=True) / samples
        gradients[f"dA{n - 1}"] = parameters[f"W{n}"].T @ dZ
        if n > 1:
            dZ = gradients[f"dA{n - 1}"] * (kept[n - 2][1] > 0)
    return A, cost, gradients


# ------------------------------------------------------------------ pieces
def test_activations(rng):
    Z, dA = locked(np.array([[-2.0, 0.0, 3.0]]), np.array([[5.0, 5.0, 5.0]]))
    A, cache = sigmoid(Z)
    s = 1 / (1 + np.exp(-Z))
    np.testing.assert_allclose(A, s, rtol=1e-15)
    assert cache is Z
    np.testing.assert_allclose(sigmoid_backward(dA, cache), 5 * s * (1 - s), rtol=1e-15)
    A, cache = relu(Z)
    assert A.tolist() == [[0, 0, 3]]
    assert cache is Z
    assert relu_backward(dA, cache).tolist() == [[0, 0, 5]]         # 0 at the kink
    assert dA.tolist() == [[5, 5, 5]]


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 5), st.integers(0, 2 ** 32 - 1))
@settings(max_examples=50)
def test_a_layer_by_formula(inputs, outputs, samples, seed):
    rng = np.random.default_rng(seed)
    A, W, b, dZ = locked(rng.normal(size=(inputs, samples)), rng.normal(size=(outputs, inputs)),
                         rng.normal(size=(outputs, 1)), rng.normal(size=(outputs, samples)))
    Z, cache = linear_forward(A, W, b)
    np.testing.assert_allclose(Z, W @ A + b, rtol=1e-13, atol=1e-14)
    assert all(kept is given for kept, given in zip(cache, (A, W, b), strict=True))
    dA, dW, db = linear_backward(dZ, cache)
    np.testing.assert_allclose(dA, W.T @ dZ, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(dW, dZ @ A.T / samples, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(db, dZ.sum(axis=1, keepdims=True) / samples, rtol=1e-13, atol=1e-14)
    assert (dA.shape, dW.shape, db.shape) == (A.shape, W.shape, b.shape)


@pytest.mark.parametrize(("activation", "f", "slope"), [
    ("relu", lambda z: np.maximum(z, 0), lambda z: z > 0),
    ("sigmoid", lambda z: 1 / (1 + np.exp(-z)), lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2),
    ("tanh", np.tanh, lambda z: 1 / np.cosh(z) ** 2),
])
def test_a_layer_with_activation(activation, f, slope, rng):
    A_prev, W, b, dA = (rng.normal(size=shape) for shape in ((3, 5), (2, 3), (2, 1), (2, 5)))
    A, cache = linear_activation_forward(A_prev, W, b, activation)
    linear_cache, activation_cache = cache
    assert [array.shape for array in linear_cache] == [(3, 5), (2, 3), (2, 1)]
    np.testing.assert_allclose(activation_cache, W @ A_prev + b, rtol=1e-13)
    np.testing.assert_allclose(A, f(activation_cache), rtol=1e-13)
    dZ = dA * slope(activation_cache)
    expected = W.T @ dZ, dZ @ A_prev.T / 5, dZ.sum(axis=1, keepdims=True) / 5
    for found, known in zip(linear_activation_backward(dA, cache, activation), expected, strict=True):
        np.testing.assert_allclose(found, known, rtol=1e-12)


def test_whole_numbers_will_do():
    Z, cache = linear_forward([[1, 2]], [[3]], [[0.5]])
    assert Z.tolist() == [[3.5, 6.5]]
    assert linear_backward([[1, 1]], cache)[1].tolist() == [[1.5]]
    assert sigmoid([[0, 0]])[0].tolist() == [[0.5, 0.5]]


# ------------------------------------------------------------------ the network
@given(st.lists(st.integers(1, 4), min_size=2, max_size=5), st.integers(1, 5), st.integers(0, 2 ** 32 - 1))
@settings(max_examples=50)
def test_the_network_by_formula(dims, samples, seed):
    rng = np.random.default_rng(seed)
    parameters = drawn(rng, dims)
    X, Y = rng.normal(size=(dims[0], samples)), rng.integers(0, 2, (dims[-1], samples))
    locked(X, Y, *parameters.values())
    AL, caches = L_model_forward(X, parameters)
    assume(np.abs(caches[-1][1]).max() < 8)            # where a probability is almost 1, ln(1 - A) is inexact
    expected, cost, gradients = by_formula(X, Y, parameters)
    np.testing.assert_allclose(AL, expected, rtol=1e-12)
    assert compute_cost(AL, Y) == pytest.approx(cost, rel=1e-11)
    assert compute_cost(AL, Y, caches) == pytest.approx(cost, rel=1e-11)
    found = L_model_backward(AL, Y, caches)
    assert found.keys() == gradients.keys()
    for name, gradient in gradients.items():
        np.testing.assert_allclose(found[name], gradient, rtol=1e-10, atol=1e-13, err_msg=name)


def test_the_route_through_dAL_is_the_same(rng):  # noqa: N802
    parameters, X, Y = drawn(rng, SPIRAL), rng.normal(size=(2, 9)), rng.integers(0, 2, (1, 9))
    AL, caches = L_model_forward(X, parameters)
    dAL = -(Y / AL - (1 - Y) / (1 - AL))
    dA, dW, db = linear_activation_backward(dAL, caches[-1], "sigmoid")
    gradients = L_model_backward(AL, Y, caches)
    for name, found in (("dA2", dA), ("dW3", dW), ("db3", db)):
        np.testing.assert_allclose(gradients[name], found, rtol=1e-11)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_stays(dtype, rng):
    parameters, X = drawn(rng, SPIRAL, dtype), rng.normal(size=(2, 9)).astype(dtype)
    Y = rng.integers(0, 2, (1, 9))
    AL, caches = L_model_forward(X, parameters)
    gradients = L_model_backward(AL, Y, caches)
    updated = update_parameters(dict(parameters), gradients, np.float64(0.1))
    out, cache = batch_norm_forward(X, np.ones((2, 1), dtype), np.zeros((2, 1), dtype))
    for array in (AL, *gradients.values(), *updated.values(), out, *batch_norm_backward(X, cache), *cache[:-1]):
        assert array.dtype == dtype


def test_sure_and_wrong():
    """Where the probability is 0 or 1 to the last digit, nothing is infinite, and logits still tell how wrong it is."""
    parameters = {"W1": np.array([[1.0]]), "b1": np.array([[0.0]])}
    X, Y = np.array([[800.0, -800.0, 40.0]]), np.array([[0, 1, 1]])
    AL, caches = L_model_forward(X, parameters)
    assert AL.tolist() == [[1, 0, 1]]
    assert compute_cost(AL, Y, caches) == pytest.approx(1600 / 3, rel=1e-14)
    assert compute_cost(AL, Y) == pytest.approx(200 / 3, rel=1e-14)
    assert compute_cost(AL, AL) == 0
    gradients = L_model_backward(AL, Y, caches)
    np.testing.assert_allclose(gradients["dA0"], [[1, -1, 0]], atol=1e-15)
    assert gradients["dW1"].item() == pytest.approx(1600 / 3, rel=1e-14)


@pytest.mark.parametrize(("gate", "place", "twice"), [
    (cr.linear, 0, {"dA_prev"}), (cr.linear, 1, {"dW"}), (cr.linear, 2, {"db"}),
    (cr.sigmoid, 0, {"dA_prev", "dW", "db"}),
])
def test_a_layer_follows_the_derivatives_of_the_gates(gate, place, twice, rng, monkeypatch):
    A, W, b, dA = (rng.normal(size=shape) for shape in ((3, 5), (2, 3), (2, 1), (2, 5)))
    _, cache = linear_activation_forward(A, W, b, "sigmoid")
    before = linear_activation_backward(dA, cache, "sigmoid")
    doubled(gate, place, monkeypatch)
    after = linear_activation_backward(dA, cache, "sigmoid")
    for name, old, new in zip(("dA_prev", "dW", "db"), before, after, strict=True):
        np.testing.assert_array_equal(new, old * 2 if name in twice else old)


@pytest.mark.parametrize(("name", "back"), [("relu", relu_backward), ("sigmoid", sigmoid_backward)])
def test_activations_follow_the_derivatives_of_the_gates(name, back, rng, monkeypatch):
    Z, dA = rng.normal(size=(2, 3)), rng.normal(size=(2, 3))
    before = back(dA, Z)
    doubled(cr.GATES[name], 0, monkeypatch)
    np.testing.assert_array_equal(back(dA, Z), before * 2)


@pytest.mark.parametrize(("gate", "factors"), [("sigmoid_cross_entropy", (2, 2, 2)), ("relu", (4, 2, 1)),
                                               ("sigmoid", (1, 1, 1))])
def test_the_network_follows_the_derivatives_of_the_gates(gate, factors, rng, monkeypatch):
    """The loss is one gate of the logits; of three layers, two have a relu."""
    parameters, X, Y = drawn(rng, SPIRAL), rng.normal(size=(2, 9)), rng.integers(0, 2, (1, 9))
    AL, caches = L_model_forward(X, parameters)
    before = L_model_backward(AL, Y, caches)
    doubled(cr.GATES[gate], 0, monkeypatch)
    after = L_model_backward(AL, Y, caches)
    for layer, factor in enumerate(factors, 1):
        for name in (f"dW{layer}", f"db{layer}", f"dA{layer - 1}"):
            assert np.any(before[name] != 0)
            np.testing.assert_array_equal(after[name], before[name] * factor)


# ------------------------------------------------------------------ batch normalisation
def norm_by_formula(Z, gamma, beta, eps, dout):
    mean, var, m = Z.mean(axis=1, keepdims=True), Z.var(axis=1, keepdims=True), Z.shape[1]
    normal = (Z - mean) / np.sqrt(var + eps)
    dnormal = dout * gamma
    dvar = (dnormal * (Z - mean)).sum(axis=1, keepdims=True) * -0.5 * (var + eps) ** -1.5
    through_mean = -dnormal.sum(axis=1, keepdims=True) / np.sqrt(var + eps) / m
    through_var = dvar * 2 * (Z - mean) / m
    dZ = dnormal / np.sqrt(var + eps) + through_mean + through_var
    return (gamma * normal + beta, dZ, (dout * normal).sum(axis=1, keepdims=True), dout.sum(axis=1, keepdims=True),
            through_var)


def test_batch_norm_by_formula(rng, monkeypatch):
    Z, gamma, beta, dout = locked(rng.normal(3, 2, (4, 6)), rng.normal(size=(4, 1)), rng.normal(size=(4, 1)),
                                  rng.normal(size=(4, 6)))
    out, cache = batch_norm_forward(Z, gamma, beta)
    expected, dZ, dgamma, dbeta, through_var = norm_by_formula(Z, gamma, beta, 1e-5, dout)
    np.testing.assert_allclose(out, expected, rtol=1e-11)
    kept = dict(zip(("Z", "normal", "mean", "var", "gamma", "beta", "eps"), cache, strict=True))
    np.testing.assert_allclose(kept["normal"].mean(axis=1), 0, atol=1e-13)
    np.testing.assert_allclose(kept["var"], Z.var(axis=1, keepdims=True), rtol=1e-13)
    found = batch_norm_backward(dout, cache)
    for gradient, known in zip(found, (dZ, dgamma, dbeta), strict=True):
        np.testing.assert_allclose(gradient, known, rtol=1e-10, atol=1e-12)
    numeric = cr.numerical_gradient(lambda z: batch_norm_forward(z, gamma, beta)[0], Z, dout=dout)
    np.testing.assert_allclose(found[0], numeric, rtol=1e-6, atol=1e-8)

    with monkeypatch.context() as patch:               # what comes through the variance comes through its root
        doubled(cr.sqrt, 0, patch)
        np.testing.assert_allclose(batch_norm_backward(dout, cache)[0], dZ + through_var, rtol=1e-10, atol=1e-12)
    doubled(cr.add, 1, monkeypatch)                    # + beta
    after = batch_norm_backward(dout, cache)
    np.testing.assert_array_equal(after[1], found[1])
    np.testing.assert_array_equal(after[2], 2 * found[2])


def test_eps_counts():
    out, _ = batch_norm_forward(np.array([[0, 2]]), np.ones((1, 1)), np.zeros((1, 1)), eps=3.0)
    assert out.tolist() == [[-0.5, 0.5]]


# ------------------------------------------------------------------ parameters and vectors
def test_initialize_parameters_follows_the_seed():
    np.random.seed(3)
    parameters = initialize_parameters((2, 4, 1))
    np.random.seed(3)
    first = np.random.randn(4, 2) * 0.01
    np.testing.assert_array_equal(parameters["W1"], first)
    np.testing.assert_array_equal(parameters["W2"], np.random.randn(1, 4) * 0.01)
    assert not parameters["b1"].any()
    assert parameters["b2"].shape == (1, 1)


@given(st.lists(st.integers(1, 4), min_size=2, max_size=5), st.integers(0, 2 ** 32 - 1))
@settings(max_examples=30)
def test_vectors_there_and_back(dims, seed):
    parameters = drawn(np.random.default_rng(seed), dims)
    theta, keys = dictionary_to_vector(dict(reversed(parameters.items())))
    assert theta.shape == (len(keys), 1)
    for form in (keys, dims, np.array(dims)):
        back = vector_to_dictionary(theta, form)
        assert list(back) == list(parameters)
        for name, array in parameters.items():
            np.testing.assert_array_equal(back[name], array)
    place = int(np.random.default_rng(seed).integers(len(keys)))
    theta[place] += 1
    moved = vector_to_dictionary(theta, keys)
    assert [name for name in parameters if (moved[name] != parameters[name]).any()] == [keys[place]]
    assert not any(np.shares_memory(array, theta) for array in moved.values())
    gradients = {f"d{name}": array for name, array in parameters.items()} | {"dA0": np.zeros((9, 9))}
    np.testing.assert_array_equal(gradients_to_vector(gradients), dictionary_to_vector(parameters)[0])


def test_update_parameters_writes_into_no_array(rng):
    parameters = drawn(rng, [2, 1])
    old = dict(parameters)
    before = {name: array.copy() for name, array in parameters.items()}
    gradients = {f"d{name}": np.ones_like(array) for name, array in parameters.items()}
    assert update_parameters(parameters, gradients, 0.5) is parameters
    for name, array in before.items():
        np.testing.assert_array_equal(old[name], array)
        np.testing.assert_allclose(parameters[name], array - 0.5, rtol=1e-15)


def test_clip_gradients_in_place():
    arrays = {"dW1": np.array([[-20.0, 3.0], [np.nan, np.inf]]), "db1": np.array([[11.0]])}
    kept = dict(arrays)
    assert clip_gradients(arrays, 10) is arrays
    assert arrays["dW1"] is kept["dW1"]
    np.testing.assert_array_equal(kept["dW1"], [[-10, 3], [np.nan, 10]])
    assert kept["db1"].item() == 10
    with pytest.raises(ValueError, match="maxValue is -1"):
        clip_gradients(arrays, -1)


# ------------------------------------------------------------------ the spirals
def test_load_data_has_everybodys_numbers_and_leaves_the_stream_alone():
    np.random.seed(7)
    before = np.random.get_state()
    X, Y = load_data()
    after = np.random.get_state()
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))

    np.random.seed(1)                                  # as in the notes
    N = 200
    points, labels = np.zeros((2 * N, 2)), np.zeros((2 * N, 1), dtype="uint8")
    for j in range(2):
        ix = range(N * j, N * (j + 1))
        r = np.linspace(0.0, 1, N)
        t = np.linspace(j * 3.12, (j + 1) * 3.12, N) + np.random.randn(N) * 0.2
        points[ix] = np.c_[r * np.sin(t), r * np.cos(t)]
        labels[ix] = j
    np.testing.assert_array_equal(X, points.T)
    np.testing.assert_array_equal(Y, labels.T)
    assert X.dtype == np.float64
    assert (2 * Y - 1).min() == -1                     # signed: unsigned labels wrap around
    origin = (X == 0).all(axis=0)
    assert Y[:, origin].tolist() == [[0, 1]]           # two points that nothing tells apart


def started(bias=0.0):
    np.random.seed(1)
    parameters = initialize_parameters(SPIRAL)
    for name in ("b1", "b2", "b3"):
        parameters[name] = bias * np.random.randn(*parameters[name].shape)
    return parameters


class Network:
    """A learner's own, over these functions; `check_gradients` takes it as it is."""

    def __init__(self, parameters):
        self.params = parameters

    def forward(self):
        X, Y = load_data()
        self.AL, self.caches = L_model_forward(X, self.params)
        return compute_cost(self.AL, Y, self.caches)

    def backward(self, dout):
        gradients = L_model_backward(self.AL, load_data()[1], self.caches)
        self.grads = {name: dout * gradients[f"d{name}"] for name in self.params}
        return ()


def test_the_gradient_check_holds_with_random_biases(capsys):
    X, Y = load_data()
    parameters = started(0.1)
    locked(X, Y, *parameters.values())
    AL, caches = L_model_forward(X, parameters)
    assert 0 < gradient_check(X, Y, parameters, L_model_backward(AL, Y, caches)) < 2e-7
    assert "the gradients are right" in capsys.readouterr().out
    assert cr.check_gradients(Network(parameters)) < 1e-7


def test_the_gradient_check_fails_on_the_kink_and_says_so(capsys):
    X, Y = load_data()
    parameters = started()
    AL, caches = L_model_forward(X, parameters)
    Z2 = caches[1][1]
    assert (Z2.size, (Z2 == 0).sum()) == (1200, 273)
    assert gradient_check(X, Y, parameters, L_model_backward(AL, Y, caches)) > 0.01
    assert "273 of the 1200 Z of layer 2 are exactly 0, on the kink of relu" in capsys.readouterr().out
    with pytest.raises(cr.GradientError) as raised:
        cr.check_gradients(Network(parameters))
    assert {element.verdict for element in raised.value.elements} == {"kink nearby"}
    assert "params['b2']" in {element.argument for element in raised.value.elements}


def test_the_gradient_check_finds_a_mistake(capsys):
    X, Y = load_data()
    parameters = started(0.1)
    AL, caches = L_model_forward(X, parameters)
    gradients = L_model_backward(AL, Y, caches)
    gradients["db2"][2] *= 1.5
    assert gradient_check(X, Y, parameters, gradients) > 1e-4
    said = capsys.readouterr().out
    assert "most of all in b2[2, 0]" in said
    assert "kink" not in said


def test_the_gradient_check_takes_float32(rng):
    X, Y = load_data()
    parameters = {name: array.astype(np.float32) for name, array in started(0.1).items()}
    AL, caches = L_model_forward(X, {name: array.astype(np.float64) for name, array in parameters.items()})
    assert gradient_check(X, Y, parameters, L_model_backward(AL, Y, caches)) < 2e-7


@pytest.mark.slow
def test_small_weights_learn_nothing(capsys):
    X, Y = load_data()
    np.random.seed(1)
    parameters = L_layer_model(X, Y, SPIRAL, num_iterations=2500, print_cost=True)
    costs = [float(line.split(": ")[1]) for line in capsys.readouterr().out.splitlines() if line.startswith("Cost")]
    assert len(costs) == 25
    assert {f"{cost:.5f}" for cost in costs} == {"0.69315"}
    assert 1e-8 < costs[0] - costs[-1] < 1e-6          # it moves in the seventh digit
    AL, _ = L_model_forward(X, parameters)
    assert {f"{p:.6f}" for p in AL.ravel()} == {"0.500000"}
    predictions = predict(X, Y, parameters)
    accuracy = float(capsys.readouterr().out.removeprefix("Accuracy: "))
    assert accuracy == (predictions == Y).mean()
    assert 0.75 < accuracy < 0.9


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 6))
def test_he_initialisation_learns(seed, capsys):
    X, Y = load_data()
    np.random.seed(seed)
    dims = [2, 16, 8, 1]
    parameters = {}
    for n in range(1, len(dims)):
        parameters[f"W{n}"] = np.random.randn(dims[n], dims[n - 1]) * np.sqrt(2 / dims[n - 1])
        parameters[f"b{n}"] = np.zeros((dims[n], 1))
    for _ in range(5000):
        AL, caches = L_model_forward(X, parameters)
        parameters = update_parameters(parameters, L_model_backward(AL, Y, caches), 0.1)
    predictions = predict(X, Y, parameters)
    assert 0.99 <= (predictions == Y).mean() <= 399 / 400


def test_logistic_regression_reaches_about_93_percent(capsys):
    X, Y = load_data()
    np.random.seed(1)
    predictions = predict(X, Y, L_layer_model(X, Y, [2, 1], 1.0, 1000))
    assert (predictions == Y).mean() == pytest.approx(0.93, abs=0.01)


# ------------------------------------------------------------------ training and what it says
POINTS = np.array([[-1.0, 1.0]]), np.array([[0, 1]])


def test_the_model_is_the_loop(rng):
    X, Y = rng.normal(size=(2, 9)), rng.integers(0, 2, (1, 9))
    np.random.seed(5)
    found = L_layer_model(X, Y, [2, 3, 1], 0.3, 7)
    np.random.seed(5)
    parameters = initialize_parameters([2, 3, 1])
    for _ in range(7):
        gradients = by_formula(X, Y, parameters)[2]
        parameters = {name: array - 0.3 * gradients[f"d{name}"] for name, array in parameters.items()}
    for name, array in parameters.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-10)


def test_nothing_is_said_or_written_unless_asked(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("CHAINRULE_FIGURES", str(tmp_path / "figures"))
    L_layer_model(*POINTS, [1, 1], num_iterations=3)
    assert capsys.readouterr().out == ""
    assert not list(tmp_path.iterdir())


def test_the_curve_is_saved_not_shown(capsys, tmp_path, monkeypatch):
    from matplotlib import pyplot
    monkeypatch.setattr(pyplot, "show", lambda *_: pytest.fail("opens a window"))
    monkeypatch.setenv("CHAINRULE_FIGURES", str(tmp_path))
    L_layer_model(*POINTS, [1, 1], num_iterations=101, print_cost=True)
    first, second, last = capsys.readouterr().out.splitlines()
    assert first.startswith("Cost after iteration 0: 0.69")
    assert second.startswith("Cost after iteration 100: 0.")
    assert last == f"figure: {tmp_path / 'l-layer-cost.png'}"
    assert (tmp_path / "l-layer-cost.png").stat().st_size > 1000
    assert not pyplot.get_fignums()


def test_without_matplotlib_it_says_so_once(capsys, monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.setattr(training, "missing", False)
    for _ in range(2):
        assert L_layer_model(*POINTS, [1, 1], num_iterations=1, print_cost=True).keys() == {"W1", "b1"}
    said = capsys.readouterr().out
    assert said.count("matplotlib is missing") == 1
    assert said.count("Cost after") == 2


def test_a_full_disk_does_not_cost_the_parameters(capsys, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(reading, "save", full)
    assert "W1" in L_layer_model(*POINTS, [1, 1], num_iterations=1, print_cost=True)
    assert "the curve of the cost is not saved: [Errno 28]" in capsys.readouterr().out


def test_predict_of_several_classes(capsys):
    parameters = {"W1": np.eye(3), "b1": np.zeros((3, 1))}
    X = np.array([[5.0, 0, 1], [0, 5, 2], [1, 1, 3]])
    for y in (np.array([[0, 1, 1]]), np.eye(3)[:, [0, 1, 1]]):
        assert predict(X, y, parameters).tolist() == [[0, 1, 2]]
        assert float(capsys.readouterr().out.removeprefix("Accuracy: ")) == pytest.approx(2 / 3)


# ------------------------------------------------------------------ mistakes
ROWS = np.ones((5, 2))                                 # five samples in rows
ONE = {"W1": np.ones((1, 2)), "b1": np.zeros((1, 1))}
CACHES = L_model_forward(ROWS.T, ONE)[1]
LABELS = np.zeros((1, 5))


@pytest.mark.parametrize(("wrong", "error", "message"), [
    (lambda: L_model_forward(ROWS, ONE), ValueError, r"W1 has shape \(1, 2\) and X \(5, 2\).*pass X.T"),
    (lambda: L_layer_model(ROWS, LABELS, [2, 1]), ValueError, r"X has shape \(5, 2\).*samples in rows.*pass X.T"),
    (lambda: L_layer_model(ROWS.T, LABELS.T, [2, 1]), ValueError, r"Y has shape \(5, 1\).*\(1, 5\).*pass Y.T"),
    (lambda: L_layer_model(ROWS.T, LABELS[0], [2, 1]), ValueError, r"Y has shape \(5,\).*Y.reshape\(1, 5\)"),
    (lambda: L_model_forward(ROWS[0], ONE), ValueError, r"X has shape \(2,\).*X.reshape\(-1, 1\)"),
    (lambda: linear_forward(ROWS.T, np.ones((2, 3)), np.ones((3, 1))), ValueError, r"W \(?.*pass W.T"),
    (lambda: linear_forward(ROWS.T, np.ones((3, 2)), np.ones(3)), ValueError, r"b has shape \(3,\).*reshape\(-1, 1\)"),
    (lambda: linear_forward(np.ones((2, 0)), np.ones((3, 2)), np.ones((3, 1))), ValueError, "at least one sample"),
    (lambda: linear_activation_forward(ROWS.T, ONE["W1"], ONE["b1"], "softmax"), ValueError, "'relu', 'sigmoid'"),
    (lambda: linear_backward(LABELS, CACHES[0]), TypeError, "linear_cache, activation_cache = cache"),
    (lambda: linear_backward(LABELS.T, CACHES[0][0]), ValueError, r"dZ has shape \(5, 1\).*pass dZ.T"),
    (lambda: sigmoid_backward(LABELS, CACHES[0]), TypeError, "linear_cache, activation_cache = cache"),
    (lambda: relu_backward(LABELS[0], CACHES[0][1]), ValueError, r"dA has shape \(5,\).*\(1, 5\)"),
    (lambda: L_model_forward(ROWS.T, {"W1": ONE["W1"]}), ValueError, "the parameters are W1; expected a W and a b"),
    (lambda: L_model_forward(ROWS.T, ONE | {"gamma1": 1, "beta1": 1}), ValueError, "W1, b1, gamma1, beta1"),
    (lambda: compute_cost(LABELS + 0.5, LABELS[0]), ValueError, r"Y has shape \(5,\) and AL \(1, 5\)"),
    (lambda: compute_cost(LABELS - 3, LABELS), ValueError, "probability"),
    (lambda: L_model_backward(LABELS, LABELS, CACHES), ValueError, "AL is not the sigmoid"),
    (lambda: L_model_backward(LABELS, LABELS, []), ValueError, "there are no caches"),
    (lambda: linear_activation_backward(LABELS, CACHES[0][0], "relu"), TypeError, "got tuple of 3"),
    (lambda: linear_activation_backward(LABELS, CACHES, "relu"), TypeError, "got list"),
    (lambda: clip_gradients({"db1": 3.0}, 1), TypeError, "db1 is 3.0"),
    (lambda: update_parameters(dict(ONE), {"dW1": 1}, 0.1), ValueError, "lack db1"),
    (lambda: update_parameters(dict(ONE), {"dW1": np.ones((2, 1)), "db1": 1}, 0.1), ValueError, "dW1 has shape"),
    (lambda: gradients_to_vector({"W1": 1}), ValueError, "lack dW1 and db1"),
    (lambda: vector_to_dictionary(np.ones((4, 1)), [2, 1]), ValueError, r"\(4, 1\).*those of 3 numbers"),
    (lambda: initialize_parameters([2]), ValueError, "expected two positive whole numbers or more"),
    (lambda: initialize_parameters([2, 0]), ValueError, "expected two positive whole numbers or more"),
    (lambda: batch_norm_forward(ROWS[:1].T, np.ones((2, 1)), np.ones((2, 1))), ValueError, "one sample is 0"),
    (lambda: batch_norm_forward(ROWS.T, np.ones(2), np.ones((2, 1))), ValueError, r"gamma.reshape\(2, 1\)"),
    (lambda: predict(ROWS.T, LABELS[0], ONE), ValueError, r"y has shape \(5,\).*y.reshape\(1, 5\)"),
    (lambda: gradient_check(ROWS.T, LABELS.T, ONE, {"dW1": np.ones((1, 2)), "db1": 1}), ValueError, "pass Y.T"),
])
def test_mistakes_are_named_with_their_remedy(wrong, error, message):
    with pytest.raises(error, match=message):
        wrong()


def test_everything_the_notes_call_is_there():
    assert set(l_layer.__all__) == {
        "sigmoid", "sigmoid_backward", "relu", "relu_backward", "initialize_parameters", "linear_forward",
        "linear_activation_forward", "L_model_forward", "compute_cost", "linear_backward", "linear_activation_backward",
        "L_model_backward", "update_parameters", "L_layer_model", "predict", "load_data", "gradient_check",
        "dictionary_to_vector", "vector_to_dictionary", "gradients_to_vector", "batch_norm_forward",
        "batch_norm_backward", "clip_gradients"}
