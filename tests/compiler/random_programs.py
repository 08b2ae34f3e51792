"""Steps that are written at random: source text, with an example of each value, so that the next line fits in.

A step has arguments ``x0, x1`` and ``i`` (an index array). It finds parameters ``p0, p1``, a buffer ``b``, a plain
array ``c``, a cell ``k`` and now and then an optimizer. It computes, goes backward, writes, computes on, and returns
some of it all.
"""
from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
from hypothesis import strategies as st

import chainrule as cr
from chainrule import functional as F
from chainrule import optim

SHAPES = [(3,), (2, 3), (), (1, 3), (2, 1), (3, 3), (2, 3, 2), (1,), (33, 2)]
LARGEST = 100                                          #: elements of a value
#: Each is finite everywhere, and so is its slope.
UNARY = [
    "-{a}", "+{a}", "{a} * {a}", "{a} * 2", "3 - {a}", "{a} / 2.5", "{a} ** 2", "{a} ** 3", "{a} * 1", "{a} + 0",
    "-(-{a})", "{a} - {a}", "cr.tanh({a})", "cr.sin({a})", "cr.exp(-cr.square({a}))", "cr.sigmoid({a})", "cr.relu({a})",
    "cr.abs({a})", "cr.sqrt(1 + {a} * {a})", "cr.log1p(cr.square({a}))", "1 / (1.5 + cr.cos({a}))", "cr.softplus({a})",
    "cr.erf({a})", "cr.arctan({a})", "cr.clip({a}, -0.5, 0.7)", "cr.maximum({a}, 0.1)", "cr.where({a} > 0.2, {a}, 0.3)",
    "{a} * ({a} > 0)", "cr.sign({a}) * {a}", "cr.expm1(cr.tanh({a}))", "{a}.copy()", "cr.floor({a})", "cr.detach({a})"]
BINARY = ["{a} + {b}", "{a} - {b}", "{a} * {b}", "{a} / (1.5 + cr.square({b}))", "cr.maximum({a}, {b})",
          "cr.minimum({a}, {b})", "cr.logaddexp({a}, {b})", "(1 + cr.square({a})) ** cr.tanh({b})",
          "cr.where({a} > {b}, {a}, {b} * 0.5)", "cr.stack([{a}, {b}])", "cr.concatenate([{a}, {b}])",
          "cr.concatenate([{a}, {b}], axis=-1)", "{a} @ {b}", "cr.where({b} < 0, {a}, {b})", "F.linear({a}, {b})",
          "cr.einsum('ij,ij->i', {a}, {b})", "cr.broadcast_to({a}, {b}.shape) + {b}", "({a} * 0.5 + {b}) * {a}"]
PLAIN = ["{a} + c", "c - {a}", "{a} * c", "cr.maximum({a}, c)", "cr.concatenate([{a}, c])", "{a} @ c",
         "c @ {a}", "cr.where({a} > 0, {a}, c)", "c * {a}", "{a} / c", "F.linear({a}, c)", "({a} > c) * 0.7"]
AXES = ["", ", axis=0", ", axis=-1", ", axis=0, keepdims=True", ", axis=-1, keepdims=True",
        ", keepdims=True", ", axis=(0, 1)"]
REDUCTIONS = ["sum", "mean", "max", "min", "var", "logsumexp", "prod", "norm2"]
ALONG = ["cr.softmax({a}, axis=-1)", "cr.log_softmax({a}, axis=0)", "cr.cumsum({a}, axis=0)", "cr.flip({a}, axis=0)",
         "cr.sort({a}, axis=-1)", "cr.roll({a}, 1, axis=0)", "cr.pad({a}, 1)", "F.softmax({a}, dim=0)",
         "F.dropout({a}, 0.5, True)", "{a} * cr.random.bernoulli(0.7, {a}.shape, {a}.dtype)",
         "{a} + cr.random.normal(0, 1, {a}.shape, {a}.dtype)", "cr.cast({a}, dtype=np.float64)",
         "cr.cast({a}, dtype=np.float32)", "{a} - cr.mean({a}, axis=0)",
         "{a} / cr.sqrt(1 + cr.sum({a} * {a}, axis=-1, keepdims=True))"]
SHAPING = ["cr.transpose({a})", "cr.reshape({a}, (-1,))", "cr.expand_dims({a}, 0)", "cr.expand_dims({a}, -1)",
           "cr.squeeze({a})", "cr.swapaxes({a}, 0, 1)", "cr.reshape({a}, (-1, 1))",
           "cr.broadcast_to({a}, (2, *{a}.shape))"]
INDICES = ["0", "-1", "1:", ":-1", "::-1", "None", "..., 0", "..., 1:", ":, None", ":1", "i", "np.array([1, 0, 1])",
           "[0, 0]", ":, 1", "i, 0", "..., i", "::2", "1"]
FORMS = [UNARY, BINARY, ALONG, SHAPING, PLAIN, [f"cr.{r}({{a}}{axis})" for r in REDUCTIONS for axis in AXES],
         [f"{{a}}[{index}]" for index in INDICES]]
OPTIMIZERS = ["optim.SGD([p0, p1], lr=0.1)", "optim.SGD([p0, p1], lr=0.1, momentum=0.9, dampening=0.5)",
              "optim.Adam([p0, p1], lr=0.05)", "optim.RMSprop([p0, p1], lr=0.01, centered=True)"]
CLEARED = "p0.grad = p1.grad = None"


class Draft:
    """What has been written so far."""

    def __init__(self, number: int) -> None:
        self.choose = Random(number)
        self.lines: list[str] = []
        self.values: dict[str, Any] = {}               # an example of each value
        self.plain = {"x0", "x1", "c"}           # those that are arrays in eager code
        self.rests: dict[str, frozenset[str]] = {}     # the parameters that a gradient of it goes to
        self.graded: set[str] = set()                  # the parameters that have a gradient now
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.optimizer = ""

    @property
    def text(self) -> str:
        """The step as Python reads it."""
        return "\n".join(["def step(x0, x1, i):", "    global p0, p1, b, c", *self.lines])

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {shape}" for name, shape in self.shapes.items())
        return f"<<\n{shapes}; {self.optimizer}\n{self.text}\n>>"

    def write(self, line: str, indent: int = 1) -> None:
        self.lines.append("    " * indent + line)

    def pick(self, choices: Any) -> Any:
        return self.choose.choice(list(choices))

    def operand(self) -> str:
        """A value, most likely one of the last that were made."""
        names = [n for n in self.values if n != "i"]
        return self.pick(names[-3:] if self.choose.random() < 0.6 else names)

    def example(self, expression: str) -> Any:
        """What an expression gives for the examples; None if it does not fit, or is none of our size."""
        with np.errstate(all="ignore"):
            try:
                value = eval(expression, {"cr": cr, "np": np, "F": F, **self.values})
            except (ValueError, IndexError, TypeError):
                return None
        value = np.asarray(getattr(value, "array", value))
        return value if value.size and value.size <= LARGEST and np.isfinite(value).all() and value.ndim < 5 else None

    def compute(self) -> None:
        """Write a line that makes a new value."""
        for _ in range(20):
            a, b = self.operand(), self.operand()
            expression = self.pick(self.pick(FORMS)).format(a=a, b=b)
            value = self.example(expression)
            if value is not None:
                break
        else:
            return
        if np.abs(value).max() > 8:
            expression, value = f"cr.tanh({expression})", np.tanh(value)
        name = f"v{sum(n[0] == 'v' for n in self.values)}"
        self.write(f"{name} = {expression}")
        self.values[name] = value
        cut = any(gate in expression for gate in ("detach", "floor"))
        used = [n for n in (a, b) if n in expression]
        if self.plain.issuperset(used) and not any(noise in expression for noise in ("random", "dropout")):
            self.plain.add(name)
        self.rests[name] = frozenset() if cut else frozenset().union(*(self.rests.get(n, frozenset()) for n in used))

    def backward(self) -> None:
        """Write a loss and its backward pass; what was computed before it is then a constant."""
        candidates = [n for n, rest in self.rests.items() if rest]
        if not candidates:
            return
        parts = candidates[-1:] + [self.pick(candidates) for _ in range(self.pick([0, 0, 1, 2]))]
        forms = [self.pick(["cr.mean({a})", "cr.sum({a} * {a})", "cr.sum(cr.sin({a}))"]).format(a=n) for n in parts]
        self.write(f"loss = {' + '.join(forms)}")
        self.write("loss.backward()")
        self.values["loss"] = np.float64(1.0)
        for n in parts:
            self.graded |= self.rests[n]
        spent = [n for n, rest in self.rests.items() if rest and n[0] == "v"]
        self.write("loss = cr.detach(loss)")
        for n in spent:
            self.write(f"{n} = cr.detach({n})")
        self.rests.update(dict.fromkeys(spent, frozenset()))

    def update(self) -> None:
        """Write something to the state."""
        name = self.pick(self.shapes)
        forms = [f"{name} *= 0.9", f"{name} += 0.05", f"{name}.assign({name} * 0.5 + 0.1)"]
        if name == "k":
            forms = ["k.value = k.value * 0.9 + 0.1", "k.value = k.value + 0.05"]
        fits = [n for n, v in self.values.items() if n not in ("i", name) and not self.rests.get(n)
                and np.shape(v) == self.shapes[name]]
        if fits:
            v = self.pick(fits)
            cast = f"cr.cast({v}, dtype=k0.dtype)"     # a cell keeps its dtype
            forms += ([f"k.value = k.value * 0.9 + 0.1 * {cast}", f"k.value = {cast}"] if name == "k" else
                      [f"{name} -= 0.1 * {v}", f"{name}.assign({v})", f"{name} *= {v}"])
        if name in self.graded:
            forms += [f"{name} -= 0.1 * {name}.grad", f"{name}.grad *= 0.5", f"{name}.grad = {name}.grad * {name}",
                      f"{name}.grad = None", f"optim.clip_grad_norm_([{name}], 0.5)"]
        line = self.pick(forms)
        if line.endswith("None"):
            self.graded.discard(name)
        self.write("with cr.no_grad():")
        self.write(line, 2)

    def overwrite(self) -> None:
        """Write into a plain array: one from outside, or one that was computed."""
        name = self.pick(n for n in self.values if n in self.plain and n[0] in "cv")
        fits = [n for n, v in self.values.items() if n in self.plain and np.shape(v) == np.shape(self.values[name])]
        forms = [f"{name} *= 0.9", f"{name} += 0.05", f"{name} -= 0.1 * {self.pick(fits)}", f"{name} /= 1.5"]
        self.write(self.pick([*forms, f"{name}.sort()"] if np.ndim(self.values[name]) else forms))


def draft(number: int, orders: list[int]) -> Draft:
    """Write a step: a number decides what there is outside, and another one each instruction."""
    d = Draft(number)
    rng = np.random.default_rng(0)
    for name in ("x0", "x1", "p0", "p1", "b", "c", "k"):
        d.shapes[name] = shape = d.pick(SHAPES)
        d.values[name] = rng.uniform(0.3, 0.9, size=shape)
    d.values["k0"], d.values["i"] = d.values.pop("k"), np.array([1, 0, 1])
    inputs = {name: d.shapes.pop(name) for name in ("x0", "x1", "c")}
    d.rests |= {name: frozenset({name}) for name in ("p0", "p1")}
    d.optimizer = d.pick([*[""] * 4, *OPTIMIZERS])
    if d.pick(range(5)):                               # now and then gradients go on from call to call
        d.write(CLEARED)
    d.write("k0 = k.value")
    for order in orders:
        d.choose = Random(order)
        what = d.pick([*["compute"] * 7, "backward", "update", "update", "overwrite"])
        getattr(d, what)()
        if d.optimizer and d.graded and what == "backward" and d.pick(range(4)):
            d.write("optimizer.step()")
    names = [n for n in d.values if n != "i"]
    results = [names[-1], *[d.pick(names) for _ in range(d.pick(range(4)))]]
    results += [f"{n}.grad" for n in sorted(d.graded) if d.pick([True, False])]
    d.write(f"return [{', '.join(results)}]")
    d.shapes |= inputs
    return d


seeds = st.integers(0, 2**32 - 1)
drafts = st.builds(draft, seeds, st.integers(1, 16).flatmap(lambda n: st.lists(seeds, min_size=n, max_size=n)))


class World:
    """One life of a step: what it finds outside, from a seed, and what it is called with."""

    def __init__(self, d: Draft, dtype: Any, seed: int, shake: float = 0.0) -> None:
        self.rng, self.noise = np.random.default_rng(seed), np.random.default_rng(1)
        self.shake, self.dtype = shake, dtype
        self.names: dict[str, Any] = {"cr": cr, "np": np, "F": F, "optim": optim, "__name__": "random_program"}
        self.d = d
        for name, shape in d.shapes.items():
            if name[0] != "x":
                self.names[name] = self.array(shape)
        for name in ("p0", "p1", "b"):
            self.names[name] = cr.Tensor(self.names[name], requires_grad=name != "b", name=name)
        self.names["k"] = cr.cell(self.names["k"])
        if d.optimizer:
            self.names["optimizer"] = eval(d.optimizer, self.names)
        exec(d.text, self.names)
        cr.random.seed(seed)

    def array(self, shape: tuple[int, ...]) -> Any:
        a = self.rng.normal(size=shape) * 0.7
        a *= 1 + self.shake * self.noise.normal(size=shape)
        return np.asarray(a, self.dtype)

    def arguments(self) -> list[Any]:
        """New data for the next call; what stands outside changes too."""
        self.names["c"][...] = self.array(self.d.shapes["c"])
        return [self.laid(self.array(self.d.shapes["x0"])), self.laid(self.array(self.d.shapes["x1"])),
                self.laid(self.rng.integers(0, 2, size=3))]

    def laid(self, a: Any) -> Any:
        """The same array, whose elements may lie otherwise: by columns, backward, or with gaps."""
        how = self.rng.integers(0, 8) if a.ndim else -1
        if how == 0:
            return np.asfortranarray(a)
        if how == 1:
            return np.flip(np.flip(a).copy())
        if how == 2:
            return np.repeat(a, 2, axis=-1)[..., ::2]
        return a

    def state(self) -> dict[str, Any]:
        """All that a step leaves."""
        found: dict[str, Any] = {"k": np.array(self.names["k"].held), "position": cr.random.user.position,
                                 "dropout": cr.random.dropout.position}
        for name in ("p0", "p1", "b"):
            t = self.names[name]
            found |= {name: t.numpy(), f"{name}.grad": None if t.grad is None else t.grad.numpy()}
        if self.d.optimizer:
            for i, state in self.names["optimizer"].state_dict()["state"].items():
                found |= {f"{name} of p{i}": value for name, value in state.items()}
        return found
