"""The random gates against Philox written out in Python's whole numbers, itself held to a published answer."""
from __future__ import annotations

import math

import numpy as np
import pytest

import chainrule as cr

WORD = 2**64 - 1


def philox(counter, key):
    """One block of Philox 4×64-10: four words of 64 bits (Salmon et al., SC 2011)."""
    c, k = list(counter), list(key)
    for _ in range(10):
        first, second = 0xD2E7470EE14C6C93 * c[0], 0xCA5A826395121157 * c[2]
        c = [second >> 64 ^ c[1] ^ k[0], second & WORD, first >> 64 ^ c[3] ^ k[1], first & WORD]
        k = [k[0] + 0x9E3779B97F4A7C15 & WORD, k[1] + 0xBB67AE8584CAA73B & WORD]
    return c


def words(seed, stream, position, count):
    """The words from a position on. NumPy counts up before it makes a block."""
    blocks = (philox([position + 1 + i, 0, 0, 0], [seed, stream]) for i in range(-(-count // 4)))
    return [word for block in blocks for word in block][:count]


def test_the_published_answer():
    """The first test vector of the authors' own library, Random123: key 0, counter 0."""
    assert philox([0] * 4, [0] * 2) == [0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B]


@pytest.mark.parametrize("key", [(0, 0, 0), (7, 3, 5), (2**63 - 1, 2, 10**12)])
def test_uniform(key):
    expected = [(word >> 11) * 2.0**-53 for word in words(*key, 11)]
    assert cr.philox_uniform(*key, shape=(11,), dtype=np.float64).tolist() == expected
    halves = [half for word in words(*key, 6) for half in (word & 0xFFFFFFFF, word >> 32)]
    found = cr.philox_uniform(*key, shape=(11,), dtype=np.float32)
    assert found.dtype == np.float32
    assert found.tolist() == [(half >> 8) * 2.0**-24 for half in halves][:11]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_normal_is_box_muller(dtype):
    u = cr.philox_uniform(3, 1, 4, shape=(2, 4), dtype=dtype).tolist()
    pairs = [(math.sqrt(-2 * math.log1p(-r)), 2 * math.pi * a) for r, a in zip(*u, strict=True)]
    expected = [r * math.cos(a) for r, a in pairs] + [r * math.sin(a) for r, a in pairs]
    found = cr.philox_normal(3, 1, 4, shape=(7,), dtype=dtype)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected[:7], rtol=20 * np.finfo(dtype).eps, atol=4 * np.finfo(dtype).eps)


def test_bernoulli():
    u = cr.philox_uniform(3, 1, 4, shape=(5, 20))
    np.testing.assert_array_equal(cr.philox_bernoulli(3, 1, 4, 0.3, shape=(5, 20)), u < np.float32(0.3))
    assert cr.philox_bernoulli(3, 1, 4, 0.0, shape=(100,)).sum() == 0
    assert cr.philox_bernoulli(3, 1, 4, 1.0, shape=(100,)).sum() == 100


@pytest.mark.parametrize("gate", ["philox_uniform", "philox_normal"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pure_and_in_one_piece(gate, dtype):
    """The same arguments give the same numbers, whatever was drawn between; a later position reads on."""
    draw = cr.GATES[gate]
    first = draw(5, 0, 0, shape=(3, 4), dtype=dtype)
    draw(5, 1, 9, shape=(2,), dtype=dtype)
    np.testing.assert_array_equal(first, draw(5, 0, 0, shape=(3, 4), dtype=dtype))
    assert draw(5, 0, 0, shape=(), dtype=dtype).shape == ()
    assert draw(5, 0, 0, shape=(0, 3), dtype=dtype).shape == (0, 3)
    if gate == "philox_uniform":
        a_block = 32 // np.dtype(dtype).itemsize
        far = draw(5, 0, 2, shape=(a_block,), dtype=dtype)
        np.testing.assert_array_equal(draw(5, 0, 0, shape=(3 * a_block,), dtype=dtype)[2 * a_block:], far)


def test_moments():
    """Of 200,000 numbers each, within five standard errors; streams and seeds do not resemble each other."""
    n = 200_000
    u, v = (cr.philox_uniform(1, stream, 0, shape=(n,), dtype=np.float64) for stream in (0, 1))
    w = cr.philox_uniform(2, 0, 0, shape=(n,), dtype=np.float64)
    z = cr.philox_normal(1, 2, 0, shape=(n,), dtype=np.float64)
    bound = 5 / math.sqrt(n)
    assert abs(u.mean() - 0.5) < bound * math.sqrt(1 / 12)
    assert abs((u**2).mean() - 1 / 3) < bound * math.sqrt(4 / 45)
    assert abs(z.mean()) < bound
    assert abs((z**2).mean() - 1) < bound * math.sqrt(2)
    assert abs((z**3).mean()) < bound * math.sqrt(15)
    assert abs((z**4).mean() - 3) < bound * math.sqrt(96)
    for a, b in ((u, v), (u, w), (v, w), (u, z), (z[::2], z[1::2])):
        assert abs(np.corrcoef(a[:len(b)], b)[0, 1]) < 5 / math.sqrt(len(b))
    assert 0 <= u.min() < u.max() < 1


def test_results_are_constants():
    x = cr.Tensor(0.3, requires_grad=True)
    assert not cr.philox_bernoulli(0, 0, 0, x, shape=(2,)).requires_grad
