"""Tests of shop_gates.py: python -m pytest test_shop_gates.py"""
import pytest
from shop_gates import DiscountLayer, DivLayer, checkout

BASKET = {"dozen": 1200, "apples": 2, "orange": 150, "oranges": 3, "rate": 0.1, "tax": 1.1}


def about(value):
    return pytest.approx(value, rel=1e-12, abs=1e-12)


def nudged(f, numbers, i, h=1e-4):
    """Return the slope of f by one of its numbers, by central differences."""
    up, down = ([x + sign * h * (k == i) for k, x in enumerate(numbers)] for sign in (1, -1))
    return (f(*up) - f(*down)) / (2 * h)


def test_div_forward():
    assert DivLayer().forward(1200, 12) == 100
    assert DivLayer().forward(-3.0, 8.0) == -0.375


@pytest.mark.parametrize(("x", "y", "dout"), [(1200, 12, 1), (1200, 12, 2.2), (-3.0, 0.5, -7.0)])
def test_div_backward(x, y, dout):
    layer = DivLayer()
    layer.forward(x, y)
    dx, dy = layer.backward(dout)
    assert dx == pytest.approx(dout * nudged(lambda x, y: x / y, (x, y), 0), rel=1e-6)
    assert dy == pytest.approx(dout * nudged(lambda x, y: x / y, (x, y), 1), rel=1e-6)


@pytest.mark.parametrize(("price", "left"), [(650, 585), (500, 450), (499, 499), (0, 0)])
def test_discount_forward(price, left):
    assert DiscountLayer(500).forward(price, 0.1) == about(left)


@pytest.mark.parametrize(("price", "dprice", "drate"), [(650, 0.9, -650), (500, 0.9, -500), (200, 1, 0)])
def test_discount_backward(price, dprice, drate):
    layer = DiscountLayer(500)
    layer.forward(price, 0.1)
    assert layer.backward(1.1) == (about(1.1 * dprice), about(1.1 * drate))


def test_each_layer_has_a_memory_of_its_own():
    large, small = DiscountLayer(500), DiscountLayer(500)
    large.forward(1000, 0.25)
    small.forward(10, 0.5)
    assert large.backward(1) == (about(0.75), about(-1000))
    assert small.backward(1) == (about(1), about(0))


def test_checkout_with_the_discount():
    total, gradients = checkout(**BASKET)
    assert total == about(643.5)                           # 650, less a tenth, and the tax
    assert gradients == {"dozen": about(0.165), "apples": about(99), "orange": about(2.97), "oranges": about(148.5),
                         "rate": about(-715), "tax": about(585)}


def test_checkout_below_the_threshold():
    total, gradients = checkout(**BASKET | {"oranges": 0})
    assert total == about(220)
    assert gradients["dozen"] == about(2.2 / 12)
    assert gradients["rate"] == about(0)
    assert gradients["oranges"] == about(165)


def test_checkout_against_nudges():
    for basket in (BASKET, BASKET | {"oranges": 1}):
        _, gradients = checkout(**basket)
        for i, name in enumerate(basket):
            slope = nudged(lambda *numbers: checkout(*numbers)[0], list(basket.values()), i)
            assert gradients[name] == pytest.approx(slope, rel=1e-6, abs=1e-6), name
