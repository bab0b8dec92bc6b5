"""Rows in batches: the same posteriors and fits as of the same rows in memory."""

import os
import signal
import subprocess
import sys
from fractions import Fraction

import jax
import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd
import pytest
from numpyro.infer import MCMC, NUTS

import numpyro_splines as ns
from numpyro_splines import regression as reg
from numpyro_splines.regression.newton_likelihood import likelihood_of
from numpyro_splines.regression.reml import Criterion
from numpyro_splines.regression.theta import Theta

N = 900
RNG = np.random.default_rng(3)
FRAME = pd.DataFrame(
    {
        "age": RNG.uniform(20.0, 70.0, N),
        "east": RNG.normal(size=N),
        "north": RNG.normal(size=N),
        "school": RNG.choice(["a", "b", "c"], N),
        "sex": pd.Categorical(RNG.choice(["f", "m"], N)),
        "dose": RNG.normal(size=N),
        "shift": RNG.normal(size=N),
        "weight": RNG.uniform(0.5, 2.0, N),
    }
)
SIGNAL = np.sin(FRAME["age"] / 8.0) + 0.3 * FRAME["dose"] + FRAME["shift"]
FRAME["y"] = 1e4 + SIGNAL + 0.3 * RNG.normal(size=N)
FRAME["count"] = RNG.poisson(FRAME["weight"] * np.exp(SIGNAL / 2.0))
FRAME["size"] = RNG.gamma(3.0, np.exp(SIGNAL / 2.0) / 3.0)

TERMS = ("age", ("east", "north"), "school")
OPTIONS = {
    "intercept": dist.Normal(0.0, 1e5),
    "linear": {"dose": dist.ImproperUniform(dist.constraints.real, (), ()), "sex": dist.Normal()},
    "by": {"school": "dose"},
    "offset": "shift",
}
WHOLE = ns.AdditivePredictor.from_frame(FRAME, *TERMS, **OPTIONS)

# Of few terms, for what visits the batches many times.
FEW = {"terms": ("age",), "options": {"intercept": dist.Normal(0.0, 1e5), "offset": "shift"}}
FEW_WHOLE = ns.AdditivePredictor.from_frame(FRAME, "age", **FEW["options"])

# In which form batches come; sizes differ, and one is empty.
CUTS = [slice(0, 100), slice(100, 100), slice(100, 107), slice(107, N)]
BATCHES = {
    "frames": lambda: [FRAME.iloc[own] for own in CUTS],
    "arrays": lambda: [{name: FRAME[name].to_numpy()[own] for name in FRAME} for own in CUTS],
    "generator": lambda: (FRAME.iloc[own] for own in CUTS),
    "function": lambda: lambda: (FRAME.iloc[own] for own in CUTS),
    "converted": lambda: [Converted(own) for own in CUTS],
}
FAMILIES = {
    "gaussian": ("y", reg.Gaussian(), None),
    "weighted": ("y", reg.Gaussian(FRAME["weight"]), lambda b: reg.Gaussian(b["weight"])),
    "poisson": ("count", reg.Poisson(FRAME["weight"]), lambda b: reg.Poisson(b["weight"])),
    "gamma": ("size", reg.Gamma(), None),
}


class Converted:
    """A table of another library."""

    def __init__(self, own):
        self.own = own

    def to_pandas(self):
        return FRAME.iloc[self.own]


def stream(batches="frames", response="y", sample=FRAME, terms=TERMS, options=OPTIONS, **others):
    made = BATCHES[batches]() if isinstance(batches, str) else batches
    return ns.AdditivePredictor.from_batches(
        made, *terms, **options, response=response, sample=sample, progress_bar=False, **others
    )


@pytest.mark.parametrize("batches", list(BATCHES))
def test_the_sums_are_those_of_all_rows(batches):
    eta, y = stream(batches)
    assert eta.num_observations == N
    np.testing.assert_allclose(eta.rows.gram, WHOLE.gram(np.ones(N)), rtol=1e-12, atol=1e-9)
    residual = FRAME["y"] - WHOLE.offset - WHOLE.design() @ (WHOLE.local_matrix @ y.sums.about)
    np.testing.assert_allclose(y.sums.square, residual @ residual, rtol=1e-12)


@pytest.mark.parametrize("weights", ["gaussian", "weighted"])
def test_the_posterior_is_that_of_all_rows(weights):
    _, family, made = FAMILIES[weights]
    eta, y = stream(family=made)
    pairs = (
        (reg.IntegratedGaussian(eta), y),
        (reg.IntegratedGaussian(WHOLE, family.weights), FRAME["y"]),
    )
    with jax.enable_x64(True):
        scales = np.full(len(eta.scale_sites), 0.7)
        one, other = (density(own, scales, v) for own, v in pairs)
        # The surface has directions that hardly occur, which sums of products know less well.
        np.testing.assert_allclose(one, other, atol=1e-5)
        draws = dict.fromkeys(eta.scale_sites, np.full(2, 0.7))
        draws |= {site: np.zeros((2, num)) for site, num in anisotropies(eta).items()}
        key, sigma = jax.random.key(0), np.full(2, 0.4)
        one, other = (own.draw(key, draws, v, sigma) for own, v in pairs)
    for name, value in other.items():
        np.testing.assert_allclose(one[name], value, atol=1e-6 * (1.0 + np.abs(value).max()))


def density(regression, scales, y):
    with numpyro.handlers.seed(rng_seed=0):
        return regression.distribution(0.4, scales).log_prob(y)


def anisotropies(eta):
    return {e.site(name): num for e in eta.effects for name, _, num in e.smooth.anisotropies}


@pytest.mark.parametrize("name", list(FAMILIES))
def test_the_criterion_is_that_of_all_rows(name):
    """Value and gradient of what a fit maximizes, at scales that are far from the best ones."""
    response, family, made = FAMILIES[name]
    _, y = stream(response=response, family=family if made is None else made)
    values = family.check(FRAME[response], N)
    criteria = [
        Criterion(likelihood, Theta(WHOLE))
        for likelihood in (y.likelihood(None), likelihood_of(WHOLE, family, values))
    ]
    size = criteria[0].theta.size + criteria[0].likelihood.start.size
    for point in np.random.default_rng(1).normal(-1.0, 0.5, (3, size)):
        (one, slope), (other, expected) = (criterion(point) for criterion in criteria)
        np.testing.assert_allclose(one, other, rtol=1e-10)
        np.testing.assert_allclose(slope, expected, rtol=1e-7, atol=1e-7 * abs(expected).max())


@pytest.mark.parametrize("name", ["weighted", "poisson"])
def test_the_fit_is_that_of_all_rows(name):
    response, family, made = FAMILIES[name]
    eta, y = stream(response=response, family=made, **FEW)
    streamed = reg.penalized_fit(eta, y)
    whole = reg.penalized_fit(FEW_WHOLE, FRAME[response], family)
    assert streamed.values.keys() == whole.values.keys()
    for site, value in whole.values.items():
        np.testing.assert_allclose(streamed.values[site], value, rtol=1e-6, atol=1e-8, err_msg=site)
    np.testing.assert_allclose(streamed.log_marginal, whole.log_marginal, rtol=1e-10)
    draws = streamed.draw(jax.random.key(1), (1, 3))
    assert eta.at(FRAME.iloc[:5]).linear_predictor(draws).shape == (1, 3, 5)
    assert type(streamed.adapted(eta).rows) is type(eta.rows)
    assert streamed.initial_values().keys() == whole.initial_values().keys()


def test_sums_over_many_batches_keep_their_digits():
    """Ten thousand batches of one row, against sums of fractions; plain ones lose 1e-13."""
    from numpyro_splines.regression.sums import RowSums

    class Column:
        def __init__(self, x):
            self.x = x

        def gram(self, weights):
            return np.array([[weights @ self.x**2]])

        def values(self, c):
            return self.x * c[0]

        def transposed(self, v):
            return np.array([self.x @ v])

    sums, exact = RowSums(np.zeros(1)), Fraction(0)
    for k in range(10_000):
        x = np.array([1000.1 + k % 7])
        sums.add(Column(x), x, None)
        exact += Fraction(float(x[0] ** 2))
    assert abs(Fraction(float(sums.total().gram[0, 0])) / exact - 1) < 2e-16


def test_a_model_is_sampled():
    """NUTS on sums: as the text of the model has it, and with y as an argument that is traced."""
    eta, y = stream(**FEW)
    regression = reg.IntegratedGaussian(eta)

    def model(y):
        sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
        numpyro.sample("y", regression.distribution(sigma), obs=y)

    for traced in (False, True):
        mcmc = MCMC(
            NUTS(model), num_warmup=100, num_samples=50, jit_model_args=traced, progress_bar=False
        )
        mcmc.run(jax.random.key(0), y)
        draws = mcmc.get_samples()
        # sd of what the term leaves out: 0.3 dose and noise; its posterior sd is 0.01.
        assert abs(draws["sigma"].mean() - np.sqrt(0.18)) < 0.04
        assert regression.draw(jax.random.key(1), draws, y, draws["sigma"])["age.modes"].ndim == 2


KILLED = """
import os, signal, numpy as np, numpyro.distributions as dist, numpyro_splines as ns
from numpyro_splines.regression import streams
streams._SAVED_EVERY = -1.0
start = int(os.environ["START"])

def batches():
    for k in range(6):
        if k == 4 and start == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        rng = np.random.default_rng(k)
        x = rng.uniform(size=50)
        print("batch", k, flush=True)
        yield {"x": x, "y": np.sin(6.0 * x) + rng.normal(size=50)}

eta, y = ns.AdditivePredictor.from_batches(
    batches, "x", response="y", intercept=dist.Normal(), file="sums.npz", progress_bar=False
)
print(repr(float(y.sums.square)), eta.num_observations)
"""


def run(folder, start):
    return subprocess.run(
        [sys.executable, "-c", KILLED], cwd=folder, capture_output=True, text=True, check=False,
        env=os.environ | {"START": str(start)},
    )  # fmt: skip


def test_a_killed_process_goes_on_where_it_was(tmp_path):
    """Killed in the fifth batch, run again, compared with one that was not killed."""
    first = run(tmp_path, 0)
    assert first.returncode == -signal.SIGKILL
    assert [path.name for path in tmp_path.iterdir()] == ["sums.npz"]
    again = run(tmp_path, 1)
    assert again.returncode == 0, again.stderr
    (tmp_path / "other").mkdir()
    whole = run(tmp_path / "other", 1)
    assert again.stdout.splitlines()[-1] == whole.stdout.splitlines()[-1]
    assert whole.stdout.splitlines()[-1].endswith("300")


def write(path, content):
    path.write_bytes(content)
    return path


def test_a_file_of_sums(tmp_path):
    """A complete one is not read again; others of other data and damaged ones are refused."""
    path = tmp_path / "sums.npz"
    _, y = stream(file=path)
    content = path.read_bytes()
    visited = []

    def batches():
        for own in CUTS:
            visited.append(own)
            yield FRAME.iloc[own]

    _, again = stream(batches, file=path)
    assert len(visited) == 1
    assert again.sums.square == y.sums.square
    with pytest.raises(ValueError, match=r"`file` must be of the same terms and batches"):
        stream([FRAME.iloc[5:]], file=path)
    damage = RNG.integers(100, len(content) - 100, 8)
    for place in damage:
        flipped = bytearray(content)
        flipped[place] ^= 0x10
        with pytest.raises(ValueError, match=r"`file` must be (one|of the same)"):
            stream(file=write(path, bytes(flipped)))
    for broken in (content[: len(content) // 2], b"", b"text"):
        with pytest.raises(ValueError, match=r"`file` must be one that from_batches has written"):
            stream(file=write(path, broken))


def test_far_rows_are_said():
    with pytest.warns(UserWarning, match=r"beyond the knots of effects.*age 6\d\.\d%"):
        stream(sample=FRAME[FRAME["age"] < 38.0])


BAD = {
    "one frame": (
        lambda: stream(FRAME),
        TypeError,
        r"`batches` must be an iterable of data frames",
    ),
    "no iterable": (lambda: stream(3), TypeError, r"`batches` must be an iterable of data frames"),
    "no rows": (lambda: stream([FRAME.iloc[:0]]), ValueError, r"`batches` must hold rows"),
    "one pass": (
        lambda: stream("generator", "count", family=reg.Poisson()),
        TypeError,
        r"`batches` must be a list, or a function .* Poisson",
    ),
    "gap": (
        lambda: stream([FRAME, FRAME.assign(age=np.nan)]),
        ValueError,
        r"In batch 1: `frame` must not have missing values",
    ),
    "label": (
        lambda: stream([FRAME, FRAME.assign(school="d")]),
        ValueError,
        r"In batch 1: `school of school` must hold levels that are known.*'d'",
    ),
    "response": (
        lambda: stream([FRAME, FRAME.assign(count=-1)], "count", family=reg.Poisson()),
        ValueError,
        r"In batch 1: `y` must hold",
    ),
    "column": (lambda: stream(response="z"), ValueError, r"`frame` must have the columns \['z'\]"),
    "family": (
        lambda: reg.penalized_fit(*stream(), reg.Poisson()),
        TypeError,
        r"`family` must be left out",
    ),
    "weights": (
        lambda: reg.IntegratedGaussian(stream()[0], FRAME["weight"]),
        TypeError,
        r"`weights` must be left out",
    ),
    "y": (
        lambda: reg.penalized_fit(stream()[0], FRAME["y"]),
        TypeError,
        r"`y` must be what from_batches returned",
    ),
    "rows": (
        lambda: stream()[0].design(),
        TypeError,
        r"`predictor` must have its rows in memory.*predictor.at\(frame\)",
    ),
}


@pytest.mark.parametrize("name", list(BAD))
def test_bad_input(name):
    make, kind, message = BAD[name]
    with pytest.raises(kind, match=message):
        make()
