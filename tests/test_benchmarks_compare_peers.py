"""PyTorch's and JAX's steps are the same training as NumPy's by hand; who cannot start says what is missing."""
from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra `peers`")
pytestmark = pytest.mark.peers

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import runner  # noqa: E402
from benchmarks.contenders import CONTENDERS  # noqa: E402
from benchmarks.workloads import WORKLOADS  # noqa: E402


@pytest.mark.parametrize("workload", WORKLOADS)
@pytest.mark.parametrize("contender", ["torch", "torch, fused"])
def test_torch_takes_the_steps_written_by_hand(contender, workload):
    theirs, by_hand = (CONTENDERS[name].build(WORKLOADS[workload]) for name in (contender, "NumPy by hand"))
    for _ in range(15):                                  # then Adam has divided by gradients that are rounding
        assert float(theirs.step(theirs.x, theirs.y)) == pytest.approx(float(by_hand.step(by_hand.x, by_hand.y)),
                                                                       rel=1e-5)
    for p, q in zip(theirs.parameters(), by_hand.parameters(), strict=True):
        assert p.shape == q.shape
        assert np.linalg.norm(p - q) < 1e-4 * max(1, np.linalg.norm(q))


def measured(contender, workload):
    found = runner.measure(WORKLOADS[workload], ["NumPy by hand", contender], rounds=1, block=0.001)[1]
    assert found.median > 0 or found.refused
    return found


@pytest.mark.parametrize("workload", WORKLOADS)
def test_jax_has_a_row_where_it_is_installed(workload):
    found = measured("jax.jit, one thread", workload)
    missing = "" if importlib.util.find_spec("jax") else "it cannot start: ModuleNotFoundError: No module named 'jax'"
    assert found.refused == missing


@pytest.mark.slow
def test_torch_compile_has_a_row_where_a_compiler_is():
    found = measured("torch.compile", "W3")
    if shutil.which("g++"):
        assert found.refused == ""
        assert found.first > max(found.trained[3:])      # compiled by then
    else:
        assert "No working C++ compiler found" in found.refused
