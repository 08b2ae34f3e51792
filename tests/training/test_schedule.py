"""Learning rates over a run."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.optim import schedule


@given(steps=st.integers(1, 200), share=st.floats(0.01, 0.99))
def test_one_cycle_goes_up_to_the_whole_rate_and_down_to_almost_nothing(steps, share):
    factors = [schedule.one_cycle(share)(step, steps) for step in range(steps)]
    assert all(0 < factor <= 1 for factor in factors)
    peak = factors.index(max(factors))
    assert factors[:peak + 1] == sorted(factors[:peak + 1])
    assert factors[peak:] == sorted(factors[peak:], reverse=True)
    if share * steps >= 2:
        assert factors[0] == pytest.approx(1 / 25)
        assert factors[-1] == pytest.approx(1 / 25 / 1e4)
        assert abs(peak - (share * steps - 1)) <= 1


def test_cosine_begins_at_one_and_comes_near_its_end():
    half = schedule.cosine(end=0.2)
    assert half(0, 10) == 1
    assert half(5, 10) == pytest.approx(0.6)
    assert half(10, 10) == pytest.approx(0.2)


def test_constant():
    assert {schedule.constant()(step, 5) for step in range(5)} == {1.0}


@pytest.mark.parametrize(("options", "words"), [
    ({"pct_start": 0}, "between 0 and 1, got 0"), ({"pct_start": 1}, "between 0 and 1, got 1"),
    ({"div_factor": 0}, "above 0, got 0"), ({"final_div_factor": -1}, r"got 25\.0 and -1")])
def test_settings_out_of_range(options, words):
    with pytest.raises(ValueError, match=words):
        schedule.one_cycle(**options)
