"""Every example in the documentation runs: of each module, class and function of the package, and of each gate."""
from __future__ import annotations

import doctest
import importlib
import pkgutil

import numpy as np
import pytest

import chainrule as cr

MODULES = sorted(m.name for m in pkgutil.walk_packages(cr.__path__, "chainrule.") if not m.name.endswith("__main__"))
OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def run(test):
    """Run one docstring's examples; a difference is a failure that shows both sides."""
    said = []
    runner = doctest.DocTestRunner(optionflags=OPTIONS)
    runner.run(test, out=said.append)
    assert not runner.failures, "".join(said)


@pytest.mark.parametrize("name", ["chainrule", *MODULES])
def test_examples_of_a_module(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)                        # an example may save a file
    module = importlib.import_module(name)
    for test in doctest.DocTestFinder().find(module):
        cr.random.seed(0)
        run(test)


@pytest.mark.parametrize("name", sorted(n for n, gate in cr.GATES.items() if gate.module.startswith("chainrule.")))
def test_examples_of_a_gate(name):
    gate = cr.GATES[name]
    parser = doctest.DocTestParser()
    test = parser.get_doctest(gate.__doc__, {}, f"the gate {name}", None, 0)
    assert bool(test.examples) == bool(gate.example)
    run(test)


def test_a_gate_of_the_package_has_an_example():
    """`released` and the two of hand-written layers are made by the library itself, never by its users."""
    for name, gate in cr.GATES.items():
        if gate.module.startswith("chainrule.gates."):
            assert gate.example, f"the gate {name} has no example"


def test_a_wrong_example_is_found():
    test = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {"np": np}, "wrong", None, 0)
    with pytest.raises(AssertionError, match="Got"):
        run(test)
