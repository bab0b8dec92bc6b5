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
from numpyro.infer import MCMC, NUTS, init_to_median

from numpyro_splines import latent, plotting, posterior
from numpyro_splines.bases import BSplineBasis
from numpyro_splines.datasets import load_geyser
from numpyro_splines.effects import SplineEffect
from numpyro_splines.priors import SmoothnessPrior
from numpyro_splines.writing import replacing

# What the words can mean, in minutes: between the clusters of the timed eruptions (0.83 to 5.45)
# hardly any lasted 2.5 to 3.5 minutes, so the borders of "medium" matter little.
CLASSES = {"short": (0.5, 2.5), "medium": (2.5, 3.5), "long": (3.5, 6.0)}


class Problem(NamedTuple):
    """A model with a latent input, and how to report on it.

    Attributes:
        effect: the smooth.
        model: the NumPyro model, without arguments.
        response: of all rows, in the order of site "x".
        known: which inputs are known exactly.
        slope_at: inputs where the slope is reported (site "slope").
        parameters: sites for the summary table.
        labels: of the input, the response and the slope, with units.
        lead: what the run is about, one sentence.
    """

    effect: SplineEffect
    model: Callable[[], None]
    response: np.ndarray
    known: np.ndarray
    slope_at: np.ndarray
    parameters: list[str]
    labels: tuple[str, str, str]
    lead: str


def geyser_problem() -> Problem:
    """Waiting time to the next eruption given the duration of this one, night durations latent."""
    geyser = load_geyser().dropna()
    timed = (geyser["recorded"] == "timed").to_numpy()
    duration = geyser["duration"].to_numpy()
    response = geyser["next_waiting"].to_numpy()
    # A timed duration is an interval of length zero.
    night = np.array([CLASSES[word] for word in geyser["recorded"][~timed]])
    ends = np.stack([duration, duration], axis=-1)
    ends[~timed] = night
    data = latent.Coarse(ends[:, 0], ends[:, 1])
    effect = SplineEffect(
        "f",
        BSplineBasis(data.knots(12)),
        SmoothnessPrior(order=2, scale=dist.HalfNormal(10.0), linear=20.0),
        measure=duration[timed],
    )
    slope_at = np.array([2.0, 3.0, 4.0])

    def model() -> None:
        means = numpyro.sample("means", dist.Normal(np.array([2.0, 4.3]), 0.3).to_event(1))
        scales = numpyro.sample("scales", dist.LogNormal(np.log([0.3, 0.4]), 0.4).to_event(1))
        long = numpyro.sample("long", dist.Beta(2.0, 2.0))
        kinds = dist.Categorical(probs=jnp.stack([1.0 - long, long]))
        population = dist.MixtureSameFamily(kinds, dist.Normal(means, scales))
        x = data.sample("x", population)
        level = numpyro.sample("level", dist.Normal(70.0, 20.0))
        sigma = numpyro.sample("sigma", dist.HalfNormal(10.0))
        curve = effect.sample()
        numpyro.deterministic("slope", curve.derivative()(slope_at))
        numpyro.sample("y", dist.Normal(level + curve(x), sigma), obs=response)

    return Problem(
        effect,
        model,
        response,
        timed,
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
    data = latent.Measured(observed, input_sd)
    effect = SplineEffect(
        "f",
        BSplineBasis(data.knots(15)),
        SmoothnessPrior(order=2, scale=dist.HalfNormal(noise), linear=2.0 * noise),
        measure=observed,
    )
    slope_at = np.unique(np.quantile(observed, [0.25, 0.5, 0.75]))  # of tied inputs fewer

    def model() -> None:
        mean = numpyro.sample("mean", dist.Normal(center, spread))
        sd = numpyro.sample("sd", dist.HalfNormal(spread))
        x = data.sample("x", dist.Normal(mean, sd))
        level = numpyro.sample("level", dist.Normal(response.mean(), 2.0 * noise))
        sigma = numpyro.sample("sigma", dist.HalfNormal(noise))
        curve = effect.sample()
        numpyro.deterministic("slope", curve.derivative()(slope_at))
        numpyro.sample("y", dist.Normal(level + curve(x), sigma), obs=response)

    return Problem(
        effect,
        model,
        response,
        np.zeros(response.shape, bool),
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
    """Write draws.nc, summary.csv and curve.png into `out`, in this order.

    The draws come first, so that a failure of anything else loses nothing. Each is whole or not
    there, also when the process is killed.

    Returns:
        The summary table, and the share of latent draws outside the knot range.
    """
    out.mkdir(parents=True, exist_ok=True)
    coords = {"slope_at": number_labels(problem.slope_at)}
    data = az.from_numpyro(mcmc, coords=coords, dims={"slope": ["slope_at"]})
    with replacing(out / "draws.nc") as part:
        data.to_netcdf(str(part))
    draws = mcmc.get_samples(group_by_chain=True)
    summary: Any = az.summary(data, var_names=problem.parameters)
    with replacing(out / "summary.csv") as part:
        summary.to_csv(part)
    with replacing(out / "curve.png") as part:
        _picture(problem, draws).savefig(part, format="png", dpi=150)
    x = np.asarray(draws["x"])[..., ~problem.known]
    lower, upper = problem.effect.basis.domain
    return summary, float(np.mean((x < lower) | (x > upper)))


def number_labels(values: np.ndarray) -> list[str]:
    """Numbers as text, with as many digits as tell all of them apart, at least three.

    Args:
        values: different numbers.

    Returns:
        One label for each.

    Example:
        >>> number_labels(np.array([2000.75, 2001.5, 2002.25]))
        ['2000.8', '2001.5', '2002.2']
    """
    shown = [[f"{value:.{digits}g}" for value in values] for digits in range(3, 18)]
    return next((labels for labels in shown if len(set(labels)) == len(values)), shown[-1])


def _picture(problem: Problem, draws: dict[str, Any]) -> Any:
    x = np.asarray(draws["x"])
    # The grid covers nearly all inputs; stray draws would squeeze the picture.
    lower, upper = np.quantile(x, [0.01, 0.99], axis=(0, 1))
    grid = np.linspace(lower.min(), upper.max(), 200)
    input_label, response_label, slope_label = problem.labels
    # A column may be called anything, "draw" or "value" too: its name is text and no more.
    curve = posterior.curve(problem.effect, draws) + draws["level"]
    axes, slope = plotting.effect_and_derivative(curve, grid)
    axes.set_ylabel(_plain(response_label))
    slope.set(xlabel=_plain(input_label), ylabel=_plain(slope_label))
    known = problem.known
    if known.any():
        timed = x[0, 0, known], problem.response[known]
        axes.plot(*timed, "o", color=plotting.GRAY, markersize=2.5, label="timed")
    plotting.latent_inputs(x[..., ~known], problem.response[~known], axes=axes)
    axes.legend(frameon=False, fontsize="small")
    return axes.figure


def _plain(label: str) -> str:
    """Text in which matplotlib sees no formula."""
    return label.replace("$", r"\$")
