"""What `python -m numpyro_splines` runs: models with latent inputs, their tables and pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import arviz as az
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pandas as pd
from jax.scipy.stats import norm
from numpyro.distributions import constraints
from numpyro.infer import MCMC, NUTS, init_to_median
from numpyro.infer.reparam import LocScaleReparam

from numpyro_splines import knots, plotting
from numpyro_splines.bases import BSplineBasis
from numpyro_splines.datasets import load_geyser
from numpyro_splines.effects import SplineEffect
from numpyro_splines.priors import SmoothnessPrior

# What the words can mean, in minutes: between the clusters of the timed eruptions (0.83 to 5.45)
# hardly any lasted 2.5 to 3.5 minutes, so the borders of "medium" matter little.
CLASSES = {"short": (0.5, 2.5), "medium": (2.5, 3.5), "long": (3.5, 6.0)}


class Problem(NamedTuple):
    """A model with a latent input, and how to report on it.

    Attributes:
        effect: the smooth.
        model: the NumPyro model, without arguments.
        known: inputs known exactly and their responses.
        latent_response: responses of the rows whose input is latent, in the order of site "x".
        slope_at: inputs where the slope is reported (site "slope").
        parameters: sites for the summary table.
        labels: of the input, the response and the slope, with units.
        lead: what the run is about, one sentence.
    """

    effect: SplineEffect
    model: Callable[[], None]
    known: tuple[np.ndarray, np.ndarray]
    latent_response: np.ndarray
    slope_at: np.ndarray
    parameters: list[str]
    labels: tuple[str, str, str]
    lead: str


class TruncatedMixture(dist.Distribution):
    """A mixture of normals restricted to an interval, p(x) = sum_k w_k N(x; m_k, s_k) / mass.

    Args:
        weights: w_k, summing to one, shape (k,).
        means: m_k, shape (k,).
        scales: s_k, shape (k,).
        low: left end of the interval; any shape, one per row.
        high: right end, broadcast against `low`.
    """

    reparametrized_params = ["weights", "means", "scales", "low", "high"]  # noqa: RUF012

    def __init__(self, weights: Any, means: Any, scales: Any, low: Any, high: Any):
        self.weights, self.means, self.scales = weights, means, scales
        self.low, self.high = jnp.broadcast_arrays(low, high)
        super().__init__(batch_shape=self.low.shape)

    @constraints.dependent_property(is_discrete=False, event_dim=0)  # pyright: ignore
    def support(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The interval."""
        return constraints.interval(self.low, self.high)

    def masses(self) -> jax.Array:
        """w_k times the probability of the interval under component k, shape (*batch, k)."""
        low = (self.low[..., None] - self.means) / self.scales
        high = (self.high[..., None] - self.means) / self.scales
        # In the upper tail 1 - 1 would be left of the difference: mirror it.
        mirror = low > 0
        low, high = jnp.where(mirror, -high, low), jnp.where(mirror, -low, high)
        return self.weights * (norm.cdf(high) - norm.cdf(low))

    def log_mass(self) -> jax.Array:
        """Logarithm of the probability of the interval, shape (*batch,)."""
        # A floor that no plausible population reaches keeps wild starting values finite.
        return jnp.log(jnp.maximum(self.masses().sum(-1), 1e-30))

    def log_prob(self, value: Any, intermediates: Any = None) -> jax.Array:  # pyright: ignore
        """Log density inside the interval."""
        del intermediates
        density = norm.logpdf(jnp.asarray(value)[..., None], self.means, self.scales)
        joint = jax.nn.logsumexp(density + jnp.log(self.weights), axis=-1)
        return joint - self.log_mass()

    def sample(self, key: jax.Array, sample_shape: tuple[int, ...] = ()) -> jax.Array:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Component by its mass in the interval, then the truncated normal."""
        key_component, key_value = jax.random.split(key)
        shape = sample_shape + self.batch_shape
        component = jax.random.categorical(key_component, jnp.log(self.masses()), shape=shape)
        mean, scale = self.means[component], self.scales[component]
        low, high = (self.low - mean) / scale, (self.high - mean) / scale
        return mean + scale * jax.random.truncated_normal(key_value, low, high, shape)


def geyser_problem() -> Problem:
    """Waiting time to the next eruption given the duration of this one, night durations latent."""
    geyser = load_geyser().dropna()
    timed = (geyser["recorded"] == "timed").to_numpy()
    duration = geyser["duration"].to_numpy()[timed]
    response = geyser["next_waiting"].to_numpy()
    night = geyser["recorded"].to_numpy()[~timed]
    word = np.array([list(CLASSES).index(w) for w in night])
    low, high = np.array(list(CLASSES.values())).T
    effect = SplineEffect(
        "f",
        BSplineBasis(knots.uniform(low[0], high[-1], 12)),
        SmoothnessPrior(order=2, scale=dist.HalfNormal(10.0), linear=20.0),
        measure=duration,
    )
    slope_at = np.array([2.0, 3.0, 4.0])

    def model() -> None:
        means = numpyro.sample("means", dist.Normal(np.array([2.0, 4.3]), 0.3).to_event(1))
        scales = numpyro.sample("scales", dist.LogNormal(np.log([0.3, 0.4]), 0.4).to_event(1))
        long = numpyro.sample("long", dist.Beta(2.0, 2.0))
        weights = jnp.stack([1.0 - long, long])
        ends = np.full(duration.shape, low[0]), np.full(duration.shape, high[-1])
        population = TruncatedMixture(weights, means, scales, *ends)
        classes = TruncatedMixture(weights, means, scales, low, high)
        numpyro.sample("durations", population, obs=duration)
        numpyro.sample("words", dist.CategoricalLogits(classes.log_mass()), obs=word)
        night_rows = TruncatedMixture(weights, means, scales, low[word], high[word])
        x = numpyro.sample("x", night_rows)
        level = numpyro.sample("level", dist.Normal(70.0, 20.0))
        sigma = numpyro.sample("sigma", dist.HalfNormal(10.0))
        curve = effect.sample()
        numpyro.deterministic("slope", curve.derivative()(slope_at))
        numpyro.sample("y_timed", dist.Normal(level + curve(duration), sigma), obs=response[timed])
        numpyro.sample("y_night", dist.Normal(level + curve(x), sigma), obs=response[~timed])

    return Problem(
        effect,
        model,
        (duration, response[timed]),
        response[~timed],
        slope_at,
        ["level", "sigma", "f.scale", "slope", "means", "scales", "long"],
        ("duration of the eruption (min)", "waiting to the next eruption (min)", "slope (min/min)"),
        f"Old Faithful: the waiting time to the next eruption given the duration of this one,\n"
        f"{len(response)} eruptions, {len(night)} of whose durations were noted only as short, "
        "medium or long.",
    )


def measurement_error_problem(
    response: np.ndarray, observed: np.ndarray, input_sd: np.ndarray, names: tuple[str, str]
) -> Problem:
    """A smooth of an input that was measured with Gaussian error of known standard deviation.

    Args:
        response: shape (n,).
        observed: the input as measured, shape (n,).
        input_sd: standard deviation of its error, shape (n,), in the units of the input.
        names: of the input and of the response.
    """
    center, spread, noise = observed.mean(), observed.std(), response.std()
    # Four error standard deviations beyond the data cover the plausible inputs
    # (but not arbitrarily far where the error is larger than the spread of the data).
    ends = (observed - 4 * input_sd).min(), (observed + 4 * input_sd).max()
    lower, upper = np.clip(ends, center - 8 * spread, center + 8 * spread)
    effect = SplineEffect(
        "f",
        BSplineBasis(knots.uniform(lower, upper, 15)),
        SmoothnessPrior(order=2, scale=dist.HalfNormal(noise), linear=2.0 * noise),
        measure=observed,
    )
    slope_at = np.quantile(observed, [0.25, 0.5, 0.75])

    def model() -> None:
        mean = numpyro.sample("mean", dist.Normal(center, spread))
        sd = numpyro.sample("sd", dist.HalfNormal(spread))
        # The same joint density as x ~ Normal(mean, sd), observed ~ Normal(x, input_sd), the other
        # way round: each input starts at, and is scaled by, what its measurement says about it.
        total = sd**2 + input_sd**2
        numpyro.sample("observed", dist.Normal(mean, jnp.sqrt(total)), obs=observed)
        expected = (observed * sd**2 + mean * input_sd**2) / total
        with numpyro.handlers.reparam(config={"x": LocScaleReparam(0.0)}):
            x = numpyro.sample("x", dist.Normal(expected, sd * input_sd / jnp.sqrt(total)))
        level = numpyro.sample("level", dist.Normal(response.mean(), 2.0 * noise))
        sigma = numpyro.sample("sigma", dist.HalfNormal(noise))
        curve = effect.sample()
        numpyro.deterministic("slope", curve.derivative()(slope_at))
        numpyro.sample("y", dist.Normal(level + curve(x), sigma), obs=response)

    return Problem(
        effect,
        model,
        (np.empty(0), np.empty(0)),
        response,
        slope_at,
        ["level", "sigma", "f.scale", "slope", "mean", "sd"],
        (names[0], names[1], f"slope ({names[1]} per {names[0]})"),
        f"{names[1]} as a smooth function of {names[0]}, {len(response)} rows whose input was "
        "measured with error.",
    )


def fit(problem: Problem, *, draws: int, warmup: int, chains: int, seed: int) -> MCMC:
    """Run NUTS, all chains side by side, with a progress bar.

    Args:
        problem: what to fit.
        draws: kept per chain.
        warmup: iterations before them.
        chains: how many.
        seed: of the random numbers.
    """
    mcmc = MCMC(
        NUTS(problem.model, init_strategy=init_to_median(), target_accept_prob=0.9),
        num_warmup=warmup,
        num_samples=draws,
        num_chains=chains,
        chain_method="vectorized",
    )
    mcmc.run(jax.random.key(seed), extra_fields=("diverging", "num_steps"))
    return mcmc


def save(problem: Problem, mcmc: MCMC, out: Path) -> tuple[pd.DataFrame, float]:
    """Write summary.csv, draws.nc and curve.png into `out`.

    Returns:
        The summary table, and the share of latent draws outside the knot range.
    """
    out.mkdir(parents=True, exist_ok=True)
    draws = mcmc.get_samples(group_by_chain=True)
    coords = {"slope_at": [f"{at:.3g}" for at in problem.slope_at]}
    data = az.from_numpyro(mcmc, coords=coords, dims={"slope": ["slope_at"]})
    summary: Any = az.summary(data, var_names=problem.parameters)
    summary.to_csv(out / "summary.csv")
    data.to_netcdf(str(out / "draws.nc"))
    _picture(problem, draws).savefig(out / "curve.png", dpi=150)
    x = np.asarray(draws["x"])
    lower, upper = problem.effect.basis.domain
    return summary, float(np.mean((x < lower) | (x > upper)))


def _picture(problem: Problem, draws: dict[str, Any]) -> Any:
    known, response = problem.known
    x = np.asarray(draws["x"])
    # The grid covers the data and nearly all latent draws; stray draws would squeeze the picture.
    ends = np.concatenate([known, np.quantile(x, [0.01, 0.99], axis=(0, 1)).ravel()])
    grid = np.linspace(ends.min(), ends.max(), 200)
    curve = problem.effect.curve(draws)
    labels = dict(
        zip(("input_label", "response_label", "slope_label"), problem.labels, strict=True)
    )
    level = np.asarray(draws["level"])[..., None]
    figure, upper, _ = plotting.curve_and_slope(
        grid, level + np.asarray(curve(grid)), curve.derivative()(grid), **labels
    )
    if known.size:
        upper.plot(known, response, "o", color=plotting.GRAY, markersize=2.5, label="timed")
    plotting.latent_inputs(upper, x, problem.latent_response)
    upper.legend(frameon=False, fontsize="small")
    return figure
