"""Random streams: NumPy's Philox bit for bit, each draw the next stretch of its stream, streams independent."""
from __future__ import annotations

import copy
import math
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule import nn
from chainrule.gates.random import blocks
from chainrule.random import Generator

SEEDS = st.integers(0, 2**63 - 1)
SIZES = st.integers(0, 40)
DTYPES = st.sampled_from([np.float32, np.float64])


def reference(seed: int, stream: int, position: int) -> np.random.Generator:
    """NumPy's own generator at the same place, made by its public constructor."""
    return np.random.Generator(np.random.Philox(key=np.array([seed, stream], np.uint64), counter=[position, 0, 0, 0]))


# ------------------------------------------------------------------ known answers
class TestKnownAnswers:
    @given(SEEDS, st.integers(0, 2**64 - 1), st.integers(0, 2**62), st.integers(0, 100), DTYPES)
    @settings(max_examples=200)
    def test_uniforms_are_numpys(self, seed: int, stream: int, position: int, n: int, dtype: Any) -> None:
        drawn = cr.philox_uniform(seed, stream, position, shape=(n,), dtype=dtype)
        expected = reference(seed, stream, position).random(n, dtype=dtype)
        assert drawn.dtype == expected.dtype
        assert drawn.tobytes() == expected.tobytes()

    def test_written_out(self) -> None:
        """Fixed for ever: a new NumPy or another executor must give these."""
        raw = np.random.Philox(key=np.array([1, 3], np.uint64)).random_raw(4)
        cr.random.seed(1)
        drawn = cr.random.uniform(size=8).numpy()
        halves = np.stack([raw & np.uint64(0xFFFF_FFFF), raw >> np.uint64(32)], axis=1).ravel()
        np.testing.assert_array_equal(drawn, ((halves >> np.uint64(8)).astype(np.float32) * np.float32(2**-24)))
        assert [float(x).hex() for x in drawn[:3]] == [
            "0x1.3cd5240000000p-2", "0x1.45e3160000000p-1", "0x1.b4e47c0000000p-1"]

    def test_float64_uniforms_are_the_top_53_bits(self) -> None:
        raw = np.random.Philox(key=np.array([5, 3], np.uint64)).random_raw(8)
        drawn = Generator(5).uniform(size=8, dtype=np.float64).numpy()
        np.testing.assert_array_equal(drawn, (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("n", [1, 2, 7, 8, 1001])
    def test_normals_are_box_and_mullers_on_them(self, n: int, dtype: Any) -> None:
        half = -(-n // 2)
        u = reference(9, 3, 0).random((2, half), dtype=dtype)
        expected = [f(2 * math.pi * float(v)) * math.sqrt(-2 * math.log1p(-float(w)))
                    for f in (math.cos, math.sin) for w, v in zip(*u, strict=True)]
        drawn = Generator(9).normal(size=n, dtype=dtype).numpy()
        assert drawn.dtype == dtype
        np.testing.assert_allclose(drawn, expected[:n], rtol=0, atol=4e-6 if dtype is np.float32 else 1e-14)

    @pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 1.0])
    def test_bernoulli_compares_them_with_p(self, p: float) -> None:
        drawn = Generator(2).bernoulli(p, size=1000).numpy()
        np.testing.assert_array_equal(drawn, (reference(2, 3, 0).random(1000, dtype=np.float32) < p).astype(np.float32))

    def test_a_permutation_is_an_order(self) -> None:
        for n in (0, 1, 2, 100):
            assert sorted(Generator(3).permutation(n)) == list(range(n))
        drawn = reference(3, 3, 0).random(100)
        assert (np.diff(drawn[Generator(3).permutation(100)]) > 0).all()

    def test_another_process_draws_the_same(self) -> None:
        code = "import chainrule as cr; cr.random.seed(7); print(cr.random.normal(size=5).numpy().tobytes().hex())"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
        cr.random.seed(7)
        assert done.stdout.strip() == cr.random.normal(size=5).numpy().tobytes().hex()



# ------------------------------------------------------------------ positions
class TestPositions:
    @given(st.integers(0, 10_000), DTYPES)
    @settings(max_examples=200)
    def test_blocks_are_as_many_as_the_numbers_use(self, n: int, dtype: Any) -> None:
        """A block has four words of 64 bits; counted here on NumPy's own generator."""
        bits = np.random.Philox(key=np.zeros(2, np.uint64))
        np.random.Generator(bits).random(n, dtype=dtype)
        assert blocks(n, dtype) == int(bits.state["state"]["counter"][0])

    @given(st.lists(st.tuples(st.sampled_from(["uniform", "normal", "bernoulli", "permutation"]), SIZES, DTYPES),
                    max_size=8))
    @settings(max_examples=100)
    def test_every_draw_takes_the_next_stretch_and_no_more(self, draws: list[tuple[str, int, Any]]) -> None:
        stream, used = Generator(11), 0
        for kind, n, dtype in draws:
            if kind == "permutation":
                stream.permutation(n)
                used += -(-n // 4)
            else:
                getattr(stream, kind)(size=n, dtype=dtype)
                numbers = n + n % 2 if kind == "normal" else n
                used += -(-numbers // (8 if dtype is np.float32 else 4))
            assert stream.position == used

    @given(st.integers(0, 6), st.integers(0, 6), DTYPES)
    def test_two_draws_are_one_at_block_boundaries(self, a: int, b: int, dtype: Any) -> None:
        per_block = 8 if dtype is np.float32 else 4
        whole, parts = Generator(4), Generator(4)
        together = whole.uniform(size=(a + b) * per_block, dtype=dtype).numpy()
        apart = [parts.uniform(size=n * per_block, dtype=dtype).numpy() for n in (a, b)]
        np.testing.assert_array_equal(together, np.concatenate(apart))
        assert whole.position == parts.position == a + b

    def test_stretches_never_overlap(self) -> None:
        stream = Generator(1)
        drawn = np.concatenate([stream.uniform(size=n, dtype=np.float64).numpy() for n in (3, 1, 6, 4, 9)])
        assert len(set(drawn.tolist())) == drawn.size

    def test_a_stream_goes_on_from_its_position(self) -> None:
        stream = Generator(6)
        stream.normal(size=10)
        resumed = Generator(stream.seed, stream.stream, stream.position)
        assert (stream.normal(size=10) == resumed.normal(size=10)).all()

    @pytest.mark.parametrize("make", [copy.copy, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))])
    def test_a_copy_goes_on_by_itself(self, make: Any) -> None:
        stream = Generator(6)
        stream.uniform(size=3)
        twin = make(stream)
        first = twin.uniform(size=3)
        assert (first == stream.uniform(size=3)).all()

    def test_repr_says_where_it_stands(self) -> None:
        stream = Generator(6, stream=2)
        stream.uniform(size=9)
        assert repr(stream) == "Generator(seed=6, stream=2, position=2)"


# ------------------------------------------------------------------ streams
class TestStreams:
    @pytest.fixture(autouse=True)
    def _streams(self) -> Iterator[None]:
        cr.random.seed(0)
        yield
        cr.random.seed(0)

    def test_of_one_seed_they_differ(self) -> None:
        streams = (cr.random.init, cr.random.shuffle, cr.random.dropout, cr.random.user)
        assert len({s.stream for s in streams}) == 4
        drawn = [tuple(s.uniform(size=8).tolist()) for s in streams]
        assert len(set(drawn)) == 4

    def test_neighbouring_seeds_and_streams_are_uncorrelated(self) -> None:
        rows = np.stack([Generator(seed, stream).uniform(size=20_000, dtype=np.float64).numpy()
                         for seed in range(3) for stream in range(3)])
        off = np.corrcoef(rows) - np.eye(9)
        assert np.abs(off).max() < 5 / math.sqrt(20_000)           # five standard deviations of an independent pair

    def test_a_draw_moves_no_other_stream(self) -> None:
        names = ("init", "shuffle", "dropout", "user")
        for name in names:
            cr.random.seed(1)
            getattr(cr.random, name).normal(size=100)
            assert [n for n in names if getattr(cr.random, n).position] == [name]

    def test_adding_a_layer_moves_no_other_stream(self) -> None:
        def after(layers: int) -> list[list[float]]:
            cr.random.seed(5)
            for _ in range(layers):
                nn.Linear(3, 3)
            return [s.uniform(size=4).tolist() for s in (cr.random.shuffle, cr.random.dropout, cr.random.user)]

        assert after(1) == after(3)

    def test_the_module_draws_from_the_users_stream(self) -> None:
        cr.random.seed(3)
        own = Generator(3)
        a, b = ([source.uniform(size=2), source.normal(size=2), source.bernoulli(size=2), source.permutation(4)]
                for source in (cr.random, own))
        assert all((x == y).all() for x, y in zip(a, b, strict=True))

    def test_a_seed_begins_all_streams_anew(self) -> None:
        for s in (cr.random.init, cr.random.shuffle, cr.random.dropout, cr.random.user):
            s.uniform(size=100)
        cr.random.seed(9)
        for s in (cr.random.init, cr.random.shuffle, cr.random.dropout, cr.random.user):
            assert (s.seed, s.position) == (9, 0)

    def test_numpys_global_state_is_left_alone(self) -> None:
        before = np.random.get_state(legacy=False)                 # noqa: NPY002
        cr.random.normal(size=100)
        nn.Linear(3, 3)
        after = np.random.get_state(legacy=False)                  # noqa: NPY002
        np.testing.assert_equal(after, before)


# ------------------------------------------------------------------ distributions
class TestDistributions:
    N = 200_000

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_normals_have_the_moments(self, dtype: Any) -> None:
        z = Generator(123).normal(size=self.N, dtype=dtype).numpy().astype(np.float64)
        # The k-th sample moment has the variance (μ₂ₖ - μₖ²)/n; each bound is five standard deviations.
        for k, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
            assert abs((z**k).mean() - moment) < 5 * math.sqrt(variance / self.N), k
        assert abs((z[:-1] * z[1:]).mean()) < 5 / math.sqrt(self.N)
        half = self.N // 2
        assert abs((z[:half] * z[half:]).mean()) < 5 / math.sqrt(half)     # the cosine and the sine of one angle

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_normals_have_the_distribution(self, dtype: Any) -> None:
        """Kolmogorov–Smirnov: the largest gap between the two distribution functions; P(D √n > 1.95) is 0.001."""
        z = np.sort(Generator(321).normal(size=self.N, dtype=dtype).numpy().astype(np.float64))
        cdf = np.array([0.5 * (1 + math.erf(x / math.sqrt(2))) for x in z])
        steps = np.arange(self.N + 1) / self.N
        gap = max((cdf - steps[:-1]).max(), (steps[1:] - cdf).max())
        assert gap * math.sqrt(self.N) < 1.95

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_uniforms_have_the_distribution(self, dtype: Any) -> None:
        u = np.sort(Generator(321).uniform(size=self.N, dtype=dtype).numpy().astype(np.float64))
        steps = np.arange(self.N + 1) / self.N
        gap = max((u - steps[:-1]).max(), (steps[1:] - u).max())
        assert gap * math.sqrt(self.N) < 1.95
        assert u[0] >= 0
        assert u[-1] < 1

    def test_bernoulli_has_the_frequency(self) -> None:
        for p in (0.1, 0.5, 0.9):
            mean = float(Generator(5).bernoulli(p, size=self.N).numpy().mean(dtype=np.float64))
            assert abs(mean - p) < 5 * math.sqrt(p * (1 - p) / self.N)

    def test_permutations_are_equally_likely(self) -> None:
        counts: dict[tuple[int, ...], int] = {}
        stream = Generator(5)
        for _ in range(6000):
            order = tuple(stream.permutation(3).tolist())
            counts[order] = counts.get(order, 0) + 1
        assert len(counts) == 6
        chi2 = sum((c - 1000) ** 2 / 1000 for c in counts.values())
        assert chi2 < 25.7                                         # P(χ²₅ > 25.7) is 0.0001

    @pytest.mark.parametrize(("dtype", "digits"), [(np.float32, 24), (np.float64, 53)])
    def test_the_extreme_uniforms_give_finite_normals(self, dtype: Any, digits: int,
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
        """0, and the largest number below 1 that is ever drawn: the logarithm of 0 must not be taken."""
        from chainrule.gates import random as gates

        class Extreme:
            def at(self, *_: int) -> Extreme:
                return self

            def random(self, shape: tuple[int, ...], dtype: Any) -> Any:
                return np.resize(np.array([0, 1 - 2.0**-digits], dtype), shape)

        monkeypatch.setattr(gates, "_philox", Extreme())
        z = gates.philox_normal(0, 0, 0, shape=(4,), dtype=dtype)
        assert z.dtype == dtype
        assert np.isfinite(z).all()
        assert np.abs(z).max() == pytest.approx(math.sqrt(2 * digits * math.log(2)), rel=1e-5)


# ------------------------------------------------------------------ arguments
class TestArguments:
    @pytest.mark.parametrize("size", [None, 3, (), (2, 3), (0, 2), np.int64(3), [2, 2]])
    @pytest.mark.parametrize("kind", ["uniform", "normal", "bernoulli"])
    def test_sizes(self, size: Any, kind: str) -> None:
        shape = () if size is None else tuple(np.empty(size).shape)
        z = getattr(Generator(1), kind)(size=size)
        assert isinstance(z, cr.Tensor)
        assert z.shape == shape
        assert z.dtype == np.float32
        assert not z.requires_grad

    def test_the_same_numbers_in_any_shape(self) -> None:
        a, b = Generator(1).normal(size=(2, 3)), Generator(1).normal(size=6)
        assert (a.ravel() == b).all()

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("number", [float, int, np.float64, np.float32, np.int64])
    def test_bounds_of_any_kind_keep_the_dtype(self, dtype: Any, number: Any) -> None:
        u = Generator(1).uniform(number(-2), number(3), size=1000, dtype=dtype)
        z = Generator(1).normal(number(10), number(2), size=1000, dtype=dtype)
        assert (u.dtype, z.dtype) == (dtype, dtype)
        close = 40 * float(np.finfo(dtype).eps)
        plain = Generator(1).uniform(size=1000, dtype=dtype), Generator(1).normal(size=1000, dtype=dtype)
        np.testing.assert_allclose(u.numpy(), plain[0].numpy() * 5 - 2, rtol=0, atol=close)
        np.testing.assert_allclose(z.numpy(), plain[1].numpy() * 2 + 10, rtol=0, atol=close)

    def test_draws_are_their_owners(self) -> None:
        a = Generator(1).uniform(size=3)
        before = a.numpy()
        with cr.no_grad():
            a += 1
        assert (Generator(1).uniform(size=3).numpy() == before).all()

    @pytest.mark.parametrize("seed", [-1, 2**63, 1.5, "1", None, np.float64(1), [1]])
    def test_a_seed_is_a_whole_number(self, seed: Any) -> None:
        for call in (cr.random.seed, Generator, Generator(0).reset):
            with pytest.raises(ValueError, match=r"a seed is a whole number from 0 to 2\^63 - 1, got"):
                call(seed)

    def test_the_ends_of_the_range_are_seeds(self) -> None:
        seeds: list[Any] = [0, 2**63 - 1, np.int32(5), np.uint64(5)]
        for seed in seeds:
            assert Generator(seed).uniform(size=2).shape == (2,)

    def test_streams_and_positions_are_whole_numbers(self) -> None:
        wrong: list[dict[str, Any]] = [{"stream": -1}, {"stream": 2**64}, {"position": -1}, {"position": 0.5}]
        for options in wrong:
            with pytest.raises(ValueError, match=r"a (stream|position) is a whole number"):
                Generator(0, **options)

    @pytest.mark.parametrize("p", [-0.1, 1.1, math.nan])
    def test_a_probability_lies_between_0_and_1(self, p: float) -> None:
        with pytest.raises(ValueError, match="a probability lies between 0 and 1"):
            Generator(0).bernoulli(p)

    @pytest.mark.parametrize("dtype", [np.int64, np.float16, np.complex128, bool])
    @pytest.mark.parametrize("kind", ["uniform", "normal", "bernoulli"])
    def test_other_dtypes_are_refused(self, dtype: Any, kind: str) -> None:
        with pytest.raises(TypeError, match="float32 or float64"):
            getattr(Generator(0), kind)(size=2, dtype=dtype)

    def test_a_refused_draw_takes_nothing(self) -> None:
        stream = Generator(0)
        with pytest.raises(ValueError, match="probability"):
            stream.bernoulli(2.0, size=100)
        with pytest.raises(TypeError):
            stream.normal(size=100, dtype=np.int64)
        assert stream.position == 0


# ------------------------------------------------------------------ threads
class TestThreads:
    @staticmethod
    def together(*jobs: Any) -> None:
        barrier, errors = threading.Barrier(len(jobs)), []

        def run(job: Any) -> None:
            try:
                barrier.wait()
                job()
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors, errors

    def test_streams_of_their_own_do_not_disturb_each_other(self) -> None:
        """One bit generator for all threads would be set to another position in mid-draw."""
        def job(seed: int) -> Any:
            def draw() -> None:
                stream = Generator(seed)
                for i in range(200):
                    drawn = stream.uniform(size=400).numpy()
                    assert drawn.tobytes() == reference(seed, 3, 50 * i).random(400, dtype=np.float32).tobytes()
            return draw

        self.together(*[job(seed) for seed in range(4)])

    def test_a_shared_stream_gives_no_stretch_twice(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def slowly(numbers: int, dtype: Any) -> int:
            time.sleep(0.001)                          # between reading the position and writing it
            return blocks(numbers, dtype)

        monkeypatch.setattr("chainrule.random.blocks", slowly)
        stream, seen = Generator(1), []

        def draw() -> None:
            for _ in range(20):
                seen.append(stream.uniform(size=4, dtype=np.float64).tolist())

        self.together(draw, draw, draw, draw)
        assert stream.position == 80
        assert len({tuple(row) for row in seen}) == 80
