"""Steps that hypothesis writes, compiled and run four times with new data, do what they do eagerly."""
from __future__ import annotations

import os
import re
from itertools import zip_longest

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from tests.compiler.distance import far, numbers_in
from tests.compiler.random_programs import CLEARED, World, drafts

import chainrule as cr
from chainrule.compiler import RecordingError
from chainrule.compiler.numpy_executor import calls
from chainrule.compiler.planning import blocks, columns, together

CALLS = 4
EXAMPLES = int(os.environ.get("CHAINRULE_TEST_PROGRAMS", "100"))
#: What a program cannot hold, and a recording says: two arrays that share their memory, one of which is written.
REFUSED = "into a view of an array|view of an array that was written|another array looks at"
TOLERANCE = {np.float64: 1e-9, np.float32: 1e-5}
#: How a program is laid out depends on sizes, which are small here: other thresholds stand for large ones.
LAYOUTS = {"as they are": {}, "by columns": {columns: {"LONG": 2}},
           "in blocks": {blocks: {"BLOCK": 2}, calls: {"BLOCK": 2}, together: {"LIMIT": 0}},
           "in both": {blocks: {"BLOCK": 3}, calls: {"BLOCK": 3}, together: {"LIMIT": 0}, columns: {"LONG": 2}}}


def lived(draft, dtype, seed, wrap=None, shake=0.0):
    """What a step returns and leaves in each of its calls; or, last, the error that it raised."""
    world = World(draft, dtype, seed, shake)
    step, found = world.names["step"], []
    if wrap is not None:
        step = wrap(step)
    for _ in range(CALLS):
        arguments = world.arguments()
        try:
            results = step(*arguments)
        except (RuntimeError, TypeError, ValueError) as error:
            return [*found, error]
        found.append(numbers_in(results) | world.state())
        for x in arguments:
            x[...] = 0                                 # what is his own anybody may write into
        if wrap is not None:
            for x in results:
                if isinstance(x, cr.Tensor):
                    assert not x.requires_grad
                    with cr.no_grad():
                        x.assign(np.zeros(x.shape))
    if wrap is not None:
        count = step.recordings
        assert count <= (1 if draft.lines[0].strip() == CLEARED else 3), f"{count} programs"
    return found


def apart(ours, theirs):
    """How far everything in two lives is apart, by call and name."""
    found = {}
    for t, (a, b) in enumerate(zip_longest(ours, theirs, fillvalue={})):
        if isinstance(a, Exception) or isinstance(b, Exception):
            found[t, "error"] = 0.0 if isinstance(a, type(b)) else np.inf
        else:
            found |= {(t, name): far(a.get(name), b.get(name)) for name in a | b}
    return found


@pytest.fixture(params=LAYOUTS, scope="module")
def layout(request):
    """The thresholds by which memory is laid out."""
    with pytest.MonkeyPatch.context() as patch:
        for module, values in LAYOUTS[request.param].items():
            for name, value in values.items():
                patch.setattr(module, name, value)
        yield


@pytest.mark.usefixtures("layout")
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
@settings(max_examples=EXAMPLES, derandomize=EXAMPLES <= 500, print_blob=False, report_multiple_bugs=False,
          phases=[Phase.generate, Phase.shrink], suppress_health_check=list(HealthCheck))
@given(draft=drafts, seed=st.integers(0, 99))
def test_a_random_program_does_what_the_step_does(dtype, draft, seed):
    note(repr(draft))
    eager = lived(draft, dtype, seed)
    compiled = lived(draft, dtype, seed, lambda step: cr.compile(step, keep_grads=True))
    if isinstance(compiled[-1], RecordingError) and re.search(REFUSED, str(compiled[-1])):
        return
    if re.search("read-only|encountered in", str(eager[-1])):      # of a broadcast array, which is none in a program;
        return                                         # a warning, which a program gives none of
    wrong = {place: gap for place, gap in apart(compiled, eager).items() if not gap <= TOLERANCE[dtype]}
    if wrong and np.isfinite(list(wrong.values())).all():
        # Where one rounding of the data moves a value by more (a kink, a difference of equals), that is what counts.
        eps = float(np.finfo(np.float32 if "np.float32" in draft.text else dtype).eps)     # of the coarsest rounding
        for i in range(4):
            moved = apart(lived(draft, dtype, seed, shake=eps * (1 + i)), eager)
            wrong = {place: gap for place, gap in wrong.items() if gap > 30 * moved.get(place, np.inf)}
    for (t, name), gap in wrong.items():
        a, b = ([*life, None][t] for life in (compiled, eager))
        a, b = (life.get(name) if isinstance(life, dict) else life for life in (a, b))
        raise AssertionError(f"call {t}, {name} is off by {gap:.1g}: compiled\n{a!r}\neager\n{b!r}")
