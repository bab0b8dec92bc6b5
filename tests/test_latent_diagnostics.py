"""Diagnostics of latent inputs: what they say of draws whose answer is known."""

import arviz as az
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest
from numpyro.infer import MCMC, NUTS
from scipy.special import ndtr

import numpyro_splines as ns
from numpyro_splines.posterior.bimodality import THRESHOLD, deepest_valleys
from numpyro_splines.posterior.input_checks import check_inputs


def autoregression(shape, phi, seed):
    """Stationary normal draws with correlation phi from one to the next, shape (chain, draw, n)."""
    x = np.random.default_rng(seed).normal(size=shape)
    for t in range(1, shape[1]):
        x[:, t] = phi * x[:, t - 1] + np.sqrt(1.0 - phi**2) * x[:, t]
    return x


SHAPES = {
    "uniform": ndtr,
    "normal": lambda z: z,
    "exponential": lambda z: -np.log(ndtr(-z)),
    "log_normal": np.exp,
    "power": lambda z: ndtr(z) ** 3,
    "heavy_tails": lambda z: np.sinh(2.0 * z),
}


@pytest.mark.parametrize("phi", [0.0, -0.5, 0.9, 0.99])
@pytest.mark.parametrize("shape", list(SHAPES))
def test_unimodal_draws_rarely_look_bimodal(shape, phi):
    """Stated rate one in 2000, so one alarm expected here; more than 6 have probability 8e-5."""
    draws = SHAPES[shape](autoregression((4, 100, 2000), phi, seed=1))
    assert np.sum(deepest_valleys(draws).statistic > THRESHOLD) <= 6


@pytest.mark.parametrize(
    ("distance", "share", "num_draws", "power"),
    [(4.0, 0.5, 100, 0.8), (4.0, 0.5, 1000, 1.0), (6.0, 0.1, 250, 0.95), (6.0, 0.03, 1000, 0.9)],
)
def test_two_modes_are_found(distance, share, num_draws, power):
    """Two normal modes, `distance` standard deviations apart, in four chains."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(4, num_draws, 300))
    x += distance * (rng.uniform(size=x.shape) < share)
    check = check_inputs(x)
    assert check.bimodal.size >= power * 300
    # The valley lies between the modes, at any rate.
    split = check.split[check.bimodal]
    assert np.all((split > 0.5) & (split < distance - 0.5))
    assert np.isnan(check.split).sum() == 300 - check.bimodal.size


@pytest.mark.parametrize("rate", [0.0, 0.001, 0.01, 0.3])
def test_chains_in_different_modes_are_found_however_rarely_they_switch(rate):
    """Six standard deviations apart, correlated within a mode; the first chain starts below."""
    rng = np.random.default_rng(3)
    start = np.array([0, 1, 0, 1])[:, None, None]
    mode = (start + np.cumsum(rng.uniform(size=(4, 500, 200)) < rate, axis=1)) % 2
    check = check_inputs(autoregression((4, 500, 200), 0.5, seed=4) + 6.0 * mode)
    assert check.bimodal.size >= 199
    assert np.all((check.split > 1.5) & (check.split < 4.5) | np.isnan(check.split))
    # Chains that never switch do not agree; those that often do have mixed.
    if rate == 0.0:
        assert np.all(check.r_hat > 1.7)
    elif rate == 0.3:
        assert np.median(check.r_hat) < 1.01


def test_chains_that_crawl_through_one_mode_are_not_called_bimodal():
    """R-hat says what is wrong; 200 rows."""
    check = check_inputs(autoregression((4, 250, 200), 0.995, seed=5))
    assert np.median(check.r_hat) > 1.2
    assert check.bimodal.size <= 1


def test_share_outside_the_domain():
    x = np.random.default_rng(6).uniform(0.0, 1.0, size=(2, 500, 12))
    x[..., 3] += 0.2
    x[..., 7] -= 0.5
    with pytest.warns(UserWarning, match=r"domain \[0, 1\].* 2 rows: 7 \(\d+%\), 3 \(\d+%\)"):
        check = check_inputs(x, domain=(0.0, 1.0))
    np.testing.assert_array_equal(check.outside, ((x < 0.0) | (x > 1.0)).mean((0, 1)))
    assert not check_inputs(x, domain=(-1.0, 2.0)).outside.any()
    # A few draws outside, as a good plan has them, do not warn.
    basis = ns.BSplineBasis([-0.47, 0.0, 1.2])
    assert 0.0 < check_inputs(x, domain=basis.domain).outside.max() < 0.05


def test_the_warning_names_the_worst_rows_only():
    x = np.full((2, 100, 40), 2.0) + np.random.default_rng(7).uniform(size=(2, 100, 40))
    with pytest.warns(UserWarning, match=r"in 40 rows: 0 .*4 \(100%\), \.\.\.\. There f") as caught:
        check_inputs(x, domain=(0.0, 1.0))
    assert len(caught) == 1
    assert caught[0].filename == __file__


def test_r_hat_and_effective_size_are_those_of_arviz():
    x = autoregression((4, 300, 6), 0.6, seed=8)
    x[0, :, 1] += 1.0
    x[1, :, 2] *= 3.0
    x[..., 3] = np.exp(3.0 * x[..., 3])
    check = check_inputs(x)
    for i in range(6):
        np.testing.assert_allclose(check.r_hat[i], az.rhat(x[..., i]), rtol=2e-3)
        np.testing.assert_allclose(check.effective_size[i], az.ess(x[..., i]), rtol=0.05)


def test_contraction_of_a_measured_input():
    """x ~ Normal(0, 2), measured with errors e: the variance shrinks to 1 / (1/4 + 1/e^2)."""
    errors = np.array([0.1, 1.0, 4.0])
    variance = 1.0 / (0.25 + errors**-2)
    x = np.random.default_rng(9).normal(size=(4, 1000, 3)) * np.sqrt(variance)
    expected = 1.0 - variance / 4.0
    own = check_inputs(x, prior_sd=np.full(3, 2.0)).contraction
    # A sample variance of 4000 normal draws has relative standard error sqrt(2 / 4000): five.
    np.testing.assert_allclose(own, expected, atol=5 * np.sqrt(2 / 4000) * variance.max() / 4.0)
    np.testing.assert_array_equal(own, check_inputs(x, prior_sd=2.0).contraction)


def test_influence_is_the_derivative_in_the_power_of_the_likelihood(x64):
    """Gaussian regression on B-splines, where the posterior mean and its derivative are known."""
    rng = np.random.default_rng(10)
    basis = ns.BSplineBasis(np.linspace(0.0, 1.0, 5))
    x, grid, sigma = np.append(rng.uniform(size=59), 0.95), np.linspace(0.0, 1.0, 51), 0.3
    y = np.sin(6.0 * x) + sigma * rng.normal(size=60)
    y[59] += 2.0  # an outlier near the end
    design, lines = np.asarray(basis(x)), np.asarray(basis(grid))
    covariance = np.linalg.inv(np.eye(7) + design.T @ design / sigma**2)
    mean = covariance @ design.T @ y / sigma**2
    slope = lines @ covariance @ design.T * (y - design @ mean) / sigma**2
    deviation = np.sqrt(np.einsum("gi,ij,gj->g", lines, covariance, lines))
    expected = np.abs(slope / deviation[:, None]).max(axis=0)

    coefficients = rng.multivariate_normal(mean, covariance, (4, 5000))
    terms = -0.5 * ((y - coefficients @ design.T) / sigma) ** 2
    draws = np.broadcast_to(x, terms.shape)
    check = check_inputs(draws, curve=coefficients @ lines.T, log_likelihood=terms)
    # The error of a covariance with a standardized normal is at most sqrt(3) sd(l) / sqrt(draws),
    # where l is linear in it: five of them.
    error = 5 * np.sqrt(3.0) * terms.std((0, 1)) / np.sqrt(20_000)
    assert np.all(np.abs(check.influence - expected) < error)
    assert check.influence.argmax() == 59
    assert check.influence[59] > 3 * np.delete(check.influence, 59).max()
    assert np.isnan(check.r_hat).all()
    assert "Constant: 60 rows" in str(check)


def test_the_summary_is_short_and_names_the_rows():
    x = np.random.default_rng(11).normal(size=(4, 200, 500)).astype(np.float32)
    x[:2, :, 17] += 8.0
    x[..., 30] = 1.0
    with pytest.warns(UserWarning, match="1 row: 17"):
        check = check_inputs(
            x, domain=(-5.0, 5.0), prior_sd=3.0, curve=x[..., :9], log_likelihood=x
        )
    text = str(check)
    assert len(text.splitlines()) == 8
    for part in (
        "500 rows, 4 chains of 200 draws",
        "more than 5% in 1 row: 17 (50%)",
        "Two modes: 1 row: 17 (split at",
        "Constant: 1 row\n",
        "above 1.01 in",
        "in row 17",
        "Contraction of the variance: median 0.89",
        "Influence on the curve",
    ):
        assert part in text
    with pytest.raises(AttributeError):
        check.r_hat = x


def test_one_chain_and_few_draws():
    check = check_inputs(np.random.default_rng(12).normal(size=(1, 10, 3)))
    assert check.r_hat.shape == check.effective_size.shape == (3,)
    assert np.isfinite(check.r_hat).all()
    assert check.bimodal.size == 0
    assert check.contraction is check.outside is check.influence is None


@pytest.mark.slow
def test_a_folded_curve_is_found():
    """y = x^2 cannot tell x from -x: NUTS leaves the chains on different sides."""
    curve = ns.BSplineBasis([-4.0, 4.0], degree=2).curve([16.0, -16.0, 16.0])
    truth = np.array([-2.0, -1.5, -1.0, 0.0, 1.0, 1.5, 2.0])

    def model():
        with numpyro.plate("rows", 7):
            x = numpyro.sample("x", dist.Normal(0.0, 1.5))
            numpyro.sample("y", dist.Normal(curve(x), 0.3), obs=truth**2)

    mcmc = MCMC(
        NUTS(model, max_tree_depth=6),
        num_warmup=200,
        num_samples=200,
        num_chains=2,
        chain_method="vectorized",
        progress_bar=False,
    )
    start = np.stack([truth, -truth])
    mcmc.run(jax.random.key(0), init_params={"x": jnp.asarray(start, jnp.result_type(float))})
    check = check_inputs(mcmc.get_samples(group_by_chain=True)["x"], domain=curve.domain)
    np.testing.assert_array_equal(np.sort(check.bimodal), [0, 1, 2, 4, 5, 6])
    assert np.all(np.abs(check.split[check.bimodal]) < 0.5)
